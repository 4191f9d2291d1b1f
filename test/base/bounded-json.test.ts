import fc from "fast-check";
import { expect, test } from "vitest";
import {
  excessOf,
  MAX_LEVELS,
  MAX_VALUES,
  parseBounded,
  repeatedName,
} from "#base/bounded-json.ts";

test("what is within the bounds is read as JSON.parse reads it", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 20 }), (text) => {
      expect(parseBounded(text)).toEqual(JSON.parse(text));
    }),
  );
});

test("what stands in strings does not count", () => {
  const inString = fc.string({ unit: fc.constantFrom("[", "{", ",", ":", '"', "\\", "x") });
  fc.assert(
    fc.property(inString, fc.nat(20), (text, copies) => {
      const whole = JSON.stringify(Array.from({ length: copies }, () => text.repeat(600)));
      expect(excessOf(whole)).toBeUndefined();
      expect(parseBounded(whole)).toEqual(JSON.parse(whole));
    }),
  );
});

test("levels are counted to the last one", () => {
  const nested = (levels: number) => "[".repeat(levels) + "1" + "]".repeat(levels);
  expect(excessOf(nested(MAX_LEVELS))).toBeUndefined();
  expect(excessOf(nested(MAX_LEVELS + 1))).toContain("levels deep");
  expect(excessOf('{"a":'.repeat(MAX_LEVELS + 1))).toContain("levels deep");
  expect(() => parseBounded("[".repeat(5_000_000))).toThrow("levels deep");
});

test("values are counted, whatever they are", () => {
  for (const each of ["1", "[]", "{}", '"x"', '{"a":1}'])
    expect(() => parseBounded(`[${`${each},`.repeat(MAX_VALUES)}1]`)).toThrow("values");
  expect(() => parseBounded(`[${"1,".repeat(MAX_VALUES - 2)}1]`)).not.toThrow();
});

test("text that is no JSON is measured as well, to its end", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 600, maxLength: 2000 }), (text) => void excessOf(text)),
  );
  expect(() => parseBounded(`"${"\\".repeat(1001)}`)).toThrow(SyntaxError);
});

test("a name that is given twice is found in the outermost levels, however it is spelt (invariant 2)", () => {
  const twice = {
    '{"a":1,"b":2,"a":3}': "a",
    '{"a":1, "\\u0061" : 3}': "a",
    '{"limits":{"timers":1,"timers":2}}': "limits.timers",
    '[{"a":1}]\n': undefined,
    '{"a":{"b":1},"c":{"b":1},"d":["a","a","b"]}': undefined,
    '{"args":[{"a":1,"a":2}]}': undefined,
    '{"a":"\\"b\\":1,\\"b\\":2"}': undefined,
  };
  for (const [text, name] of Object.entries(twice)) expect(repeatedName(text), text).toBe(name);
});

test("what was written from an object has no name twice", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), fc.nat(4), (text, spaces) => {
      expect(repeatedName(JSON.stringify(JSON.parse(text), null, spaces))).toBeUndefined();
    }),
  );
});
