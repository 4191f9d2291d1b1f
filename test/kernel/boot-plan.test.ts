/** Who comes back when (src/kernel/boot-plan.ts). */
import fc from "fast-check";
import { expect, test } from "vitest";
import { serviceId, tenantId } from "#base/ids.ts";
import type { Deployment, Trouble } from "#deploy/deployments.ts";
import { isHeldBack, nextTryAt, planBoot } from "#kernel/boot-plan.ts";

const NOW = 1_000_000_000;
const trouble = (more: Partial<Trouble> = {}): Trouble => ({
  failures: 1,
  lastAtMs: NOW,
  code: "startup_failed",
  detail: "",
  ...more,
});
const deployment = (tenant: string, service: string, priority = 0, more: object = {}): Deployment =>
  ({
    key: { tenant: tenantId(tenant), service: serviceId(service) },
    spec: { priority },
    ...more,
  }) as unknown as Deployment;

test("all are planned once: by priority, tenants in turns, sleepers last", () => {
  const one = fc.record({
    tenant: fc.constantFrom("a", "b", "c"),
    priority: fc.integer({ min: -2, max: 2 }),
    held: fc.boolean(),
    sleeps: fc.boolean(),
    suspect: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(one, { maxLength: 30 }), (facts) => {
      const all = facts.map(({ tenant, priority, held }, n) =>
        deployment(tenant, `s${n}`, priority, held ? { trouble: trouble() } : {}),
      );
      const sleepers = new Set(all.filter((_, n) => facts[n]!.sleeps));
      const sleeps = (each: Deployment) => sleepers.has(each);
      const suspects = new Set(all.filter((_, n) => facts[n]!.suspect));
      const isSuspect = (each: Deployment) => suspects.has(each);
      const { start, alone, heldBack } = planBoot(all, { nowMs: NOW, sleeps, isSuspect });
      expect(new Set([...start, ...alone, ...heldBack])).toEqual(new Set(all));
      expect(start.length + alone.length + heldBack.length).toBe(all.length);
      expect(alone.every((each) => isSuspect(each) && !sleeps(each))).toBe(true);
      expect(start.some((each) => isSuspect(each) && !sleeps(each))).toBe(false);
      const awake = start.filter((each) => !sleeps(each));
      expect(start.slice(0, awake.length)).toEqual(awake);
      const priorities = awake.map(({ spec }) => spec.priority);
      expect(priorities).toEqual(priorities.toSorted((a, b) => b - a));
    }),
  );
  const mixed = [deployment("a", "1"), deployment("a", "2"), deployment("b", "3")];
  const { start } = planBoot(mixed, { nowMs: NOW, sleeps: () => false, isSuspect: () => false });
  expect(start.map(({ key }) => key.service)).toEqual(["1", "3", "2"]);
});

test("each failure in a row holds a service back for longer, to an hour at most", () => {
  let before = 0;
  for (let failures = 1; failures < 20; failures += 1) {
    const wait = nextTryAt(trouble({ failures }))! - NOW;
    expect(wait).toBeGreaterThanOrEqual(before);
    expect(wait).toBeLessThanOrEqual(3_600_000);
    expect(isHeldBack(trouble({ failures }), NOW + wait - 1)).toBe(true);
    expect(isHeldBack(trouble({ failures }), NOW + wait)).toBe(false);
    before = wait;
  }
});

test("a damaged state is tried at each start and never in between; a clock set back holds nobody for ever", () => {
  const damaged = trouble({ code: "storage_corrupt", failures: 9 });
  expect([nextTryAt(damaged), isHeldBack(damaged, NOW)]).toEqual([undefined, false]);
  expect(isHeldBack(trouble(), NOW - 10 * 3_600_000)).toBe(false);
  expect(isHeldBack(undefined, NOW)).toBe(false);
});
