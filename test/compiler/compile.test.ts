/** Source to modules and findings (src/compiler/compile.ts). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Diagnostic } from "#base/errors.ts";
import { compile } from "#compiler/compile.ts";

const one = (source: string, entry = "index.ts") => compile({ files: { [entry]: source }, entry });
const codes = (source: string): string[] => one(source).diagnostics.map(({ code }) => code);
const several = (files: Record<string, string>) => compile({ files, entry: "index.ts" });

/** What stands above the caret. */
function marked({ excerpt }: Diagnostic): string {
  const [line = "", caret = ""] = excerpt.split("\n").slice(-2);
  return line.slice(caret.indexOf("^"));
}

describe("what compiles", () => {
  test("types are stripped and nothing is checked (invariant 1)", () => {
    const { modules, diagnostics } = one(
      "const n: number = 'text';\nexport default { calls: { n: () => n } };",
    );
    expect(diagnostics).toEqual([]);
    expect(modules[0]!.code).not.toContain("number");
    expect(JSON.parse(modules[0]!.map)).toMatchObject({ version: 3 });
  });

  test("enums, decorators' absence and JavaScript files pass as their languages have them", () => {
    expect(codes("enum Color { Red }\nexport default { Color };")).toEqual([]);
    expect(one("export default { a: 1 };", "index.js").diagnostics).toEqual([]);
    expect(one("const x: number = 1; export default {};", "index.js").diagnostics[0]?.code).toBe(
      "syntax",
    );
  });

  test("imports and exports of types only are dropped, though their files are missing", () => {
    const source = `
      import type { A } from "./gone.ts";
      import { type B } from "./gone.ts";
      import { C } from "./gone.ts";
      export type { D } from "./gone.ts";
      export { type E } from "./gone.ts";
      const c: C = 1 as unknown as A & B;
      export default { calls: { c: () => c } };`;
    const { modules, diagnostics } = one(source);
    expect(diagnostics).toEqual([]);
    expect(modules[0]!.code).not.toContain("gone");
  });

  test("an import for its effects alone is followed", () => {
    expect(
      several({
        "index.ts": 'import "./effect.ts"; export default {};',
        "effect.ts": "globalThis.x = 1;",
      }).diagnostics,
    ).toEqual([]);
    expect(codes('import "./effect.ts"; export default {};')).toEqual(["unresolved_import"]);
  });

  test("JSON is imported as the value that JSON.parse gives", async () => {
    const source = '{"__proto__": 1, "text": "\u2028", "n": [1, null]}';
    const { modules, diagnostics } = several({
      "index.ts": 'import d from "./d.json"; export default { d };',
      "d.json": source,
    });
    expect(diagnostics).toEqual([]);
    const code = modules.find(({ path }) => path === "d.json")!.code;
    const url = `data:text/javascript,${encodeURIComponent(code)}`;
    const { default: value } = (await import(url)) as { default: object };
    expect(value).toEqual(JSON.parse(source));
    expect(Object.hasOwn(value, "__proto__")).toBe(true);
  });
});

describe("the default export of the entry", () => {
  test.each([
    "export default {};",
    "export default function () {}",
    "export default class {}",
    "const x = {}; export { x as default };",
    'const x = {}; export { x as "default" };',
    'export { default } from "./other.ts";',
    'export { named as default } from "./other.ts";',
    'export * as default from "./other.ts";',
  ])("is seen in %s", (source) => {
    expect(
      several({ "index.ts": source, "other.ts": "export const named = 1; export default {};" })
        .diagnostics,
    ).toEqual([]);
  });

  test.each([
    "export const a = 1;",
    'export * from "./other.ts";',
    "export default interface Service { a: 1 }",
    "type Service = 1; export { type Service as default };",
    "module.exports = {};",
  ])("is missed in %s", (source) => {
    const { diagnostics, modules } = several({
      "index.ts": source,
      "other.ts": "export default {};",
    });
    expect(diagnostics).toMatchObject([{ code: "no_default_export", file: "index.ts" }]);
    expect(modules).toEqual([]);
  });

  test("is asked of the entry alone, and CommonJS is called by its name", () => {
    expect(
      several({ "index.ts": "export default {};", "lib.ts": "export const a = 1;" }).diagnostics,
    ).toEqual([]);
    expect(one("module.exports = {};").diagnostics[0]?.explanation).toContain("CommonJS");
  });
});

describe("what is missing", () => {
  test("every import that leads nowhere is named where it stands (invariant 2)", () => {
    const source = `import a from "./a.ts";
import { b } from "hono";
import fs from "node:fs";
export { c } from "./c.ts";
export * from "./d.ts";
export default { a, b, fs };`;
    const findings = one(source).diagnostics;
    expect(findings.map(({ line, code }) => [line, code])).toEqual(
      [1, 2, 3, 4, 5].map((line) => [line, "unresolved_import"]),
    );
    expect(findings.map(marked)).toEqual(
      source
        .split("\n")
        .slice(0, 5)
        .map((line) => line.slice(line.indexOf('"'))),
    );
    expect(findings[1]!.explanation).toContain("Bundle");
    expect(findings[2]!.explanation).toContain("no Node modules");
    // A module of Node is none to bundle, with or without its scheme.
    const [https] = one('import https from "https"; export default { https };').diagnostics;
    expect(https!.explanation).toContain("no Node modules. To serve HTTP, export fetch");
  });

  test("an import of two names is named once", () => {
    expect(codes('export { a, b } from "./gone.ts"; export default {};')).toEqual([
      "unresolved_import",
    ]);
  });

  test("`solo` and files of the deploy are found, from below too", () => {
    const files = {
      "index.ts":
        'import { defineService } from "solo"; import { n } from "./lib/a.js"; export default defineService({ calls: { n } });',
      "lib/a.ts": 'import { m } from "../m.ts"; export const n = () => m;',
      "m.ts": "export const m = 1;",
    };
    const { modules, diagnostics } = several(files);
    expect(diagnostics).toEqual([]);
    expect(modules.map(({ path }) => path).toSorted()).toEqual(Object.keys(files).toSorted());
  });
});

describe("an import while it runs", () => {
  const handler = (body: string) =>
    one(`export default { calls: { async a(_, x) {\n${body}\n} } };`).refused ?? [];

  test("is refused where it stands when it is always reached, with what to do instead", () => {
    const cases = {
      'await import("fs");': "services have no Node modules. Keep data in solo.state",
      'await import("node:fs/promises");': "services have no Node modules",
      'return import("https://esm.sh/hono");': "Bundle npm packages into the source",
      'const { Hono } = await import("hono");': "Bundle npm packages into the source",
      'await import("./gone.ts");': "not among the files of this deploy",
      "await import(`./${x}.ts`);": "loaded before it starts",
      'try { await import("fs"); } finally { x(); }': "services have no Node modules",
    };
    for (const [body, why] of Object.entries(cases)) {
      const [finding, ...others] = handler(body);
      expect(others).toEqual([]);
      expect(finding).toMatchObject({ code: "dynamic_import", severity: "error", line: 2 });
      expect(finding!.explanation).toContain(why);
      expect(marked(finding!)).toMatch(/^import\(/);
      const source = `export default { calls: { async a(_, x) {\n${body}\n} } };`;
      const files = { "index.ts": source };
      expect(compile({ files, entry: "index.ts", analyse: true }).analysis!.findings).toEqual([]);
    }
    const { refused, modules } = one('const fs = await import("fs"); export default { fs };');
    expect(refused!.map(({ code }) => code)).toEqual(["dynamic_import"]);
    // What was taken once starts again.
    expect(modules).toHaveLength(1);
  });

  test("of a file that is there names the import to write instead", () => {
    const { refused } = several({
      "index.ts": 'export default { calls: { a: () => import("./b.js") } };',
      "b.ts": "export const n = 1;",
    });
    expect(refused!.map(({ code, fix }) => [code, fix])).toEqual([
      ["dynamic_import", 'Write at the top: import * as part from "./b.js";'],
    ]);
  });

  test("passes where it may not be reached, or the author says so", () => {
    for (const body of [
      'if (x) await import("fs");',
      'x ? await import("fs") : 1;',
      'x && import("fs");',
      'try { await import("fs"); } catch {}',
      'await import("fs").catch(() => {});',
      'await import("fs").then(x, () => {});',
      '// solo-allow dynamic_import: only in its tests\nawait import("fs");',
    ]) {
      expect(handler(body), body).toEqual([]);
    }
  });
});

describe("where", () => {
  test("a syntax error is placed right, whatever text stands before it", () => {
    const text = fc
      .string({ unit: "grapheme", maxLength: 20 })
      .map((each) => each.replaceAll(/[\\`$\r\n\u2028\u2029]/g, ""));
    fc.assert(
      fc.property(text, fc.nat(3), (before, lines) => {
        const source = `${"\n".repeat(lines)}const t = \`${before}\`; export default { calls: { a( } };`;
        const [finding] = one(source).diagnostics;
        expect(finding).toMatchObject({ code: "syntax", line: lines + 1, file: "index.ts" });
        expect(source.split("\n")[finding!.line - 1]!.slice(finding!.column - 1)).toBe("} };");
      }),
    );
  });

  test("an import is placed right behind text of any width", () => {
    const source = '/* 日本語 😀 */ import x from "./gone.ts"; export default { x };';
    const [finding] = one(source).diagnostics;
    expect(source.slice(finding!.column - 1)).toMatch(/^"\.\/gone\.ts"/);
  });

  test("broken JSON that just ends is placed at its end", () => {
    const { diagnostics } = several({
      "index.ts": 'import d from "./d.json"; export default { d };',
      "d.json": '{"a": [1,',
    });
    expect(diagnostics).toMatchObject([
      { code: "json_syntax", file: "d.json", line: 1, column: 10 },
    ]);
  });
});

test("a finding has everything a model needs to act", () => {
  const sources = [
    "export default {",
    'import a from "./a.ts"; export default { a };',
    "export const a = 1;",
  ];
  for (const finding of sources.flatMap((source) => one(source).diagnostics)) {
    expect(finding).toMatchObject({ severity: "error", file: "index.ts" });
    for (const text of [finding.message, finding.excerpt, finding.explanation])
      expect(text).not.toBe("");
    expect(finding.line).toBeGreaterThan(0);
    expect(finding.column).toBeGreaterThan(0);
  }
});

test("the number of findings is bounded", () => {
  const files = Object.fromEntries(
    Array.from({ length: 100 }, (_, n) => [`f${n}.ts`, "export default {"]),
  );
  expect(compile({ files, entry: "f0.ts" }).diagnostics).toHaveLength(20);
});

test("with an error anywhere there are no modules", () => {
  expect(several({ "index.ts": "export default {};", "bad.ts": "const (" }).modules).toEqual([]);
});

test("no text makes it throw", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.string()), (source) => {
      const { modules, diagnostics } = one(source);
      expect(modules.length === 0).toBe(diagnostics.length > 0);
    }),
  );
});
