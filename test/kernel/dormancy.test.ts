import { expect, test } from "vitest";
import { serviceId, tenantId } from "#base/ids.ts";
import type { Dormant, Dormants } from "#deploy/dormants.ts";
import type { Snapshot } from "#deploy/snapshots.ts";
import { Dormancy } from "#kernel/services/state/dormancy.ts";

const key = { tenant: tenantId("t"), service: serviceId("s"), slot: 0 };
const dormant: Dormant = { sourceHash: "h", handlers: [], timers: [], sinceMs: 1 } as never;
const snapshot: Snapshot = { state: "[]", version: undefined, sourceHash: "h" };

/** A disk whose writes take as long as the test wants. */
function slowDisk() {
  const written = Promise.withResolvers<void>();
  const done: string[] = [];
  const dormants = {
    put: async () => {
      done.push("put");
      await written.promise;
    },
    remove: async () => void done.push("remove"),
  } as unknown as Dormants;
  return { done, written, dormancy: new Dormancy({ dormants, key, stateless: true }) };
}

test("a sleep that is being written is not cleaned away meanwhile", async () => {
  const { done, written, dormancy } = slowDisk();
  const begun = dormancy.begin(dormant, snapshot);
  await expect.poll(() => done).toEqual(["put"]);
  const cleaned = dormancy.clean();
  written.resolve();
  await Promise.all([begun, cleaned]);
  expect(done).toEqual(["put"]);
  expect(dormancy.dormant).toBe(dormant);
});

test("a sleep that could not be written whole is cleaned away", async () => {
  const { done, written, dormancy } = slowDisk();
  const begun = dormancy.begin(dormant, snapshot);
  const cleaned = dormancy.clean();
  written.reject(new Error("The disk is full."));
  await expect(begun).rejects.toThrow("full");
  await cleaned;
  expect(done).toEqual(["put", "remove"]);
  expect(dormancy.dormant).toBeUndefined();
});
