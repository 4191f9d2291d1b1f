import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Guest } from "./guest.ts";

describe("console", () => {
  let guest: Guest;
  beforeAll(async () => {
    guest = await Guest.open();
  });
  afterAll(() => guest[Symbol.dispose]());

  const logOf = (code: string): [string, string][] => {
    guest.evaluate(`${code}; undefined`);
    return guest.takeLog();
  };

  test.each<[string, string]>([
    [`console.log("a", "b")`, "a b"],
    [`console.log()`, ""],
    [
      `console.log("%s is %d and %i, %f, %j %o %O %%", "x", 4.5, 4.5, "1.5", { a: 1 }, [1], { b: 2 }, "rest")`,
      `x is 4.5 and 4, 1.5, {"a":1} [ 1, [length]: 1 ] { b: 2 } % rest`,
    ],
    [
      `console.log({ a: 1, b: "text", c: [1, 2], d: null, e: undefined })`,
      "{ a: 1, b: 'text', c: [ 1, 2 ], d: null, e: undefined }",
    ],
    [
      `console.log(new Map([["k", { v: 1 }]]), new Set([1]))`,
      "Map(1) { 'k' => { v: 1 } } Set(1) { 1 }",
    ],
    [
      `console.log(1n, Symbol("s"), -0, /x/g, new Date(0))`,
      "1n Symbol(s) -0 /x/g 1970-01-01T00:00:00.000Z",
    ],
    [
      `console.log(class A {}, function f() {}, () => {})`,
      "[class A] [Function: f] [Function (anonymous)]",
    ],
    [
      `const loop = { a: 1 }; loop.self = loop; console.log(loop)`,
      "<ref *1> { a: 1, self: [Circular *1] }",
    ],
    [`console.log({ get boom() { throw new Error("never called"); } })`, "{ boom: [Getter] }"],
    [`console.dir({ a: { b: { c: {} } } }, { depth: 0 })`, "{ a: [Object] }"],
    [
      `console.log(Object.create(null), new (class Point { x = 1 })())`,
      "[Object: null prototype] {} Point { x: 1 }",
    ],
    [
      `console.log(new Uint8Array(3), new ArrayBuffer(1).byteLength)`,
      "Uint8Array(3) [ 0, 0, 0 ] 1",
    ],
    [`console.log(new Headers({ a: "1" }))`, "Headers { a: '1' }"],
    [`console.log(new ReadableStream())`, "ReadableStream { locked: false, state: 'readable' }"],
  ])("%s", (code, expected) => {
    expect(logOf(`(() => { ${code} })()`)).toEqual([["info", expected]]);
  });

  test("each method has its level", () => {
    expect(
      logOf(`console.debug("d"); console.info("i"); console.warn("w"); console.error("e")`),
    ).toEqual([
      ["debug", "d"],
      ["info", "i"],
      ["warn", "w"],
      ["error", "e"],
    ]);
  });

  test("errors show their stack", () => {
    const [[level, text]] = logOf(`console.error(new RangeError("too far"))`) as [[string, string]];
    expect(level).toBe("error");
    expect(text).toMatch(/^RangeError: too far\n {4}at /);
  });

  test("assert, count, time and group do what the standard says", () => {
    const lines = logOf(`
      console.assert(true, "no"); console.assert(false, "yes %s", 1); console.assert(false);
      console.count(); console.count(); console.count("x"); console.countReset(); console.count(); console.countReset("none");
      console.group("outer"); console.log("in\\nside"); console.group(); console.log("deep"); console.groupEnd(); console.groupEnd(); console.log("out");
      console.time("t"); console.timeLog("t", 5); console.timeEnd("t"); console.timeEnd("t")`);
    expect(lines.map(([level, text]) => `${level} ${text}`)).toEqual([
      "error Assertion failed: yes 1",
      "error Assertion failed",
      "info default: 1",
      "info default: 2",
      "info x: 1",
      "info default: 1",
      "warn Warning: Count for 'none' does not exist",
      "info outer",
      "info   in\n  side",
      "info     deep",
      "info out",
      "info t: 0ms 5",
      "info t: 0ms",
      "warn Warning: No such label 't' for console.timeEnd()",
    ]);
  });

  test("tables are drawn as Node draws them", () => {
    const [[, text]] = logOf(`console.table([{ a: 1, b: "x" }, { a: 2 }])`) as [[string, string]];
    expect(text.split("\n")).toEqual([
      "┌─────────┬───┬─────┐",
      "│ (index) │ a │ b   │",
      "├─────────┼───┼─────┤",
      "│ 0       │ 1 │ 'x' │",
      "│ 1       │ 2 │     │",
      "└─────────┴───┴─────┘",
    ]);
  });

  test("depth, items and length are bounded", () => {
    const [[, deep]] = logOf(
      `let d = {}; for (let i = 0; i < 50; i++) d = { d }; console.log(d)`,
    ) as [[string, string]];
    expect(deep).toContain("[Object]");
    const [[, wide]] = logOf(`console.log(Array.from({ length: 1000 }, (_, i) => i))`) as [
      [string, string],
    ];
    expect(wide).toContain("900 more items");
    const [[, long]] = logOf(`console.log("x".repeat(1e6))`) as [[string, string]];
    expect(long.length).toBeLessThan(66_000);
    expect(long).toContain("more characters");
  });

  test("the engine's own console hooks are gone", () => {
    expect(
      guest.evaluate(
        `["context", "createTask", "memory", "profile"].filter((name) => name in console).join()`,
      ),
    ).toBe("");
  });
});
