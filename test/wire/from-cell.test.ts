/** Reading what a cell says: exactly the type, or a throw (src/wire/from-cell.ts). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readDown, readHead, readLogLine, readRequest, readStarted } from "#wire/from-cell.ts";
import { DOWN_REASONS } from "#wire/messages.ts";

const text = fc.string();
const id = fc.integer({ min: 1, max: 0xffff_ffff });
const started = fc.record(
  { handlers: fc.array(text), version: text },
  { requiredKeys: ["handlers"] },
);
const down = fc.record(
  {
    reason: fc.constantFrom(...DOWN_REASONS),
    name: text,
    message: text,
    stack: text,
    unstarted: fc.array(id),
    current: id,
    seen: id,
    fastLane: fc.boolean(),
  },
  { requiredKeys: ["reason", "name", "message", "stack", "unstarted", "fastLane"] },
);
const line = fc.record({ level: fc.constantFrom("debug", "info", "warn", "error"), text });
const head = fc.record({
  status: fc.integer(),
  headers: fc.array(fc.tuple(text, text)),
  body: fc.boolean(),
});

const readers = [
  { name: "started", read: readStarted as (text: string) => unknown, message: started },
  { name: "down", read: readDown, message: down },
  { name: "log line", read: readLogLine, message: line },
  { name: "head", read: readHead, message: head },
] as const;

describe.each(readers)("$name", ({ read, message }) => {
  test("a message of its kind is read as it is", () => {
    fc.assert(
      fc.property(message as fc.Arbitrary<object>, (value) => {
        expect(read(JSON.stringify(value))).toEqual(value);
      }),
    );
  });

  test("what else is in the message does not get through", () => {
    fc.assert(
      fc.property(message as fc.Arbitrary<object>, (value) => {
        expect(read(JSON.stringify({ ...value, tenant: "other", extra: 1 }))).toEqual(value);
      }),
    );
  });

  test("a required field of another type is refused", () => {
    const wrong = fc.oneof(
      fc.constant(null),
      fc.constant({}),
      fc.constant([{}]),
      fc.constant(true),
    );
    fc.assert(
      fc.property(
        message as fc.Arbitrary<Record<string, unknown>>,
        wrong,
        fc.nat(),
        (value, bad, nat) => {
          // Flags are read as "true or not", so they alone may hold anything.
          const fields = Object.keys(value).filter(
            (field) => field !== "body" && field !== "fastLane",
          );
          const field = fields[nat % fields.length]!;
          expect(() => read(JSON.stringify({ ...value, [field]: bad }))).toThrow(TypeError);
        },
      ),
    );
  });

  test("anything else is refused", () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (garbage) => {
        expect(() => read(garbage)).toThrow();
      }),
    );
  });
});

test("a request is a method and its arguments, whatever they are", () => {
  expect(readRequest('["kv.get",["a",1]]')).toEqual({ method: "kv.get", args: ["a", 1] });
  expect(readRequest('["fetch",{"url":"x"}]')).toEqual({ method: "fetch", args: [{ url: "x" }] });
  for (const bad of ["{}", "null", '"kv.get"', "[1]", "[]", "[null,[]]", "", "["]) {
    expect(() => readRequest(bad), bad).toThrow();
  }
});

test("a reason that is not in the table is refused", () => {
  const value = { name: "", message: "", stack: "", unstarted: [] };
  for (const reason of ["toString", "__proto__", "", "Stopped", 1]) {
    expect(() => readDown(JSON.stringify({ ...value, reason }))).toThrow(TypeError);
  }
});
