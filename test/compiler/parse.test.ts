/** What parsing builds of a source, and what it leaves (src/compiler/parse.ts). */
import { expect, test } from "vitest";
import { compile } from "#compiler/compile.ts";
import { Parsed } from "#compiler/parse.ts";

test("no regular expression and no big integer is built (invariant 1)", () => {
  const { program } = new Parsed("a.js", "/(?<a>b)/; 12n;", { lang: "js" });
  expect(program.body).toMatchObject([
    { expression: { value: null, regex: { pattern: "(?<a>b)", flags: "" } } },
    { expression: { value: null, bigint: "12" } },
  ]);
});

test("what is asked for twice is there twice", () => {
  const parsed = new Parsed("a.js", "import a from './b.js'; // c", { lang: "js" });
  expect(parsed.module.staticImports).toHaveLength(1);
  expect(parsed.module.staticImports).toHaveLength(1);
  expect(parsed.comments).toEqual(parsed.comments);
  expect(parsed.comments).toHaveLength(1);
});

test.for([
  ["while (1n) {}", true],
  ["while (0n) {}", false],
  ["while (/a/) {}", true],
  ["while (!0n) {}", true],
  ["while (!/a/) {}", false],
] as const)("%s is endless: %s, though no value was built", ([loop, isEndless]) => {
  const { analysis } = compile({
    files: { "index.js": `export default { calls: { a() { ${loop} } } };` },
    entry: "index.js",
    analyse: true,
  });
  const codes = analysis!.findings.map(({ code }) => code);
  expect(codes.includes("endless_loop")).toBe(isEndless);
});

test("thousands of allowances in a row, and secrets on one line, are all taken in", () => {
  const allow = "// solo-allow dynamic_code: a reason\n".repeat(20_000);
  const secrets = Array.from({ length: 5000 }, (_, at) => {
    const digits = Array.from(String(at).padStart(4, "0"), (digit) => "QWERTYUIOP"[Number(digit)]);
    return `use("AKIAZ7MBK5WD${digits.join("")}X2NC");`;
  });
  const { analysis } = compile({
    files: { "index.js": `${allow}eval(a);\n${secrets.join("")}\nexport default {};` },
    entry: "index.js",
    analyse: true,
  });
  expect(analysis!.allowed).toMatchObject([{ code: "dynamic_code", line: 20_001 }]);
  expect(analysis!.findings).toHaveLength(50);
  expect(analysis!.findings[49]!.excerpt).not.toContain("AKIAZ7MBK5WD");
});
