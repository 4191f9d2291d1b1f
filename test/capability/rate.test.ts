import fc from "fast-check";
import { expect, test } from "vitest";
import { LastMinute } from "#capability/rate.ts";

const steps = fc.array(fc.oneof(fc.nat(50), fc.nat(5_000), fc.nat(90_000)), { maxLength: 200 });

test("no 60 seconds hold more uses than the limit, and who waits as told gets through", () => {
  fc.assert(
    fc.property(fc.nat(1e9), fc.integer({ min: 1, max: 20 }), steps, (start, limit, pauses) => {
      let now = start / 7;
      const minute = new LastMinute(now);
      const passed: number[] = [];
      for (const pause of pauses) {
        now += pause;
        const inTrueMinute = passed.filter((at) => at > now - 60_000).length;
        expect(minute.count(now)).toBeGreaterThanOrEqual(inTrueMinute);
        if (minute.count(now) >= limit) {
          const wait = minute.msUntilRoom(now);
          expect(wait).toBeGreaterThan(0);
          expect(wait).toBeLessThanOrEqual(61_000);
          now += wait;
          expect(minute.count(now)).toBeLessThan(limit);
        }
        minute.take(now);
        passed.push(now);
        expect(passed.filter((at) => at > now - 60_000).length).toBeLessThanOrEqual(limit);
      }
    }),
    { numRuns: 300 },
  );
});

test("a minute later nothing is counted any more", () => {
  const minute = new LastMinute(0);
  for (let i = 0; i < 5; i++) minute.take(i);
  expect(minute.count(59_999)).toBe(5);
  expect(minute.count(61_001)).toBe(0);
  expect(minute.count(1e9)).toBe(0);
});
