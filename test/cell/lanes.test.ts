/** Which thread a turn runs on (src/cell/lanes.ts), and the host's timers (timers.ts). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PoolGate, Record as LaneRecord } from "#cell/lanes.ts";
import { GuestTimers } from "#cell/timers.ts";
import { until } from "../support/until.ts";

const SLOTS = 4;
const settle = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe("the pool's gate", () => {
  test("never lets more in than it has places, and nobody twice", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 40 }), async (steps) => {
        const gate = new PoolGate();
        const inside: (() => void)[] = [];
        let entered = 0;
        let asked = 0;
        for (const enter of steps) {
          if (enter) {
            asked += 1;
            void gate.enter().then((leave) => {
              entered += 1;
              inside.push(leave);
            });
          } else {
            const leave = inside.shift();
            leave?.();
            // Leaving again gives no second place.
            leave?.();
          }
          for (let turn = 0; turn < 4; turn += 1) await Promise.resolve();
          expect(inside.length).toBeLessThanOrEqual(SLOTS);
          expect(inside.length === SLOTS || entered === asked).toBe(true);
        }
        for (const leave of inside) leave();
      }),
    );
  });

  test("lets those who wait in by order of arrival", async () => {
    const gate = new PoolGate();
    const first = await Promise.all(Array.from({ length: SLOTS }, () => gate.enter()));
    const order: number[] = [];
    for (const n of [1, 2, 3]) void gate.enter().then(() => order.push(n));
    for (const leave of first.slice(0, 3)) {
      leave();
      await settle();
    }
    expect(order).toEqual([1, 2, 3]);
  });

  test("does not count a turn that has run for long: loops starve nobody (invariant 1)", async () => {
    const gate = new PoolGate();
    const loops = await Promise.all(Array.from({ length: SLOTS }, () => gate.enter()));
    const leave = await gate.enter();
    leave();
    // A loop that ends late gives no second place back.
    for (const late of loops) late();
    let inside = 0;
    for (let n = 0; n < SLOTS + 3; n += 1) void gate.enter().then(() => (inside += 1));
    await Promise.resolve();
    await Promise.resolve();
    expect(inside).toBeLessThanOrEqual(SLOTS);
    await until(() => inside === SLOTS + 3, "everybody to get in");
  });
});

describe("a guest's record", () => {
  const quick = (record: LaneRecord, times: number, handlers = ["a"]) => {
    for (let n = 0; n < times; n += 1) record.note(handlers, 0.1);
  };

  test("proves a handler after fifty quick turns in a row, and one slow turn takes that back", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(0.1, 5), { maxLength: 200 }), (turns) => {
        const record = new LaneRecord();
        for (const ms of turns) record.note(["a"], ms);
        expect(record.isProven(["a"])).toBe(turns.length - 1 - turns.lastIndexOf(5) >= 50);
      }),
    );
  });

  test("trusts a turn only when all of its handlers are proven", () => {
    const record = new LaneRecord();
    quick(record, 50);
    expect([record.isProven(["a"]), record.isProven(["a", "b"])]).toEqual([true, false]);
    quick(record, 50, ["b"]);
    expect(record.isProven(["a", "b"])).toBe(true);
    record.note(["a", "b"], 5);
    expect([record.isProven(["a"]), record.isProven(["b"])]).toEqual([false, false]);
  });

  test("of a guest that overran this thread once proves nothing any more", () => {
    const record = new LaneRecord();
    quick(record, 50);
    record.ban();
    quick(record, 50);
    expect(record.isProven(["a"])).toBe(false);
  });
});

describe("the host's timers", () => {
  test("fire for the ids they were set for; repeated ones again and again until stopped", async () => {
    const fired: number[] = [];
    const timers = new GuestTimers((id) => void fired.push(id));
    timers.start(1, "0 0");
    timers.start(2, "1 1");
    await until(() => fired.filter((id) => id === 2).length >= 3, "three ticks");
    timers.stop(2);
    expect(fired.filter((id) => id === 1)).toEqual([1]);
    const count = fired.length;
    timers.start(3, "0 0");
    await until(() => fired.includes(3), "the third timer");
    expect(fired.length).toBe(count + 1);
    timers.stopAll();
  });

  test("ignore what is no time, and a second timer of the same id", async () => {
    const fired: number[] = [];
    const timers = new GuestTimers((id) => void fired.push(id));
    for (const [id, rest] of ["NaN 0", "Infinity 1", "x 0"].entries()) timers.start(id, rest);
    timers.start(7, "1 0");
    timers.start(7, "1 0");
    await until(() => fired.length > 0, "the timer");
    await settle();
    timers.stopAll();
    expect(fired).toEqual([7]);
  });
});
