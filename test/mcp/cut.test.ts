import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fitted } from "#mcp/cut.ts";

const json = fc.jsonValue({ maxDepth: 5, stringUnit: "binary" });

describe("an answer made to fit", () => {
  it("is never longer than the bound, whatever it holds", () => {
    fc.assert(
      fc.property(json, fc.integer({ min: 4, max: 300 }), fc.boolean(), (value, room, first) => {
        const { text, value: shown } = fitted(value, room, first ? "first" : "last");
        expect(text.length).toBeLessThanOrEqual(room);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(shown)));
      }),
    );
  });

  it("is left alone when it fits, and tells what is missing when it does not", () => {
    fc.assert(
      fc.property(json, fc.integer({ min: 4, max: 300 }), (value, room) => {
        const { text, cuts } = fitted(value, room);
        const whole = JSON.stringify(value);
        expect(text === whole).toBe(whole.length <= room);
        // A number or a word alone has no part to show.
        if (typeof value === "object" && value !== null) {
          expect(cuts.length > 0).toBe(whole.length > room);
        }
      }),
    );
  });

  it("keeps the first items of an array, or the last", () => {
    const lines = Array.from({ length: 100 }, (_, i) => ({ seq: i }));
    const first = fitted({ lines }, 60).value as { lines: { seq: number }[] };
    const last = fitted({ lines }, 60, "last").value as { lines: { seq: number }[] };
    expect(first.lines.map((line) => line.seq)).toEqual([0, 1, 2, 3]);
    expect(last.lines.map((line) => line.seq)).toEqual([96, 97, 98, 99]);
    expect(fitted({ lines }, 60).cuts).toEqual([
      { path: "lines", unit: "items", shown: 4, of: 100 },
    ]);
  });

  it("shortens the long texts and leaves the short fields of an object", () => {
    const { value, cuts } = fitted({ code: "x", log: "y".repeat(500), id: 7 }, 100);
    expect(value).toMatchObject({ code: "x", id: 7 });
    expect(cuts).toEqual([{ path: "log", unit: "characters", shown: expect.any(Number), of: 500 }]);
  });

  it("takes time in proportion to its size, however deep it is", () => {
    let deep: unknown = "x".repeat(1000);
    for (let i = 0; i < 400; i++) deep = [deep, "y".repeat(100)];
    const { text, cuts } = fitted(deep, 2000);
    expect(text.length).toBeLessThanOrEqual(2000);
    expect(cuts.length).toBeGreaterThan(0);
  });
});
