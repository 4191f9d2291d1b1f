import fc from "fast-check";
import { expect, test } from "vitest";
import { CPU_WINDOW_MS, CpuShare } from "#limits/cpu-share.ts";
import { TELL_EVERY_MS } from "#limits/decide.ts";
import type { Violation } from "#limits/limit.ts";
import { Meter } from "#limits/meter.ts";
import { counted, NO_RATE, restOf, WINDOW_MS } from "#limits/rate.ts";

test("a steady load has its share of a core, however often it is read", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 400 }),
      fc.integer({ min: 50, max: 1000 }),
      (percent, everyMs) => {
        const share = new CpuShare();
        let read = 0;
        for (let now = 0; now <= CPU_WINDOW_MS * 3; now += everyMs)
          read = share.read((now * percent) / 100, now);
        expect(read).toBeCloseTo(percent, 5);
      },
    ),
  );
});

test("a burst is averaged over the window, and forgotten after it", () => {
  const share = new CpuShare();
  share.read(0, 0);
  expect(share.read(500, 500)).toBeCloseTo(10, 5);
  for (let now = 1000; now < CPU_WINDOW_MS * 2 + 1000; now += 500) share.read(500, now);
  expect(share.read(500, CPU_WINDOW_MS * 2 + 1000)).toBe(0);
});

test("a CPU total that falls never counts as negative", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 10_000 })), (totals) => {
      const share = new CpuShare();
      for (const [i, total] of totals.entries())
        expect(share.read(total, i * 250)).toBeGreaterThanOrEqual(0);
    }),
  );
});

test("a rate starts anew each second", () => {
  let window = NO_RATE;
  for (let i = 0; i < 5; i += 1) window = counted(window, i);
  expect(window.count).toBe(5);
  expect(restOf(window, 400)).toBe(WINDOW_MS - 400);
  expect(counted(window, WINDOW_MS).count).toBe(1);
});

test("a meter refuses what passes the limit, keeps what was granted, and tells what it owes", () => {
  const told: Violation[] = [];
  let now = 0;
  const meter = new Meter({
    limits: { timers: { limit: 10, action: "throttle" as const } },
    now: () => now,
    tell: (violation) => void told.push(violation),
  });
  for (let i = 1; i <= 10; i += 1) expect(meter.read("timers", i)).toBeUndefined();
  for (let i = 0; i < 100; i += 1) expect(meter.read("timers", 11)).toBe("throttle");
  expect(meter.usage()).toEqual([
    { what: "timers", value: 10, limit: 10, action: "throttle", level: "exceeded" },
  ]);
  meter.settle();
  now += TELL_EVERY_MS;
  meter.settle();
  meter.settle();
  expect(told.map(({ level, count }) => [level, count])).toEqual([
    ["approach", 0],
    ["exceeded", 1],
    ["exceeded", 99],
  ]);
});
