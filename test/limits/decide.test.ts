import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { APPROACH_AT, decide, NO_PAST, owed, TELL_EVERY_MS, type Past } from "#limits/decide.ts";
import type { LimitAction, Violation } from "#limits/limit.ts";

const reading = fc.record({
  value: fc.integer({ min: 0, max: 200 }),
  afterMs: fc.integer({ min: 0, max: TELL_EVERY_MS }),
});

interface Told extends Violation {
  readonly at: number;
}

function run(readings: readonly { value: number; afterMs: number }[], action: LimitAction) {
  const told: Told[] = [];
  const acts: { value: number; act: LimitAction | undefined }[] = [];
  let past: Past = NO_PAST;
  let now = 0;
  for (const { value, afterMs } of readings) {
    now += afterMs;
    const decision = decide(past, { what: "cpu", value, limit: 100, action, now });
    past = decision.past;
    acts.push({ value, act: decision.act });
    if (decision.tell !== undefined) told.push({ ...decision.tell, at: now });
  }
  return { told, acts, past, now };
}

const anyAction = fc.constantFrom<LimitAction>("warn", "throttle", "kill");

describe("a decision on a limit", () => {
  test("acts exactly on values above the limit", () => {
    fc.assert(
      fc.property(fc.array(reading), anyAction, (readings, action) => {
        for (const { value, act } of run(readings, action).acts)
          expect(act).toBe(value > 100 ? action : undefined);
      }),
    );
  });

  test("tells an excess at most once in the interval, whatever the flood", () => {
    fc.assert(
      fc.property(fc.array(reading), (readings) => {
        const excesses = run(readings, "throttle").told.filter(({ level }) => level === "exceeded");
        for (const [i, { at }] of excesses.entries())
          if (i > 0) expect(at - excesses[i - 1]!.at).toBeGreaterThanOrEqual(TELL_EVERY_MS);
      }),
    );
  });

  test("loses nothing: told and owed together are what happened, with the highest value", () => {
    fc.assert(
      fc.property(fc.array(reading), (readings) => {
        const { told, past, now } = run(readings, "throttle");
        const last = owed(past, {
          what: "cpu",
          limit: 100,
          action: "throttle",
          now: now + TELL_EVERY_MS,
        });
        const all = last.tell === undefined ? told : [...told, last.tell];
        const over = readings.filter(({ value }) => value > 100);
        const counts = all.map(({ count }) => count);
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(over.length);
        const worst = Math.max(0, ...over.map(({ value }) => value));
        const toldWorst = all.filter(({ level }) => level === "exceeded").map((each) => each.value);
        expect(Math.max(0, ...toldWorst)).toBe(worst);
        expect(last.past.untold).toBe(0);
      }),
    );
  });

  test("tells of an approach before the excess of a value that climbs", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), (step) => {
        const climb = Array.from({ length: 200 }, (_, i) => ({ value: i * step, afterMs: 1 }));
        const levels = run(climb, "throttle").told.map(({ level }) => level);
        expect(levels.slice(0, 2)).toEqual(["approach", "exceeded"]);
      }),
    );
  });

  test("tells an approach once, however the value trembles around its beginning", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 75, max: 85 }), { minLength: 1 }), (values) => {
        const { told } = run(
          values.map((value) => ({ value, afterMs: TELL_EVERY_MS })),
          "warn",
        );
        const near = values.some((value) => value >= 100 * APPROACH_AT);
        expect(told.length).toBe(near ? 1 : 0);
      }),
    );
  });
});
