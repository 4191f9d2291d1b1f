/** The life of a service as one table (src/kernel/services/replica/lifecycle.ts), and its timers. */
import fc from "fast-check";
import { systemClock } from "#base/clock.ts";
import { describe, expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import { Lifecycle, type ServiceState } from "#kernel/services/replica/lifecycle.ts";
import { MessageTimers } from "#kernel/services/messages/message-timers.ts";
import { until } from "../support/until.ts";

const STATES: readonly ServiceState[] = [
  "starting",
  "running",
  "crashed",
  "restarting",
  "draining",
  "stopped",
  "quarantined",
  "deployment_failed",
  "hibernated",
];

/** Every path of moves that the table allows, up to where nothing new is reached. */
function reachable(): Map<ServiceState, readonly ServiceState[]> {
  const paths = new Map<ServiceState, readonly ServiceState[]>([["starting", []]]);
  for (const path of paths.values()) {
    for (const next of STATES) {
      const life = new Lifecycle(() => {});
      for (const state of path) life.move(state);
      if (life.can(next) && !paths.has(next)) paths.set(next, [...path, next]);
    }
  }
  return paths;
}

test("every state can be reached, and from each but a failed deployment there is a way to an end", () => {
  const paths = reachable();
  expect([...paths.keys()].toSorted()).toEqual([...STATES].toSorted());
  for (const path of paths.values()) {
    const life = new Lifecycle(() => {});
    for (const state of path) life.move(state);
    if (life.state === "deployment_failed") continue;
    if (life.can("draining")) life.move("draining");
    if (life.state !== "stopped") life.move("stopped");
    expect(life.state).toBe("stopped");
  }
});

test("a move happens exactly when the table has it, and is told once", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...STATES), { maxLength: 30 }), (moves) => {
      const told: string[] = [];
      const life = new Lifecycle((from, to) => void told.push(`${from}→${to}`));
      for (const to of moves) {
        const from = life.state;
        const before = told.length;
        if (life.can(to)) {
          life.move(to);
          expect(told.slice(before)).toEqual([`${from}→${to}`]);
        } else {
          expect(() => life.move(to)).toThrow(SoloError);
          expect([life.state, told.length]).toEqual([from, before]);
        }
      }
    }),
  );
});

test("nobody goes back to running without starting or restarting", () => {
  const paths = reachable();
  for (const [state, path] of paths) {
    const life = new Lifecycle(() => {});
    for (const each of path) life.move(each);
    expect(life.can("running"), state).toBe(state === "starting" || state === "restarting");
  }
});

describe("timers", () => {
  const delivering = (deliver: (json: string) => void, settled = true) => ({
    clock: systemClock,
    deliver: (json: string) => {
      deliver(json);
      return { settled };
    },
    started: () => {},
    ended: () => {},
  });

  test("leave a repetition out while the message before it is not handled", async () => {
    const got: string[] = [];
    const timers = new MessageTimers(delivering((json) => void got.push(json), false));
    timers.start(10, true, "stuck");
    timers.start(100, false, "later");
    await until(() => got.includes('"later"'), "a later message");
    expect(got).toEqual(['"stuck"', '"later"']);
    timers.clear();
  });

  test("of all intervals together fire at most so often", () => {
    const timers = new MessageTimers(delivering(() => {}));
    for (let n = 0; n < 10; n += 1) timers.start(10, true, null);
    expect(() => timers.start(10, true, null)).toThrow(/1000 times a second/);
    expect(() => timers.start(1, false, null)).not.toThrow();
    timers.clear();
    expect(() => timers.start(10, true, null)).not.toThrow();
    timers.clear();
  });

  test("deliver their message once, or again and again until cancelled", async () => {
    const got: string[] = [];
    const timers = new MessageTimers(delivering((json) => void got.push(json)));
    timers.start(0, false, { n: 1 });
    const every = timers.start(10, true, "tick");
    await until(() => got.filter((json) => json === '"tick"').length >= 2, "two ticks");
    timers.cancel(every);
    const count = got.length;
    timers.start(0, false, "last");
    await until(() => got.includes('"last"'), "the last");
    expect(got.filter((json) => json === '{"n":1}')).toHaveLength(1);
    expect(got).toHaveLength(count + 1);
    timers.clear();
  });

  test("go on for the next revision", async () => {
    const got: string[] = [];
    const timers = new MessageTimers(delivering(() => void got.push("old")));
    timers.start(0, false, 1);
    timers.redirect(delivering(() => void got.push("new")));
    await until(() => got.length > 0, "the message");
    expect(got).toEqual(["new"]);
  });

  test("refuse what is no time, too many, and messages that are too large", () => {
    let count = 0;
    const timers = new MessageTimers({
      ...delivering(() => {}),
      started: () => {
        if (count === 1000) throw new SoloError("limit_exceeded", "There are too many.");
        count += 1;
      },
      ended: () => void (count -= 1),
    });
    for (const ms of [-1, Number.NaN, Infinity, 2 ** 31, "5", null, undefined, {}]) {
      expect(() => timers.start(ms, false, 1)).toThrow(SoloError);
    }
    expect(() => timers.start(9, true, 1)).toThrow(SoloError);
    expect(() => timers.start(1, false, "x".repeat(20_000))).toThrow(/16384/);
    for (let n = 0; n < 1000; n += 1) timers.start(60_000, false, null);
    expect(() => timers.start(60_000, false, null)).toThrow(SoloError);
    timers.clear();
    expect(timers.start(60_000, false, null)).toBe(1001);
    timers.clear();
  });

  test("that are not there are cancelled without a word", () => {
    const timers = new MessageTimers(delivering(() => {}));
    for (const id of [1, "x", null, undefined, {}, Number.NaN])
      expect(() => timers.cancel(id)).not.toThrow();
  });
});
