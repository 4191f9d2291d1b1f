/** Differences of texts (src/base/unified-diff.ts). */
import fc from "fast-check";
import { expect, test } from "vitest";
import { unifiedDiff } from "#base/unified-diff.ts";

const names = { beforeName: "a/x", afterName: "b/x" };
const NO_NEWLINE = "\\ No newline at end of file";

/** What `patch` does, strictly: every context line must be where the diff says. */
function apply(before: string, diff: string): string {
  if (diff === "") return before;
  const old = before.split("\n");
  const ends = old.at(-1) === "";
  if (ends) old.pop();
  const out: string[] = [];
  let at = 0;
  let [oldEndGone, newEndOpen] = [false, false];
  let previous = " ";
  for (const line of diff.split("\n").slice(2)) {
    const hunk = /^@@ -(\d+),(\d+) \+\d+,\d+ @@$/.exec(line);
    if (hunk !== null) {
      const start = Number(hunk[1]) - (hunk[2] === "0" ? 0 : 1);
      out.push(...old.slice(at, start));
      at = start;
      continue;
    }
    const text = line.slice(1);
    if (line === NO_NEWLINE) {
      if (previous === "-") oldEndGone = true;
      else newEndOpen = true;
    } else if (line.startsWith("+")) {
      out.push(text);
    } else {
      expect(old[at]).toBe(text);
      at += 1;
      if (line.startsWith(" ")) out.push(text);
    }
    previous = line[0] ?? " ";
  }
  out.push(...old.slice(at));
  const endsNow = !newEndOpen && (ends || oldEndGone);
  return out.length === 0 ? "" : out.join("\n") + (endsNow ? "\n" : "");
}

const line = fc.constantFrom("a", "b", "c", "", "}");
const text = fc
  .tuple(fc.array(line, { maxLength: 40 }), fc.boolean())
  .map(([lines, ends]) => lines.join("\n") + (ends && lines.length > 0 ? "\n" : ""));

test("applied to the first text gives the second (invariant 1)", () => {
  fc.assert(
    fc.property(text, text, (before, after) => {
      expect(apply(before, unifiedDiff({ before, after, ...names }))).toBe(after);
    }),
    { numRuns: 500 },
  );
});

test("looks like what diff writes", () => {
  const before = ["1", "2", "3", "4", "5", "6", "7", "8", ""].join("\n");
  const after = before.replace("5\n", "five\n");
  expect(unifiedDiff({ before, after, ...names }).split("\n")).toEqual([
    "--- a/x",
    "+++ b/x",
    "@@ -2,7 +2,7 @@",
    " 2",
    " 3",
    " 4",
    "-5",
    "+five",
    " 6",
    " 7",
    " 8",
  ]);
});

test("of two large texts with nothing in common is no work without end (invariant 2)", () => {
  const lines = (mark: string) =>
    Array.from({ length: 20_000 }, (_, n) => `${mark}${n}\n`).join("");
  const [before, after] = [lines("a"), lines("b")];
  expect(apply(before, unifiedDiff({ before, after, ...names }))).toBe(after);
});
