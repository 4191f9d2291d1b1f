/** The state between an instance and the disk while a change is decided (replica-state.ts). */
import { expect, test } from "vitest";
import { systemClock } from "#base/clock.ts";
import { serviceId, tenantId } from "#base/ids.ts";
import { Snapshots } from "#deploy/snapshots.ts";
import { noFaults } from "#kernel/faults.ts";
import { ReplicaState, type ReplicaStateOptions } from "#kernel/services/state/replica-state.ts";
import { memoryKv } from "../deploy/support.ts";

const key = { tenant: tenantId("t"), service: serviceId("s"), slot: 0 };
const instance = { started: { version: "1" } } as Parameters<ReplicaState["save"]>[0];

function opened() {
  const snapshots = new Snapshots({ kv: memoryKv(), wallMs: () => 1000 });
  const kept = new ReplicaState({
    key,
    powers: { snapshots, clock: systemClock, faults: noFaults },
    revision: { sourceHash: "abc", spec: { persistence: "durable" } },
    dormancy: { beside: [] },
    storage: { stateSaved: () => {} },
  } as unknown as ReplicaStateOptions);
  return { kept, stored: async () => (await snapshots.load(key))?.state };
}

test("what is told before it is held back is on disk once it is", async () => {
  const { kept, stored } = opened();
  void kept.save(instance, `{"n":1}`);
  await kept.holdBack();
  expect(await stored()).toBe(`{"n":1}`);
});

test("what is held back waits for the second change as well as for the first", async () => {
  const { kept, stored } = opened();
  await kept.holdBack();
  const saving = kept.save(instance, `{"n":1}`);
  kept.goOn();
  await kept.holdBack();
  expect(await stored()).toBeUndefined();
  kept.close();
  await saving;
  expect(await stored()).toBeUndefined();
});
