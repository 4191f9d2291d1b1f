/** Whether a new revision may stay (src/kernel/upgrades/judge.ts), and what it is judged by. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { WATCHDOG, watchdogFrom, type Performance } from "#deploy/watchdog.ts";
import { SLOTS, bucketOf, p95Of } from "#kernel/services/replica/durations.ts";
import { together, Vitals } from "#kernel/services/replica/vitals.ts";
import { judge, type Verdict } from "#kernel/upgrades/judge.ts";

const performance = fc
  .record({
    overMs: fc.integer({ min: 0, max: 60_000 }),
    messages: fc.nat(10_000),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    crashes: fc.nat(20),
    p95Ms: fc.double({ min: 0, max: 10_000, noNaN: true }),
    memoryBytes: fc.nat(500_000_000),
  })
  .map(({ share, ...rest }): Performance => ({
    ...rest,
    errors: Math.floor(rest.messages * share),
  }));

const idle: Performance = {
  overMs: 0,
  messages: 0,
  errors: 0,
  crashes: 0,
  p95Ms: 0,
  memoryBytes: 0,
};
const well = { watchdog: WATCHDOG, baseline: idle, seen: idle, quarantined: false, elapsedMs: 0 };
const whats = (verdict: Verdict): string[] =>
  verdict.kind === "roll_back" ? verdict.regressions.map(({ what }) => what) : [];

describe("a new revision", () => {
  test("that does exactly as the old one did is never rolled back", () => {
    fc.assert(
      fc.property(performance, fc.nat(100_000), (each, elapsedMs) => {
        const crashes = Math.min(each.crashes, 0);
        const verdict = judge({
          ...well,
          baseline: each,
          seen: { ...each, crashes },
          elapsedMs,
        });
        expect(whats(verdict)).toEqual([]);
      }),
    );
  });

  test("is rolled back exactly when something passes its limit, and the limit is told", () => {
    fc.assert(
      fc.property(performance, performance, fc.boolean(), (baseline, seen, quarantined) => {
        const verdict = judge({ ...well, baseline, seen, quarantined });
        if (verdict.kind === "roll_back") {
          for (const { value, limit, baseline: usual } of verdict.regressions) {
            expect(value).toBeGreaterThan(limit);
            expect(limit).toBeGreaterThanOrEqual(usual);
          }
        } else expect(quarantined).toBe(false);
      }),
    );
  });

  test("that does worse in anything is judged no better", () => {
    fc.assert(
      fc.property(performance, performance, fc.nat(5), (baseline, seen, more) => {
        const before = whats(judge({ ...well, baseline, seen }));
        const worse = {
          ...seen,
          crashes: seen.crashes + more,
          p95Ms: seen.p95Ms + more * 100,
          memoryBytes: seen.memoryBytes + more * 1e8,
        };
        const after = whats(judge({ ...well, baseline, seen: worse }));
        expect(after).toEqual(expect.arrayContaining(before));
      }),
    );
  });

  test("is not judged by rates and percentiles of a few messages (invariant 2)", () => {
    const baseline = { ...idle, messages: 1000, p95Ms: 1 };
    const few = { ...idle, messages: 19, errors: 19, p95Ms: 5000 };
    expect(whats(judge({ ...well, baseline, seen: few }))).toEqual([]);
    const enough = { ...few, messages: 20 };
    expect(whats(judge({ ...well, baseline, seen: enough }))).toEqual([
      "error_rate",
      "latency_p95_ms",
    ]);
  });

  test("is not judged by what the old one gives no measure for (invariant 1)", () => {
    const seen = { ...idle, messages: 1000, p95Ms: 9000, memoryBytes: 1e9 };
    expect(whats(judge({ ...well, seen }))).toEqual([]);
  });

  test("may crash as often as the old one did, and no more", () => {
    const baseline = { ...idle, overMs: 30_000, crashes: 2 };
    const crashing = (crashes: number) =>
      whats(judge({ ...well, baseline, seen: { ...idle, crashes } }));
    expect([crashing(2), crashing(3)]).toEqual([[], ["crashes"]]);
    const watchdog = watchdogFrom({ max_crashes: 4 });
    expect(whats(judge({ ...well, watchdog, seen: { ...idle, crashes: 4 } }))).toEqual([]);
  });

  test("has passed when its time or its messages are over, not before", () => {
    const watchdog = watchdogFrom({ window_ms: 1000, max_messages: 50 });
    const kind = (elapsedMs: number, messages: number) =>
      judge({ ...well, watchdog, elapsedMs, seen: { ...idle, messages } }).kind;
    expect([kind(999, 49), kind(1000, 0), kind(0, 50)]).toEqual(["wait", "pass", "pass"]);
  });
});

describe("the vitals", () => {
  test("a percentile is right to within its bucket", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.02, max: 60_000, noNaN: true }), { minLength: 1 }),
        (samples) => {
          const counts = new Uint32Array(SLOTS);
          for (const ms of samples) counts[bucketOf(ms)]! += 1;
          const sorted = samples.toSorted((a, b) => a - b);
          const exact = sorted[Math.ceil(sorted.length * 0.95) - 1]!;
          const told = p95Of([counts]);
          expect(told).toBeGreaterThanOrEqual(exact * 0.999);
          expect(told).toBeLessThanOrEqual(exact * 1.201);
        },
      ),
    );
  });

  test("any duration has a bucket", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, noNaN: true }), (ms) => {
        expect(bucketOf(ms)).toBeGreaterThanOrEqual(0);
        expect(bucketOf(ms)).toBeLessThan(SLOTS);
      }),
    );
  });

  test("forget what is older than two windows, and no sooner than one", () => {
    let now = 0;
    const vitals = new Vitals(() => now);
    vitals.crashed();
    vitals.ended(5, true);
    now = 29_000;
    expect(vitals.read()).toMatchObject({ crashes: 1, messages: 1, errors: 1 });
    now = 31_000;
    vitals.ended(5, false);
    expect(vitals.read()).toMatchObject({ crashes: 1, messages: 2, errors: 1 });
    now = 200_000;
    expect(vitals.read()).toMatchObject({ crashes: 0, messages: 0, p95Ms: 0 });
  });

  test("of several replicas add up, and the slowest counts", () => {
    const reading = { overMs: 10, messages: 5, errors: 1, crashes: 1, p95Ms: 3 };
    expect(together([reading, { ...reading, p95Ms: 7, overMs: 20 }])).toEqual({
      overMs: 20,
      messages: 10,
      errors: 2,
      crashes: 2,
      p95Ms: 7,
    });
  });
});
