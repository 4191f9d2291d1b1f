/** State as text and back (src/cell/guest/state.ts), and what a guest throws (thrown.ts). */
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeState, encodeState } from "#cell/guest/state.ts";
import { describeThrown } from "#cell/guest/thrown.ts";

const round = (value: unknown): unknown => decodeState(encodeState(value));

const leaf = fc.oneof(
  fc.string(),
  fc.double(),
  fc.boolean(),
  fc.bigInt(),
  fc.constantFrom(null, undefined, -0, Number.NaN, Infinity),
  fc.date(),
  fc.uint8Array(),
  fc.float64Array(),
  fc.int16Array(),
  fc.uint8Array().map((bytes) => bytes.slice().buffer),
);
const { value: cloneable } = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, leaf, tie("array"), tie("object"), tie("map"), tie("set")),
  array: fc.array(tie("value"), { maxLength: 4 }),
  object: fc.dictionary(
    fc.string().filter((key) => key !== "__proto__"),
    tie("value"),
    { maxKeys: 4, noNullPrototype: true },
  ),
  map: fc
    .array(fc.tuple(tie("value"), tie("value")), { maxLength: 3 })
    .map((pairs) => new Map(pairs)),
  set: fc.array(tie("value"), { maxLength: 3 }).map((items) => new Set(items)),
}));

describe("state", () => {
  test("comes back as structured cloning gives it", () => {
    fc.assert(
      fc.property(cloneable, (value) => {
        expect(isDeepStrictEqual(round(value), structuredClone(value))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test("has one text: decoding and encoding again changes nothing", () => {
    fc.assert(
      fc.property(cloneable, (value) => {
        const text = encodeState(value);
        expect(encodeState(decodeState(text))).toBe(text);
        expect(text).not.toContain("\n");
      }),
    );
  });

  test("keeps cycles and what is shared", () => {
    const shared = { n: 1 };
    const cyclic: Record<string, unknown> = { shared, again: shared };
    cyclic["self"] = cyclic;
    cyclic["map"] = new Map([[shared, cyclic]]);
    const back = round(cyclic) as typeof cyclic & { map: Map<unknown, unknown> };
    expect(back["self"]).toBe(back);
    expect(back["again"]).toBe(back["shared"]);
    expect(back.map.get(back["shared"])).toBe(back);
  });

  test("keeps errors with their cause", () => {
    const back = round({ error: new TypeError("bad", { cause: new RangeError("worse") }) }) as {
      error: Error;
    };
    expect(back.error).toMatchObject({ name: "TypeError", message: "bad" });
    expect(back.error.cause).toMatchObject({ name: "RangeError", message: "worse" });
  });

  test("makes plain objects of instances, wherever they stand", () => {
    class Point {
      readonly x = 1;
      readonly inner = new Map([["p", { deep: new Date(7) }]]);
      get y() {
        return 2;
      }
    }
    const back = round({ list: [new Point()], at: new Map([["p", new Point()]]) }) as {
      list: object[];
    };
    expect(Object.getPrototypeOf(back.list[0])).toBe(Object.prototype);
    expect(back).toEqual({
      list: [{ x: 1, inner: new Map([["p", { deep: new Date(7) }]]) }],
      at: new Map([["p", { x: 1, inner: new Map([["p", { deep: new Date(7) }]]) }]]),
    });
  });

  test("that JSON holds as it is, is that JSON", () => {
    const plain = fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true });
    fc.assert(
      fc.property(plain, (value) => {
        fc.pre(!JSON.stringify(value).includes("__proto__"));
        const state: unknown = JSON.parse(JSON.stringify(value));
        expect(encodeState(state)).toBe(JSON.stringify(state));
        expect(round(state)).toEqual(state);
      }),
    );
  });

  test("is not trusted to JSON where JSON would lose something", () => {
    const shared = {};
    const sparse: number[] = [1];
    sparse[2] = 3;
    const deep: Record<string, unknown> = {};
    for (let at = deep, level = 0; level < 150; level += 1) {
      at = at["in"] = {} as Record<string, unknown>;
    }
    for (const value of [
      { n: -0 },
      { n: Number.NaN },
      { gone: undefined },
      { sparse },
      { a: shared, b: shared },
      { at: new Date(1) },
      { toJSON: "kept" },
      { list: Object.setPrototypeOf(sparse.slice(), Object.prototype) as object },
      deep,
    ]) {
      expect(encodeState(value)).toMatch(/^\[/);
      expect(isDeepStrictEqual(round(value), structuredClone(value))).toBe(true);
    }
  });

  test("that cannot be kept is refused, not lost", () => {
    for (const value of [
      { [Symbol("s")]: 1 },
      JSON.parse('{"__proto__": 1}'),
      () => 1,
      { f() {} },
      { list: Object.setPrototypeOf({ f() {} }, Array.prototype) as object },
      Symbol("s"),
      [Promise.resolve()].map(() => () => {}),
    ]) {
      expect(() => encodeState(value)).toThrow();
    }
  });
});

describe("what is thrown", () => {
  test("is text of bounded length, whatever it is", () => {
    fc.assert(
      fc.property(
        fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true, withMap: true }),
        (thrown) => {
          const { name, message, stack } = describeThrown(thrown);
          for (const text of [name, message, stack]) {
            expect(typeof text).toBe("string");
            expect(text.length).toBeLessThanOrEqual(8 * 1024);
          }
        },
      ),
    );
  });

  test("keeps an error's name, message and stack, and says a bare value as it is", () => {
    const error = new TypeError("bad");
    expect(describeThrown(error)).toEqual({
      name: "TypeError",
      message: "bad",
      stack: error.stack,
    });
    expect(
      [null, undefined, "text", 7, 8n, Symbol("s")].map((each) => describeThrown(each).message),
    ).toEqual(["null", "undefined", "text", "7", "8", "Symbol(s)"]);
  });

  test("loses only the parts whose getters throw again", () => {
    const hostile = {
      message: "kept",
      get name(): string {
        throw new Error("no");
      },
      get stack(): string {
        return "x".repeat(100_000);
      },
    };
    expect(describeThrown(hostile)).toEqual({
      name: "Error",
      message: "kept",
      stack: "x".repeat(8 * 1024),
    });
    const proxy = new Proxy(
      {},
      {
        get() {
          throw new Error("no");
        },
      },
    );
    expect(describeThrown(proxy)).toEqual({ name: "Error", message: "", stack: "" });
  });
});
