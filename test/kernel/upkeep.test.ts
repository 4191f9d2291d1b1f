/** State to disk again and again (src/kernel/upkeep.ts). */
import { expect, onTestFinished, test, vi } from "vitest";
import { serviceId, tenantId } from "#base/ids.ts";
import { silentLogger, type Logger } from "#base/log.ts";
import type { Service } from "#kernel/services/service.ts";
import { flushAll } from "#kernel/upkeep.ts";

const service = (name: string, flush: () => Promise<void>): Service =>
  ({ key: { tenant: tenantId("t"), service: serviceId(name) }, flush }) as unknown as Service;
const tenants = (all: readonly Service[]) => ({
  all: () => all[Symbol.iterator]() as Generator<Service>,
});

test("flushes every service once, a bounded number at a time", async () => {
  let busy = 0;
  let most = 0;
  const flushed = new Map<number, number>();
  const all = Array.from({ length: 200 }, (_, n) =>
    service(`s${n}`, async () => {
      busy += 1;
      most = Math.max(most, busy);
      await new Promise((resolve) => void setImmediate(resolve));
      busy -= 1;
      flushed.set(n, (flushed.get(n) ?? 0) + 1);
    }),
  );
  await flushAll(tenants(all), silentLogger);
  expect(flushed.size).toBe(200);
  expect([...flushed.values()].every((times) => times === 1)).toBe(true);
  expect(most).toBe(32);
});

test("a state that cannot be written keeps no other from the disk, and is told", async () => {
  const warned: unknown[] = [];
  const log: Logger = {
    ...silentLogger,
    warn: (_, fields) => void warned.push(fields?.["service"]),
  };
  const flushed: string[] = [];
  const all = ["a", "b", "c"].map((name) =>
    service(name, async () => {
      if (name === "b") throw new Error("The disk is full.");
      flushed.push(name);
    }),
  );
  await flushAll(tenants(all), log);
  expect(flushed.toSorted()).toEqual(["a", "c"]);
  expect(warned).toEqual(["t/b"]);
});

test("a guest that never tells its state holds up nobody for ever", async () => {
  const warned: unknown[] = [];
  const log: Logger = {
    ...silentLogger,
    warn: (_, fields) => void warned.push(fields?.["service"]),
  };
  const flushed: string[] = [];
  const stuck = service("stuck", () => new Promise(() => {}));
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const all = [service("well", async () => void flushed.push("well")), stuck];
  const done = flushAll(tenants(all), log);
  await vi.advanceTimersByTimeAsync(60_000);
  await done;
  expect([flushed, warned]).toEqual([["well"], ["t/stuck"]]);
});
