/** States for people, and as documents that vouch for themselves (src/deploy/state-view.ts,
 *  state-document.ts). */
import { stringify } from "devalue";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromDocument, toDocument } from "#deploy/state-document.ts";
import { viewState } from "#deploy/state-view.ts";

const view = (value: unknown) => viewState(stringify(value));

describe("a view", () => {
  test("of plain JSON is that JSON", () => {
    // What a guest encodes has no own `__proto__`: devalue refuses it.
    const encodable = fc
      .jsonValue()
      .filter((value) => !JSON.stringify(value).includes("__proto__"));
    fc.assert(
      fc.property(encodable, (value) => {
        const plain: unknown = JSON.parse(JSON.stringify(value));
        expect(view(plain)).toEqual({ value: plain, truncated: false });
        expect(viewState(JSON.stringify({ plain })).value).toEqual({ plain });
      }),
    );
  });

  test("names what JSON lacks", () => {
    const shared = { n: 1 };
    const { value } = view({
      at: new Date(0),
      big: 12n,
      map: new Map<unknown, unknown>([["a", new Set([1, shared])]]),
      nothing: undefined,
      numbers: [Number.NaN, -0, Infinity],
      bytes: new Uint8Array([1, 2, 3]),
      pattern: /a+/g,
      shared,
    });
    expect(value).toEqual({
      at: { $date: "1970-01-01T00:00:00.000Z" },
      big: { $bigint: "12" },
      map: { $map: [["a", { $set: [1, { n: 1 }] }]] },
      numbers: [{ $number: "NaN" }, { $number: "-0" }, { $number: "Infinity" }],
      bytes: { $bytes: "AQID", type: "Uint8Array", length: 3 },
      pattern: { $regexp: ["a+", "g"] },
      shared: { n: 1 },
    });
  });

  test("of a cycle ends where it began", () => {
    const cyclic: Record<string, unknown> = { list: [] };
    (cyclic["list"] as unknown[]).push(cyclic);
    expect(view(cyclic).value).toEqual({ list: [{ $ref: "$" }] });
  });

  test("of a state that would explode is cut off, and says so", () => {
    let bomb: unknown = "x";
    for (let n = 0; n < 40; n += 1) bomb = [bomb, bomb];
    const { value, truncated } = view(bomb);
    expect(truncated).toBe(true);
    expect(JSON.stringify(value).length).toBeLessThan(4_000_000);
    let deep = "{}";
    for (let n = 0; n < 1000; n += 1) deep = `{"in":${deep}}`;
    expect(viewState(deep).truncated).toBe(true);
    expect(viewState(`{"many":[${"[],".repeat(60_000)}1]}`).truncated).toBe(true);
  });

  test("of what no guest encoded is an error, whatever it is", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.array(fc.jsonValue()).map((a) => JSON.stringify(a)),
        ),
        (text) => {
          try {
            JSON.stringify(viewState(text));
          } catch (error) {
            expect(error).toBeInstanceOf(TypeError);
          }
        },
      ),
    );
    for (const text of ["[]", "7", "null", "[[99]]", '[["Map",0]]'.replace("0", "9,9")]) {
      expect(() => viewState(text), text).toThrow(TypeError);
    }
  });
});

describe("a document", () => {
  const snapshot = { sourceHash: "abc", version: "2", state: stringify({ n: 1 }) };

  test("is taken as it was made, also after a trip through JSON", () => {
    const document = JSON.parse(JSON.stringify(toDocument(snapshot)));
    expect(fromDocument(document, 1000)).toEqual(snapshot);
    const unnamed = { ...snapshot, version: undefined };
    expect(fromDocument(JSON.parse(JSON.stringify(toDocument(unnamed))), 1000)).toEqual(unnamed);
  });

  test("that was altered anywhere is refused by the field that shows it", () => {
    const document = toDocument(snapshot);
    const altered: [object, string][] = [
      [{ format: "other" }, "document.format"],
      [{ form: 2 }, "document.form"],
      [{ state: stringify({ n: 2 }) }, "document.sha256"],
      [{ version: "3" }, "document.sha256"],
      [{ source_hash: "abd" }, "document.sha256"],
      [{ sha256: "0".repeat(64) }, "document.sha256"],
      [toDocument({ ...snapshot, state: "[]" }), "document.state"],
    ];
    for (const [change, field] of altered) {
      const taking = () => fromDocument({ ...document, ...change }, 1000);
      expect(taking, field).toThrow(expect.objectContaining({ code: "invalid_argument" }) as Error);
      expect(taking, field).toThrow(new RegExp(`^${field} `));
    }
    expect(() => fromDocument(document, 3)).toThrow(
      expect.objectContaining({ code: "payload_too_large" }),
    );
  });
});
