/** docs/analysis.md describes every rule, and its examples do what it says. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { compile } from "#compiler/compile.ts";
import { NOTICES, RULES } from "#compiler/rules/index.ts";
import { findingsAt } from "#kernel/deploys/analysis-level.ts";

const page = readFileSync(new URL("../../docs/analysis.md", import.meta.url), "utf8");
const sections = page
  .split(/^### /m)
  .slice(1)
  .map((text) => {
    const [heading = "", subtitle = ""] = text.split("\n");
    const examples = [...text.matchAll(/^```ts (bad|good)(?: capabilities=(\S+))?\n(.*?)^```/gms)];
    return {
      code: heading.replaceAll("`", ""),
      subtitle,
      examples: examples.map(([, kind, capability, source]) => ({
        kind: kind!,
        source: source!,
        declared: {
          services: capability === undefined,
          resources: capability === undefined ? [] : [capability],
        },
      })),
    };
  });

test("the page has one section for each rule, in the table's order, with title and severity", () => {
  const all = [...RULES, ...Object.values(NOTICES)];
  expect(sections.map(({ code, subtitle }) => [code, subtitle])).toEqual(
    all.map(({ code, title, severity }) => [code, `${title} · ${severity}`]),
  );
});

describe.each(RULES.map(({ code }) => code))("%s", (code) => {
  const { examples } = sections.find((section) => section.code === code)!;

  test("has a bad and a good example", () => {
    expect(examples.map(({ kind }) => kind)).toEqual(["bad", "good"]);
  });

  test.each(examples)("its $kind example is what it says", ({ kind, source, declared }) => {
    const { diagnostics, analysis } = compile({
      files: { "index.ts": source },
      entry: "index.ts",
      analyse: true,
    });
    expect(diagnostics).toEqual([]);
    const found = findingsAt("strict", analysis!.findings, declared);
    expect(found.map((finding) => finding.code)).toEqual(kind === "bad" ? [code] : []);
  });
});
