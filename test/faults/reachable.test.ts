/** What a kernel can still reach of services that are gone, counted object by object. */
import { setTimeout as sleep } from "node:timers/promises";
import { queryObjects } from "node:v8";
import { expect, test } from "vitest";
import { Lease } from "#kernel/lease.ts";
import { Instance } from "#kernel/services/instance/instance.ts";
import { Life } from "#kernel/services/replica/life.ts";
import { Replica } from "#kernel/services/replica/replica.ts";
import { RevisionCode } from "#kernel/services/revision.ts";
import { Runner } from "#kernel/services/replica/runner.ts";
import { Service } from "#kernel/services/service.ts";
import { Supervisor } from "#supervisor/supervisor.ts";
import { startInProcess, type InProcessKernel } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";

const TENANT = "t";
const LOOK_AGAIN_MS = 300;
const CLASSES = { Service, Replica, Life, Runner, Instance, RevisionCode, Supervisor, Lease };
const source = (version: string) => `export default {
  version: "${version}",
  init: () => ({ count: 0 }),
  calls: {
    increment: (solo) => ++solo.state.count,
    remind: (solo) => void solo.after(1e6, "later"),
    crash: () => { throw new Error("as asked"); },
  },
  codeChange: (state) => state,
};`;

/** How many there are, after a collection. */
const count = (one: (typeof CLASSES)[keyof typeof CLASSES]) =>
  queryObjects(one, { format: "count" });
const reachable = () =>
  Object.fromEntries(Object.entries(CLASSES).map(([name, one]) => [name, count(one)]));

/** What may happen to a service before it is killed. */
const LIVES: Readonly<Record<string, (kernel: InProcessKernel, id: string) => Promise<unknown>>> = {
  called: (kernel, id) => kernel.call(TENANT, id, "increment"),
  reminded: (kernel, id) => kernel.call(TENANT, id, "remind"),
  crashed: (kernel, id) => kernel.call(TENANT, id, "crash").catch(() => {}),
  restarted: ({ ask }, service_id) => ask("Restart", { service_id }, TENANT),
  swapped: ({ ask }, service_id) => ask("Update", { service_id, code: source("2") }, TENANT),
  // Killed in the middle of it.
  rolling: ({ ask }, service_id) =>
    ask("Update", { service_id, code: source("2"), strategy: { type: "rolling" } }, TENANT),
  "rolled out": async ({ ask }, service_id) => {
    const strategy = { type: "rolling", pause_ms: 0 };
    await ask("Update", { service_id, code: source("2"), strategy }, TENANT);
    await until(
      async () => (await ask("Status", { service_id }, TENANT)).rollout === undefined,
      "the rollout to be over",
    );
  },
  slept: (kernel, id) => asleep(kernel, id),
  woken: async (kernel, id) => {
    await asleep(kernel, id);
    await kernel.call(TENANT, id, "increment");
  },
};

const asleep = ({ ask }: InProcessKernel, service_id: string) =>
  until(
    async () => (await ask("Status", { service_id }, TENANT)).state === "hibernated",
    `${service_id} to sleep`,
  );

async function liveAndDie(kernel: InProcessKernel, kind: string, force: boolean): Promise<void> {
  const service_id = kind.replace(" ", "-");
  const sleeps = kind === "slept" || kind === "woken";
  await kernel.ask(
    "Deploy",
    {
      service_id,
      code: source("1"),
      persistence: "hybrid",
      instances: kind.startsWith("roll") ? 2 : 1,
      ...(sleeps && { hibernation: { after_idle_ms: 100 } }),
    },
    TENANT,
  );
  await kernel.call(TENANT, service_id, "increment");
  await LIVES[kind]!(kernel, service_id);
  await kernel.ask("Kill", { service_id, force }, TENANT);
}

test("nothing of a killed service can be reached, whatever it has been through", async () => {
  await using kernel = await startInProcess();
  const before = reachable();
  for (const [at, kind] of Object.keys(LIVES).entries())
    await liveAndDie(kernel, kind, at % 2 === 0);
  // One after the other, and seldom: each look collects the whole heap.
  for (const [name, one] of Object.entries(CLASSES))
    await until(
      () => count(one) <= before[name]! || sleep(LOOK_AGAIN_MS, false),
      `every ${name} to be gone`,
    );
  expect(await kernel.ask("List", {}, TENANT)).toMatchObject({ services: [] });
});
