/** A swap of a service of which a replica does not run just then. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Faults } from "#kernel/faults.ts";
import { startInProcess, type InProcessKernel } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";

let solo: InProcessKernel;
let between: Faults = () => {};
beforeAll(async () => {
  solo = await startInProcess({ faults: (step, of) => between(step, of) });
});
afterAll(() => solo[Symbol.asyncDispose]());

const tenant = "down";
const counter = (version: number, more = "") => `export default { version: "${version}",
  init: () => ({ n: 0, by: [] }), ${more}
  calls: { add(solo, to) { solo.state.n += 1; solo.state.to ??= to; return solo.state; },
    get: (solo) => solo.state } };`;
interface State {
  readonly n: number;
  readonly by: readonly string[];
}
const deploy = (service_id: string, more: object) =>
  solo.ask(
    "Deploy",
    {
      service_id,
      code: counter(1),
      instances: 2,
      routing: "key",
      persistence: "durable",
      watchdog: { enabled: false },
      ...more,
    },
    tenant,
  );
const call = async (service_id: string, name: string, key: string) =>
  (await solo.ask("Call", { service_id, name, args: [key], key }, tenant))
    .reply as unknown as State;
const replicasOf = (service: string) => solo.replicas(tenant, service);

/** Two keys, of slots 0 and 1. */
async function keysOf(service_id: string): Promise<readonly [string, string]> {
  const bySlot: string[] = [];
  for (let at = 0; bySlot[0] === undefined || bySlot[1] === undefined; at += 1) {
    const key = `k${at}`;
    const before = replicasOf(service_id).map(({ record }) => record.counts.messages);
    await call(service_id, "get", key);
    const after = replicasOf(service_id).map(({ record }) => record.counts.messages);
    bySlot[after.findIndex((count, slot) => count > before[slot]!)] = key;
  }
  return [bySlot[0], bySlot[1]];
}

/** The first replica ends, and stays down. */
async function endFirst(service_id: string): Promise<void> {
  const [first] = replicasOf(service_id);
  first!.overLimit("The test says so.");
  await until(() => first!.state === "quarantined", "its end");
}

/** Two replicas that have n = 1, the first of which stays down. Returns a key of each. */
async function oneDown(service_id: string): Promise<readonly [string, string]> {
  await deploy(service_id, { restart_limits: { max_restarts: 0 } });
  const keys = await keysOf(service_id);
  for (const key of keys) await call(service_id, "add", key);
  await endFirst(service_id);
  return keys;
}

test("one that is being restarted answers nothing that its successor would not know", async () => {
  const service_id = "restarting";
  const held = counter(1)
    .replace(
      "init: () => (",
      `async init(solo) { while (await solo.kv.get("held")) await new Promise((go) => setTimeout(go, 20));
        return (`,
    )
    .replace("}),", "}); },")
    .replace("get:", "hold: (solo, held) => solo.kv.put('held', held === 'yes'), get:");
  await deploy(service_id, { code: held, restart_limits: { max_restarts: 100 } });
  const [key, other] = await keysOf(service_id);
  await call(service_id, "add", key);
  const hold = (whether: string) =>
    solo.ask("Call", { service_id, name: "hold", args: [whether], key: other }, tenant);
  await hold("yes");
  const [first] = replicasOf(service_id);
  first!.instance!.kill();
  await until(() => first!.state === "restarting", "its restart");
  let during: Promise<State> | undefined;
  between = async (step) => {
    if (step !== "warmed") return;
    await hold("no");
    during = call(service_id, "add", key);
    await until(() => first!.instance !== undefined, "it to be back");
    await sleep(100);
  };
  const strategy = { type: "blue_green", manual: true };
  await solo
    .ask("Update", { service_id, code: counter(2), strategy }, tenant)
    .finally(() => (between = () => {}));
  expect((await during!).n).toBe(2);
  expect((await call(service_id, "add", key)).n).toBe(3);
});

test("an update that fails leaves what one that stays down has on disk as it was", async () => {
  const service_id = "quarantined";
  const [down, up] = await oneDown(service_id);
  const change = `codeChange(old) { if (old.to === "${up}") throw new Error("not this one");
    return { ...old, by: ["2"] }; },`;
  const update = solo.ask("Update", { service_id, code: counter(2, change) }, tenant);
  await expect(update).rejects.toMatchObject({ code: "startup_failed" });
  expect(replicasOf(service_id)[0]!.state).toBe("quarantined");
  await solo.ask("Restart", { service_id }, tenant);
  expect(await call(service_id, "get", down)).toMatchObject({ n: 1, by: [] });
});

test("an update that succeeds brings it back with what it had on disk, migrated", async () => {
  const service_id = "brought-back";
  const [down, up] = await oneDown(service_id);
  const change = `codeChange: (old) => ({ ...old, by: [...old.by, "2"] }),`;
  await solo.ask("Update", { service_id, code: counter(2, change) }, tenant);
  for (const key of [down, up])
    expect(await call(service_id, "get", key)).toMatchObject({ n: 1, by: ["2"] });
  // It is on disk: nothing migrates it a second time.
  await endFirst(service_id);
  await solo.ask("Restart", { service_id }, tenant);
  expect(await call(service_id, "get", down)).toMatchObject({ n: 1, by: ["2"] });
});
