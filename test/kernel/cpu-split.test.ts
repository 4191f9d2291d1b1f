import fc from "fast-check";
import { expect, test } from "vitest";
import { CpuSplit } from "#kernel/cells/cpu-split.ts";

const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);

test("instances share what their process used, by how long each of them ran", () => {
  const split = new CpuSplit();
  split.charge([], 100);
  const times = [
    { slot: 1, ranMs: 300 },
    { slot: 2, ranMs: 100 },
  ];
  expect([...split.charge(times, 300)]).toEqual([
    [1, 150],
    [2, 50],
  ]);
});

test("what ran between two steps of the operating system's count is charged at the next", () => {
  const split = new CpuSplit();
  split.charge([], 100);
  expect(split.charge([{ slot: 1, ranMs: 3 }], 100).size).toBe(0);
  expect(split.charge([], 110).get(1)).toBe(3);
});

test("time on the clock is charged where nothing better is known", () => {
  const split = new CpuSplit();
  expect(split.charge([{ slot: 1, ranMs: 40 }], undefined).get(1)).toBe(40);
  expect(split.charge([{ slot: 1, ranMs: 50 }], undefined).get(1)).toBe(10);
});

test("whatever a cell says, its instances are charged no more than it used, and never less than nothing", () => {
  const step = fc.record({
    used: fc.nat({ max: 500 }),
    ran: fc.array(fc.integer({ min: -1000, max: 10_000 }), { minLength: 1, maxLength: 4 }),
  });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const split = new CpuSplit();
      split.charge([], 0);
      let used = 0;
      let charged = 0;
      for (const { used: more, ran } of steps) {
        used += more;
        const charges = split.charge(
          ran.map((ranMs, slot) => ({ slot, ranMs })),
          used,
        );
        for (const each of charges.values()) expect(each).toBeGreaterThanOrEqual(0);
        charged += sum([...charges.values()]);
        expect(charged).toBeLessThanOrEqual(used + 1e-6);
      }
    }),
  );
});
