import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { humanBytes, humanDuration, printable } from "#cli/render/format.ts";
import { plain } from "#cli/render/paint.ts";
import { table } from "#cli/render/table.ts";
import { duration, jsonOrWord, keyValue } from "#cli/values.ts";

describe("an argument of a call", () => {
  test("that is JSON is that value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        expect(jsonOrWord(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  test.each(["word", "two words", "a@b.c", "2026-01-01", "0x10", "1e", "nul", ""])(
    "that is not JSON is its own text: %j",
    (text) => expect(jsonOrWord(text)).toBe(text),
  );

  test.each(["{a:1}", "[1,", '"open'])("that only looks like JSON is refused: %s", (text) => {
    expect(() => jsonOrWord(text)).toThrow("not valid JSON");
  });
});

test.each([
  ["5", 5],
  ["500ms", 500],
  ["1.5s", 1500],
  ["2m", 120_000],
  ["1h", 3_600_000],
])("the duration %s is %i ms", (text, ms) => expect(duration(text)).toBe(ms));

test.each(["0", "-1s", "5d", "25h", "s", ""])("%j is no duration", (text) => {
  expect(() => duration(text)).toThrow("Expected a duration");
});

test("the value of KEY=VALUE may hold anything", () => {
  expect(keyValue("A=b=c", { Z: "1" })).toEqual({ Z: "1", A: "b=c" });
});

test.each([
  [0.123, "0.12 ms"],
  [999.94, "999.9 ms"],
  [1000, "1.0 s"],
  [59_999, "59.9 s"],
  [60_000, "1m 0s"],
  [90_061_000, "1d 1h"],
])("%d ms reads as %s", (ms, text) => expect(humanDuration(ms)).toBe(text));

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1.0 KiB"],
  [1_572_864, "1.5 MiB"],
])("%d bytes read as %s", (bytes, text) => expect(humanBytes(bytes)).toBe(text));

test("printable text holds no control character but line ends and tabs", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary-ascii" }), (text) => {
      expect(printable(text)).not.toMatch(/[^\n\t\u0020-\u007e]/);
    }),
  );
});

test("a table's columns stay aligned whatever is in the cells", () => {
  const rows = [
    { name: "a\nb", n: 1 },
    { name: undefined, n: 20_000 },
  ];
  expect(table({ rows, columns: ["name", "n"], paint: plain })).toBe(
    "NAME      N\na\\nb      1\n-     20000",
  );
});
