/** Which cells end where the operating system does not hold them (src/kernel/cells/memory-watch.ts). */
import fc from "fast-check";
import { expect, test } from "vitest";
import { tenantId } from "#base/ids.ts";
import { beyondMemory, type WatchedCell } from "#kernel/cells/memory-watch.ts";

const LIMIT = 1000;
const holding = (tenant: string | undefined, bytes: number, held = false): WatchedCell => ({
  tenant: tenant === undefined ? undefined : tenantId(tenant),
  process: { holdsMemoryLimit: held, holdsTenantMemory: held, memoryBytes: () => bytes },
});
const beyond = (cells: readonly WatchedCell[]) =>
  beyondMemory(cells, () => LIMIT).map((cell) => cells.indexOf(cell));

test("one beyond the limit of a cell ends, also a spare", () => {
  expect(beyond([holding("a", 1001), holding("a", 900), holding(undefined, 1001)])).toEqual([0, 2]);
});

test("of a tenant's cells that are beyond its limit together the largest ends, and no more than it takes", () => {
  expect(beyond([holding("a", 400), holding("a", 500), holding("a", 300)])).toEqual([1]);
  expect(beyond([holding("a", 500), holding("b", 600)])).toEqual([]);
});

test("whom the operating system holds is left to it", () => {
  expect(beyond([holding("a", 5000, true), holding("a", 5000, true)])).toEqual([]);
});

test("whatever the cells hold, what is left of each tenant is within its limit, and not one more had to go", () => {
  const cells = fc.array(
    fc.record({ tenant: fc.constantFrom("a", "b", "c"), bytes: fc.nat({ max: 1500 }) }),
  );
  fc.assert(
    fc.property(cells, (all) => {
      const made = all.map(({ tenant, bytes }) => holding(tenant, bytes));
      const ended = new Set(beyond(made));
      for (const tenant of ["a", "b", "c"]) {
        const its = all.map((each, at) => ({ ...each, at })).filter((e) => e.tenant === tenant);
        const sum = (found: typeof its) => found.reduce((total, { bytes }) => total + bytes, 0);
        const left = sum(its.filter(({ at }) => !ended.has(at)));
        expect(left).toBeLessThanOrEqual(LIMIT);
        const within = its.filter(({ at, bytes }) => ended.has(at) && bytes <= LIMIT);
        const smallest = within.toSorted((one, other) => one.bytes - other.bytes)[0];
        if (smallest !== undefined) expect(left + smallest.bytes).toBeGreaterThan(LIMIT);
      }
    }),
  );
});
