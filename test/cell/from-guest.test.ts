import fc from "fast-check";
import { expect, test } from "vitest";
import { GuestFailure } from "#cell/engine.ts";
import { believed, readBytes, readSalvage, readThrown } from "#cell/from-guest.ts";
import { readLogLine, readRequest, readShapes, readStarted } from "#wire/from-cell.ts";

const READERS = { readThrown, readSalvage, readLogLine, readRequest, readShapes, readStarted };
/** Arbitrary text, JSON of anything, and JSON with something else behind it. */
const said = fc.oneof(
  fc.string(),
  fc.json(),
  fc.tuple(fc.json(), fc.string()).map((parts) => parts.join("\n")),
);

test("whatever a guest says is read, or is that guest's own failure", () => {
  for (const read of Object.values(READERS)) {
    fc.assert(
      fc.property(said, (text) => {
        try {
          believed<unknown>(read, text);
        } catch (error) {
          expect(error).toBeInstanceOf(GuestFailure);
        }
      }),
    );
  }
});

test("what was thrown is three texts", () => {
  const thrown = { name: "E", message: "m", stack: "" };
  expect(readThrown(JSON.stringify({ ...thrown, more: 1 }))).toEqual(thrown);
  for (const broken of ["null", "{}", '{"name":1,"message":{},"stack":[]}'])
    expect(() => believed(readThrown, broken)).toThrow(GuestFailure);
});

test("a salvage names messages by their ids", () => {
  expect(readSalvage('{"current":1,"waiting":[2,3]}\n0R 1')).toEqual({
    current: 1,
    waiting: [2, 3],
    said: "0R 1",
  });
  for (const broken of ['{"current":1,"waiting":7}\n', '{"current":-1,"waiting":[]}\n', "0", "{}"])
    expect(() => believed(readSalvage, broken)).toThrow(GuestFailure);
});

test("only byte arrays are handed over", () => {
  const bytes = [new Uint8Array([1])];
  expect(readBytes(bytes)).toBe(bytes);
  for (const broken of [undefined, 7, ["x"], [{ length: 1e9 }]])
    expect(() => readBytes(broken)).toThrow(GuestFailure);
});
