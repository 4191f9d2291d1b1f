import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { runInThisContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { compactIdna } from "#cell/prelude/idna-tables.ts";

const require = createRequire(import.meta.url);
const lib = join(dirname(require.resolve("tr46")), "lib");

type Entry = readonly [number | readonly [number, number], ...unknown[]];

function run<T>(source: string): T {
  const module = { exports: {} };
  (runInThisContext(`(function (module) {${source}\n})`) as (holder: object) => void)(module);
  return module.exports as T;
}

/** Every code point's own entry, as text: what a look-up by tr46 would find. */
function spread(table: readonly Entry[]): string[] {
  const found: string[] = [];
  for (const [where, ...rest] of table) {
    const [first, last] = typeof where === "number" ? [where, where] : where;
    found.fill("", found.length, first);
    const text = JSON.stringify(rest);
    for (let code = first; code <= last; code++) found[code] = text;
  }
  return found;
}

describe("The compact IDNA tables", () => {
  test("map every code point as tr46's own table does", async () => {
    const path = join(lib, "mappingTable.json");
    const compact = await compactIdna(path);
    expect(compact.length).toBeLessThan(12_000);
    expect(spread(run(compact))).toEqual(spread(require(path) as Entry[]));
  });

  test("match the code points that tr46's own expressions match", async () => {
    const path = join(lib, "regexes.js");
    const compact = run<Record<string, RegExp>>(await compactIdna(path));
    const original = require(path) as Record<string, RegExp>;
    expect(Object.keys(compact)).toEqual(Object.keys(original));
    const assigned = [
      [0, 0xd800],
      [0xe000, 0x20000],
      [0xe0000, 0xe0200],
    ] as const;
    for (const [name, expression] of Object.entries(original)) {
      for (const [first, end] of assigned) {
        for (let code = first; code < end; code++) {
          const text = String.fromCodePoint(code);
          if (compact[name]!.test(text) !== expression.test(text))
            expect.fail(`${name} differs at ${code}`);
        }
      }
    }
  });
});
