/** Places in a source, and stacks mapped to it (src/compiler/position.ts, stack.ts). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compile } from "#compiler/compile.ts";
import { placeOf } from "#compiler/position.ts";
import { mapStack } from "#compiler/stack.ts";

describe("a place", () => {
  const source = fc
    .array(fc.stringMatching(/^[ -~]{0,12}$/), { minLength: 1, maxLength: 6 })
    .map((lines) => lines.join("\n"));

  test("has the line and column that counting gives", () => {
    fc.assert(
      fc.property(source, fc.nat(), (text, nat) => {
        const offset = nat % (text.length + 1);
        let line = 1;
        let column = 1;
        for (const char of text.slice(0, offset)) {
          if (char === "\n") [line, column] = [line + 1, 1];
          else column += 1;
        }
        expect(placeOf(text, offset)).toMatchObject({ line, column });
      }),
    );
  });

  test("is marked by a caret under its character, below at most two lines of context", () => {
    fc.assert(
      fc.property(source, fc.nat(), (text, nat) => {
        const offset = nat % (text.length + 1);
        const { line, excerpt } = placeOf(text, offset);
        const rows = excerpt.split("\n");
        expect(rows).toHaveLength(Math.min(line, 3) + 1);
        const caret = rows.at(-1)!.indexOf("^");
        expect(rows.at(-2)!.at(caret)).toBe(text[offset] === "\n" ? undefined : text[offset]);
      }),
    );
  });

  test("in a minified line shows what is around it, and no more", () => {
    const text = `${"a".repeat(100_000)}!${"b".repeat(100_000)}`;
    const { excerpt } = placeOf(text, 100_000);
    const [row = "", caret = ""] = excerpt.split("\n");
    expect(row.at(caret.indexOf("^"))).toBe("!");
    expect(excerpt.length).toBeLessThan(500);
  });

  test("does not show carriage returns", () => {
    expect(placeOf("one\r\ntwo!\r\n", 8).excerpt).toBe("1 | one\n2 | two!\n  |    ^");
  });
});

describe("a stack", () => {
  const source = `interface Unused { a: number }
type Alias = Unused;

export default {
  calls: {
    fail(): never {
      throw new Error("here");
    },
  },
};
`;
  const { modules } = compile({ files: { "index.ts": source }, entry: "index.ts" });
  const maps = { "index.ts": modules[0]!.map };
  /** Where the compiled code throws. */
  const thrownAt = (): string => {
    const rows = modules[0]!.code.split("\n");
    const row = rows.findIndex((each) => each.includes("throw new Error"));
    return `${row + 1}:${rows[row]!.indexOf("throw") + 1}`;
  };

  test("is told in the agent's own source", () => {
    const stack = `Error: here\n    at Object.fail (index.ts:${thrownAt()})\n    at async index.ts:${thrownAt()}`;
    expect(mapStack({ stack, maps })).toBe(
      "Error: here\n    at Object.fail (index.ts:7:7)\n    at async index.ts:7:7",
    );
  });

  test("leaves out what is ours, and leaves alone what it does not know", () => {
    const stack =
      "Error: x\n    at run (solo:bridge:1:100)\n    at other.js:3:4\n    at (<isolated-vm boundary>)\n    at a";
    expect(mapStack({ stack, maps })).toBe("Error: x\n    at other.js:3:4\n    at a");
  });

  test("is the guest's text: names of an object's own parts are not files", () => {
    for (const file of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
      const stack = `Error\n    at f (${file}:1:1)`;
      expect(mapStack({ stack, maps })).toBe(stack);
    }
  });

  test("never throws, whatever the text", () => {
    const line = fc.oneof(
      fc.string(),
      fc.tuple(fc.nat(3), fc.nat(3)).map(([row, column]) => `at f (index.ts:${row}:${column})`),
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        expect(typeof mapStack({ stack: lines.join("\n"), maps })).toBe("string");
      }),
    );
  });
});
