/** What the host is told of the state (src/cell/guest/told.ts), and which keys never leave. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OUT } from "#cell/guest/lines.ts";
import { createOutbox } from "#cell/guest/outbox.ts";
import { matcher } from "#cell/guest/patterns.ts";
import { decodeState, utf8Bytes } from "#cell/guest/state.ts";
import { createTold } from "#cell/guest/told.ts";
import { hear } from "./support.ts";

function teller(state: unknown, options: { excluded?: string[]; stateBytes?: number } = {}) {
  const { excluded = [], stateBytes = 10_000 } = options;
  const holder = { state, idle: true };
  const outbox = createOutbox();
  const told = createTold({
    outbox,
    excluded,
    stateBytes,
    state: () => holder.state,
    idle: () => holder.idle,
  });
  return { holder, told, said: () => hear(outbox) };
}

const stateIn = (rest: string) => decodeState(rest);

test("tells a state once, and again when it is asked for", () => {
  const { holder, told, said } = teller({ n: 1 });
  told.tell();
  told.tell();
  expect(said().map(({ op, id }) => [op, id])).toEqual([[OUT.state, 0]]);
  told.answer(7, "changed");
  told.answer(8, "present");
  expect(said().map(({ op, id }) => [op, id])).toEqual([
    [OUT.unchanged, 7],
    [OUT.state, 8],
  ]);
  holder.state = { n: 2 };
  told.answer(9, "changed");
  const [line] = said();
  expect([line!.op, line!.id, stateIn(line!.rest)]).toEqual([OUT.state, 9, { n: 2 }]);
});

test("tells its whole state only to the next revision, and that does not count as told", () => {
  const { told, said } = teller({ n: 1, "cache:a": 2 }, { excluded: ["cache:*"] });
  told.answer(1, "whole");
  expect(stateIn(said()[0]!.rest)).toEqual({ n: 1, "cache:a": 2 });
  told.answer(2, "changed");
  expect(stateIn(said()[0]!.rest)).toEqual({ n: 1 });
  const map = teller(
    new Map<unknown, number>([
      ["cache:a", 1],
      ["b", 2],
      [3, 4],
    ]),
    {
      excluded: ["cache:*"],
    },
  );
  map.told.tell();
  expect(stateIn(map.said()[0]!.rest)).toEqual(
    new Map<unknown, number>([
      ["b", 2],
      [3, 4],
    ]),
  );
});

test("goes to sleep only when nothing is under way", () => {
  const { holder, told, said } = teller({ n: 1 });
  holder.idle = false;
  told.answer(1, "idle");
  expect(said().map(({ op, rest }) => [op, rest])).toEqual([[OUT.unchanged, ""]]);
  holder.idle = true;
  told.answer(2, "idle");
  expect(said().map(({ op }) => op)).toEqual([OUT.state]);
});

test("a state that cannot be told is an answer to who looks, and a crash when it must be kept", () => {
  const excess = [OUT.excess, { what: "state", value: expect.any(Number) }];
  for (const [state, ...excesses] of [
    [{ f() {} }],
    [{ text: "x".repeat(20_000) }, excess, excess],
  ]) {
    const { told, said } = teller(state);
    told.answer(1, "present");
    expect(said().map(({ op, rest }) => [op, JSON.parse(rest).code])).toEqual([
      [OUT.unchanged, "service_error"],
    ]);
    expect(() => told.tell()).toThrow();
    expect(() => told.answer(1, "changed")).toThrow();
    expect(said().map(({ op, rest }) => [op, JSON.parse(rest)])).toEqual(excesses);
  }
});

test("counts bytes as the disk does", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string(), (wild, tame) => {
      for (const text of [wild, tame, wild + tame]) {
        expect(utf8Bytes(text)).toBe(Buffer.byteLength(text));
      }
    }),
    { numRuns: 50 },
  );
  const { told } = teller("€".repeat(4000));
  expect(() => told.tell()).toThrow(/12004 bytes encoded; limits.state_bytes allows 10000/);
});

describe("patterns", () => {
  const naive = (pattern: string, key: string): boolean =>
    new RegExp(
      `^${pattern
        .split("*")
        .map((part) => RegExp.escape(part))
        .join("[\\s\\S]*")}$`,
    ).test(key);

  test("cover what a regular expression would", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", ".", ":"), maxLength: 8 });
    const pattern = fc.string({ unit: fc.constantFrom("a", "b", ".", ":", "*"), maxLength: 6 });
    fc.assert(
      fc.property(pattern, text, (each, key) => {
        expect(matcher([each])(key)).toBe(naive(each, key));
      }),
      { numRuns: 1000 },
    );
  });

  test("cover whole keys, any of several", () => {
    const leftOut = matcher(["cache:*", "session.*", "exact"]);
    expect(["cache:", "cache:a", "session.1", "exact"].every(leftOut)).toBe(true);
    expect(["cach", "xcache:a", "sessions", "exactly"].some(leftOut)).toBe(false);
  });
});
