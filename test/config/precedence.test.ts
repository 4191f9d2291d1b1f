import fc from "fast-check";
import { expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import { KEYS, type ConfigKey } from "#config/keys.ts";
import { loadConfig } from "#config/load.ts";
import { editDistance, nearest } from "#base/nearest.ts";

/** Rules between keys would answer for these; here each key is looked at alone. */
const alone = KEYS.filter(
  (key) => key.kind === "whole" && !key.name.endsWith("_port") && key.runtime,
);
const anyKey = fc.constantFrom(...alone);

function rightValue(key: ConfigKey): fc.Arbitrary<number> {
  const [low = 0, high = 0] = /from (\d+) to (\d+)/.exec(key.expected)!.slice(1).map(Number);
  return fc.integer({ min: low, max: high });
}

const layers = anyKey.chain((key) =>
  fc.record({
    key: fc.constant(key),
    file: fc.option(rightValue(key), { nil: undefined }),
    env: fc.option(rightValue(key), { nil: undefined }),
    flag: fc.option(rightValue(key), { nil: undefined }),
  }),
);

const valueOf = (config: object, key: ConfigKey): unknown =>
  (config as Record<string, Record<string, unknown>>)[key.section]?.[key.name];

test("the last layer that names a setting decides, and says so", () => {
  fc.assert(
    fc.property(layers, ({ key, file, env, flag }) => {
      const { config, sources } = loadConfig({
        cwd: "/srv",
        env: env === undefined ? {} : { [key.env!]: String(env) },
        argvFlags: { [key.path]: flag },
        readFile: () => (file === undefined ? "" : `[${key.section}]\n${key.name} = ${file}`),
      });
      expect(valueOf(config, key)).toBe(flag ?? env ?? file ?? key.defaultValue);
      const layer =
        flag !== undefined
          ? "flag"
          : env !== undefined
            ? "environment"
            : file !== undefined
              ? "file"
              : "default";
      expect(sources.get(key.path)?.layer).toBe(layer);
    }),
  );
});

test("every key refuses every value of a wrong type by its name and place", () => {
  const wrong: Record<ConfigKey["kind"], readonly string[]> = {
    whole: ['"1"', "1.5", "true", "[]", "{}", "1979-05-27", "nan", "1e300"],
    boolean: ['"true"', "1", "[]", "{}"],
    text: ["1", "true", '[""]', "{}", '""'],
    list: ['"a"', "1", "[1]", '[""]', "{}"],
  };
  for (const key of KEYS) {
    for (const text of wrong[key.kind]) {
      const run = () =>
        loadConfig({
          cwd: "/srv",
          env: {},
          readFile: () => `[${key.section}]\n${key.name} = ${text}`,
        });
      expect(run, `${key.path} = ${text}`).toThrow(SoloError);
      expect(run).toThrow(`${key.path}: config.toml:2:`);
      expect(run).toThrow(`expected ${key.expected}, found `);
    }
  }
});

test("no text in a file brings anything but an answer or a named refusal", () => {
  const words = fc.constantFrom(
    "[",
    "]",
    "=",
    "solo",
    "tenants",
    ".",
    "\n",
    '"',
    "1",
    "{",
    "}",
    " ",
  );
  const texts = fc.oneof(
    fc.string(),
    fc.array(words).map((each) => each.join("")),
  );
  fc.assert(
    fc.property(texts, fc.constantFrom("c.toml", "c.json"), (text, config) => {
      try {
        loadConfig({ cwd: "/srv", env: {}, argvFlags: { config }, readFile: () => text });
      } catch (error) {
        expect(error).toBeInstanceOf(SoloError);
      }
    }),
    { numRuns: 500 },
  );
});

test("no two settings share an environment variable", () => {
  const names = KEYS.map((key) => key.env);
  expect(new Set(names).size).toBe(names.length);
});

test("the distance of two words is symmetric, zero only for equal ones, and one for one slip", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
      expect(editDistance(a, b)).toBe(editDistance(b, a));
      expect(editDistance(a, b) === 0).toBe(a === b);
    }),
  );
  expect(editDistance("http_prot", "http_port")).toBe(1);
  expect(nearest("qqqq", ["http_port"])).toBeUndefined();
});
