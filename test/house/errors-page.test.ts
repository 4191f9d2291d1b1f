/** docs/errors.md explains every code there is, with the forms it takes. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ERRORS, GRPC } from "#base/errors.ts";

const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
const grpcName = (number: number) => Object.entries(GRPC).find(([, each]) => each === number)?.[0];

const sections = page
  .split(/^## /m)
  .slice(1)
  .map((text) => {
    const [heading = "", forms = "", , what = "", , next = ""] = text.split("\n");
    return { heading, forms, what, next };
  });

test("the page has one section for each code, in the table's order", () => {
  expect(sections.map(({ heading }) => heading)).toEqual(
    Object.keys(ERRORS).map((code) => `\`${code}\``),
  );
});

test("each section has the title, the forms, what happened and what to do next", () => {
  for (const [index, row] of Object.values(ERRORS).entries()) {
    const { forms, what, next } = sections[index]!;
    expect(forms).toBe(
      `${row.title} · HTTP ${row.http} · gRPC ${grpcName(row.grpc)} · exit code ${row.exit}`,
    );
    expect(what.length).toBeGreaterThan(30);
    expect(next).toMatch(/^\*\*Next:\*\* .{20}/);
  }
});

test("no hint of the kernel's speaks the language of one way in", () => {
  const dirs = ["base", "capability", "deploy", "kernel", "vault", "cell"];
  const speaking = dirs.flatMap((dir) =>
    readdirSync(new URL(`../../src/${dir}`, import.meta.url), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .flatMap((path) => {
        const text = readFileSync(new URL(`../../src/${dir}/${path}`, import.meta.url), "utf8");
        const code = text.replace(/^\s*(?:\/?\*|\/\/).*$/gm, "");
        return (code.match(/\b(?:GET|POST|PUT|DELETE) \/.*/g) ?? []).map((at) => `${path}: ${at}`);
      }),
  );
  expect(speaking).toEqual([]);
});
