/** A deploy request as it is accepted (src/deploy/spec.ts). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import {
  resolveSpec,
  revisionOf,
  sourceHash,
  type ServiceSpec,
  type SpecInput,
} from "#deploy/spec.ts";
import { defaults } from "./support.ts";

const CODE = "export default {};";

function refusal(input: SpecInput): SoloError {
  try {
    resolveSpec(input, defaults);
  } catch (error) {
    if (error instanceof SoloError) return error;
    throw error;
  }
  throw new Error("It was expected to be refused.");
}
const badFields = (input: SpecInput): string[] =>
  (refusal(input).options.fields ?? []).map(({ field }) => field);

describe("refusing", () => {
  test("every bad field is named at once (invariant 1)", () => {
    const bad = {
      files: { "../up.ts": "", "ok.ts": "", "/root.ts": "", "x.py": "", "a/./b.ts": "" },
      entry: "gone.ts",
      env: { "1st": "x", FINE: "y" },
      metadata: { note: "m".repeat(70_000) },
      args: "a".repeat(300_000),
    } satisfies SpecInput;
    expect(badFields(bad).toSorted()).toEqual(
      [
        "args",
        "entry",
        "env.1st",
        "files.../up.ts",
        "files./root.ts",
        "files.a/./b.ts",
        "files.x.py",
        "metadata",
      ].toSorted(),
    );
  });

  test("a request with hundreds of bad fields has a short text and all the fields", () => {
    const files = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`${n}.py`, ""]));
    const error = refusal({ files, entry: "0.py" });
    expect(error.options.fields).toHaveLength(300);
    expect(error.message.length).toBeLessThan(5000);
  });

  test("source is given once: as code or as files", () => {
    expect(badFields({})).toEqual(["code"]);
    expect(badFields({ code: CODE, files: { "index.ts": CODE } })).toEqual(["code"]);
    expect(badFields({ code: "  \n" })).toEqual(["code"]);
    expect(badFields({ code: CODE, entry: "index.ts" })).toEqual(["entry"]);
    expect(badFields({ files: {} })).toEqual(["files", "entry"]);
  });

  test("source that is too large says so with its own code, also beside nothing else", () => {
    expect(refusal({ code: "x".repeat(10_001) }).code).toBe("payload_too_large");
    expect(refusal({ code: "é".repeat(5001) }).code).toBe("payload_too_large");
    expect(refusal({ code: "x".repeat(10_001), env: { "1": "" } }).code).toBe("invalid_argument");
    expect(() => resolveSpec({ code: "x".repeat(10_000) }, defaults)).not.toThrow();
  });

  test("paths that leave the service or name what is not source are refused", () => {
    const bad = [
      "../a.ts",
      "/a.ts",
      "a/../b.ts",
      "./a.ts",
      "a//b.ts",
      "a.txt",
      "",
      "a b.ts",
      "a\\b.ts",
      "__proto__/a.ts",
      `${"a".repeat(260)}.ts`,
      "a\n.ts",
    ];
    for (const path of bad)
      expect(() => resolveSpec({ files: { [path]: CODE }, entry: path }, defaults), path).toThrow(
        SoloError,
      );
    for (const path of ["a.ts", "lib/a.mts", "a.b.js", "@scope/x.mjs", "data.json"]) {
      expect(resolveSpec({ files: { [path]: CODE } }, defaults).entry).toBe(path);
    }
  });

  test("names that a prototype would swallow are refused", () => {
    const env = JSON.parse('{"__proto__": "x"}') as Record<string, string>;
    expect(badFields({ code: CODE, env })).toEqual(["env.__proto__"]);
  });
});

describe("the entry", () => {
  const files = (...paths: string[]) => Object.fromEntries(paths.map((path) => [path, CODE]));
  test("is index before main, TypeScript before JavaScript, and the only file when there is one", () => {
    expect(resolveSpec({ files: files("main.ts", "index.js", "index.ts") }, defaults).entry).toBe(
      "index.ts",
    );
    expect(resolveSpec({ files: files("index.js", "main.ts") }, defaults).entry).toBe("main.ts");
    expect(resolveSpec({ files: files("only.ts") }, defaults).entry).toBe("only.ts");
    expect(badFields({ files: files("a.ts", "b.ts") })).toEqual(["entry"]);
  });
  test("of one source is index, with the extension of its format", () => {
    expect(resolveSpec({ code: CODE }, defaults).entry).toBe("index.ts");
    expect(resolveSpec({ code: CODE, format: "javascript_source" }, defaults).entry).toBe(
      "index.js",
    );
  });
});

const settings = fc.record(
  {
    restart: fc.constantFrom("permanent", "transient", "temporary"),
    restart_limits: fc.record(
      {
        max_restarts: fc.nat(9),
        max_seconds: fc.nat(9),
        startup_timeout_ms: fc.nat(9),
        shutdown_timeout_ms: fc.nat(9),
      },
      { requiredKeys: [] },
    ),
    limits: fc.record(
      {
        memory_mb: fc.nat(9),
        call_timeout_ms: fc.nat(9),
        mailbox: fc.nat(9),
        mailbox_policy: fc.constantFrom("reject", "drop_oldest", "kill"),
        state_bytes: fc.nat(9),
      },
      { requiredKeys: [] },
    ),
    persistence: fc.constantFrom("stateless", "hybrid", "durable"),
    isolation: fc.constantFrom("shared", "dedicated"),
    ingress: fc.constantFrom("token", "public"),
    env: fc.dictionary(fc.stringMatching(/^[A-Z]{1,4}$/), fc.string(), { maxKeys: 3 }),
    args: fc.jsonValue({ maxDepth: 2 }),
    metadata: fc.dictionary(fc.stringMatching(/^[a-z]{1,4}$/), fc.string(), { maxKeys: 3 }),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<SpecInput>;

/** The same value with the keys of every object in reverse. */
const reversed = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, each]) => [key, reversed(each)]),
  );
};

describe("the revision", () => {
  test("does not depend on the order of keys (invariant 2)", () => {
    fc.assert(
      fc.property(settings, (input) => {
        const spec = resolveSpec({ ...input, files: { "index.ts": CODE, "a.ts": "1" } }, defaults);
        expect(revisionOf(reversed(spec) as ServiceSpec)).toBe(revisionOf(spec));
        expect(sourceHash(reversed(spec) as ServiceSpec)).toBe(sourceHash(spec));
      }),
    );
  });

  test("differs whenever anything of the content differs", () => {
    const comparable = (spec: ServiceSpec) => JSON.stringify(sorted(spec));
    fc.assert(
      fc.property(settings, settings, (first, second) => {
        const [a, b] = [first, second].map((input) =>
          resolveSpec({ ...input, code: CODE }, defaults),
        );
        expect(revisionOf(a!) === revisionOf(b!)).toBe(comparable(a!) === comparable(b!));
      }),
    );
  });

  test("text cannot be moved between names and contents of files", () => {
    const of = (files: Record<string, string>) =>
      revisionOf(resolveSpec({ files, entry: "a.ts" }, defaults));
    expect(of({ "a.ts": "1", "b.ts": "2" })).not.toBe(of({ "a.ts": "2", "b.ts": "1" }));
    expect(of({ "a.ts": '","b.ts":"' })).not.toBe(of({ "a.ts": "", "b.ts": "" }));
  });

  test("of the source alone does not change with settings", () => {
    fc.assert(
      fc.property(settings, (input) => {
        const plain = resolveSpec({ code: CODE }, defaults);
        expect(sourceHash(resolveSpec({ ...input, code: CODE }, defaults))).toBe(sourceHash(plain));
      }),
    );
  });
});

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([key, each]) => [key, sorted(each)]);
};

describe("an update", () => {
  test("keeps every setting it does not name, and takes each one it names", () => {
    fc.assert(
      fc.property(settings, settings, (first, second) => {
        const current = resolveSpec({ ...first, code: CODE }, defaults);
        const updated = resolveSpec({ ...second, code: CODE }, { ...defaults, current });
        const both = {
          ...first,
          ...second,
          limits: { ...first.limits, ...second.limits },
          restart_limits: { ...first.restart_limits, ...second.restart_limits },
        };
        expect(updated).toEqual(resolveSpec({ ...both, code: CODE }, defaults));
      }),
    );
  });

  test("can take arguments away with null", () => {
    const current = resolveSpec({ code: CODE, args: [1] }, defaults);
    expect(resolveSpec({ code: CODE }, { ...defaults, current }).args).toEqual([1]);
    expect(resolveSpec({ code: CODE, args: null }, { ...defaults, current }).args).toBeNull();
  });
});

test("an accepted spec is frozen", () => {
  const spec = resolveSpec({ code: CODE }, defaults);
  for (const part of [spec, spec.files, spec.limits, spec.restartLimits, spec.env, spec.metadata]) {
    expect(Object.isFrozen(part)).toBe(true);
  }
});
