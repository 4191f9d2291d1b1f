/** docs/errors.md explains every code there is, with the forms it takes. */
import { readFileSync } from "node:fs";
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
