import { expect, test } from "vitest";
import { importsOf, LAYERS, violations } from "../../scripts/layers.ts";

const check = (files: Record<string, string>) => violations(new Map(Object.entries(files)));

test("an import upwards is found, in every form an import can have", () => {
  const forms = [
    'import { x } from "#kernel/x.ts";',
    'import type { X } from "#kernel/x.ts";',
    'import { type X } from "../kernel/x.ts";',
    'import "#kernel/x.ts";',
    'export * from "#kernel/x.ts";',
    'export type { X } from "#kernel/x.ts";',
    'const x = await import("#kernel/x.ts");',
    'let x: import("#kernel/x.ts").X;',
  ];
  for (const form of forms) {
    expect(check({ "cell/main.ts": `// first line\n${form}` }), form).toEqual([
      "src/cell/main.ts:2 imports kernel/x.ts: cell may import wire, sdk, base",
    ]);
  }
});

test("imports down, within a layer and of packages are fine", () => {
  const source = 'import "#base/a.ts"; import "./b.ts"; import "node:fs"; import "zod";';
  expect(check({ "api/a.ts": source, "bin/solo.ts": 'import "#gateway/rest.ts";' })).toEqual([]);
});

test("a folder that nobody gave a place is refused", () => {
  expect(check({ "misc/a.ts": "" })).toEqual([
    "src/misc is not a layer: give it a row in scripts/layers.ts",
  ]);
});

test("files that import each other in a circle are found once; types do not close a circle", () => {
  const files = {
    "base/a.ts": 'import { b } from "#base/b.ts";',
    "base/b.ts": 'export { c } from "./c.ts";',
    "base/c.ts": 'import { a } from "./a.ts";',
  };
  expect(check(files)).toEqual(["circle: base/a.ts → base/b.ts → base/c.ts → base/a.ts"]);
  expect(check({ ...files, "base/c.ts": 'import type { A } from "./a.ts";' })).toEqual([]);
});

test("a circle between layers cannot be allowed by mistake", () => {
  const order = Object.keys(LAYERS);
  for (const [layer, allowed] of Object.entries(LAYERS)) {
    if (allowed === "everything") continue;
    for (const below of allowed) {
      expect(order.indexOf(below), `${layer} → ${below}`).toBeGreaterThan(order.indexOf(layer));
    }
  }
});

test("text that looks like an import is not one", () => {
  expect(
    importsOf("cell/a.ts", 'const s = `import "#kernel/x.ts"`; // from "#kernel/x.ts"'),
  ).toEqual([]);
});
