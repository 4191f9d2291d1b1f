/** What happens to a service at the same moment as a change of it. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Faults } from "#kernel/faults.ts";
import { startInProcess, type InProcessKernel } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";

let solo: InProcessKernel;
let between: Faults = () => {};
beforeAll(async () => {
  solo = await startInProcess({ faults: (step, of) => between(step, of) });
});
afterEach(() => void (between = () => {}));
afterAll(() => solo[Symbol.asyncDispose]());

const tenant = "races";
const counter = (version: number, more = "") => `export default { version: "${version}",
  init: () => ({ n: 0 }), ${more}
  calls: { add: (solo) => (solo.state.n += 1), get: (solo) => solo.state.n,
    which: () => ${version},
    async slow(solo, fails) { await solo.sleep(300);
      void solo.events.emit("slow_done"); solo.state.n += 100;
      if (fails) throw new Error("slow"); return solo.state.n; },
    boom() { throw new Error("boom"); } } };`;
const restart_limits = { max_restarts: 1000, max_seconds: 1 };
const deploy = (service_id: string, more: object = {}) =>
  solo.ask(
    "Deploy",
    {
      service_id,
      code: counter(1),
      persistence: "durable",
      routing: "key",
      restart_limits,
      watchdog: { enabled: false },
      ...more,
    },
    tenant,
  );
const update = (service_id: string, more: object) =>
  solo.ask("Update", { service_id, ...more }, tenant);
const call = async (service_id: string, name: string, key = "", ...args: unknown[]) =>
  (await solo.ask("Call", { service_id, name, args, ...(key && { key }) }, tenant)).reply;
const status = (service_id: string) => solo.ask("Status", { service_id }, tenant);
const replicasOf = (service: string) => solo.replicas(tenant, service);
const stateOf = async (service_id: string, slot = 0) =>
  (await solo.ask("GetState", { service_id, slot }, tenant)).state as { n: number };
const versionIs = (service_id: string, version: string) =>
  until(async () => (await status(service_id)).version === version, `version ${version}`);
const slowIsDone = async (service_id: string) => {
  const { events } = await solo.ask(
    "ListEvents",
    { service_id, event_type: "service.slow_done" },
    tenant,
  );
  return events.length > 0;
};

/** A key for each slot. */
async function keysOf(service_id: string, slots: number): Promise<readonly string[]> {
  const keys: string[] = [];
  for (let at = 0; keys.filter(Boolean).length < slots; at += 1) {
    const before = replicasOf(service_id).map(({ record }) => record.counts.messages);
    await call(service_id, "which", `k${at}`);
    const after = replicasOf(service_id).map(({ record }) => record.counts.messages);
    keys[after.findIndex((count, slot) => count > before[slot]!)] = `k${at}`;
  }
  return keys;
}

describe("a slot that goes", () => {
  test("comes back with what was acknowledged while it went", async () => {
    await deploy("shrinks", { instances: 2 });
    const [, last] = await keysOf("shrinks", 2);
    const slow = call("shrinks", "slow", last);
    await until(() => replicasOf("shrinks")[1]!.mailboxLength === 1, "the slow call");
    await update("shrinks", { instances: 1 });
    await update("shrinks", { instances: 2 });
    expect(await slow).toBe(100);
    expect(await call("shrinks", "get", last)).toBe(100);
  });

  test("leaves nothing to a service that comes after its own", async () => {
    await deploy("gone", { instances: 2 });
    const [, last] = await keysOf("gone", 2);
    const slow = call("gone", "slow", last).catch(() => {});
    await until(() => replicasOf("gone")[1]!.mailboxLength === 1, "the slow call");
    await update("gone", { instances: 1 });
    await solo.ask("Kill", { service_id: "gone" }, tenant);
    await slow;
    await deploy("gone", { instances: 2 });
    expect(await stateOf("gone", 1)).toEqual({ n: 0 });
  });
});

describe("on the way back", () => {
  const watchdog = (state_on_rollback: string) => ({
    watchdog: { state_on_rollback, max_latency_factor: 1e6 },
  });

  test("a successor whose process ends before it serves goes on with what it took over", async () => {
    await deploy("dies", watchdog("restore_old"));
    await call("dies", "add");
    await update("dies", { code: counter(2) });
    for (let n = 0; n < 5; n += 1) await call("dies", "add");
    const { process: cell } = replicasOf("dies")[0]!.instance!.cell;
    between = async (step) => {
      if (step !== "adopted") return;
      between = () => {};
      process.kill(cell.pid, "SIGKILL");
      await cell.exited;
    };
    await call("dies", "boom").catch(() => {});
    await versionIs("dies", "1");
    expect(await call("dies", "get")).toBe(1);
  });

  test("the one that goes stores nothing after what is recorded", async () => {
    await deploy("late", { instances: 2, ...watchdog("restore_old") });
    const [first, last] = (await keysOf("late", 2)) as [string, string];
    await call("late", "add", first);
    await update("late", { code: counter(2) });
    const slow = call("late", "slow", first);
    await until(() => replicasOf("late")[0]!.mailboxLength === 1, "the slow call");
    between = async (step) => {
      if (step === "recorded") await until(() => slowIsDone("late"), "the slow call");
    };
    await call("late", "boom", last).catch(() => {});
    await versionIs("late", "1");
    expect(await slow).toBe(101);
    await solo.ask("Restart", { service_id: "late" }, tenant);
    expect(await call("late", "get", first)).toBe(1);
  });

  test("what the one that goes had not begun when it ended is its successor's", async () => {
    await deploy("unbegun", { instances: 2, ...watchdog("restore_old") });
    const [first, last] = (await keysOf("unbegun", 2)) as [string, string];
    await update("unbegun", { code: counter(2) });
    const slow = call("unbegun", "slow", first, true).catch(({ code }) => code as string);
    const which = call("unbegun", "which", first);
    await until(() => replicasOf("unbegun")[0]!.mailboxLength === 2, "the calls");
    await call("unbegun", "boom", last).catch(() => {});
    await versionIs("unbegun", "1");
    expect(await slow).toBe("service_crashed");
    expect(await which).toBe(1);
  });

  test("what comes back to a successor that has given up, or sleeps, does not wait for nobody", async () => {
    const gated = (version: number) =>
      counter(version).replace(
        "calls: {",
        `calls: { open: (solo) => solo.kv.put("open", true),
          async gate(solo) { while (!(await solo.kv.get("open"))) await solo.sleep(10);
            throw new Error("gate"); },`,
      );
    for (const [id, settings, becomes, ended] of [
      ["gives-up", { restart_limits: { max_restarts: 0 } }, "quarantined", "service_quarantined"],
      ["dozes", { hibernation: { after_idle_ms: 100 } }, "hibernated", 1],
    ] as const) {
      await deploy(id, { code: gated(1), instances: 2, ...watchdog("restore_old"), ...settings });
      const [first, last] = (await keysOf(id, 2)) as [string, string];
      await update(id, { code: gated(2), restart_limits, hibernation: { after_idle_ms: 60_000 } });
      const gate = call(id, "gate", first).catch(({ code }) => code as string);
      const which = call(id, "which", first).catch(({ code }) => code as string);
      await until(() => replicasOf(id)[0]!.mailboxLength === 2, "the calls");
      await call(id, "boom", last).catch(() => {});
      await versionIs(id, "1");
      if (becomes === "quarantined") await call(id, "boom", first).catch(() => {});
      await until(() => replicasOf(id)[0]!.state === becomes, becomes);
      await call(id, "open", last);
      expect(await gate).toBe("service_crashed");
      expect(await which).toBe(ended);
      expect(replicasOf(id)[0]!.mailboxLength).toBe(0);
    }
  });

  test("keep_new takes what was stored when the new revision is quarantined", async () => {
    await deploy("kept", watchdog("keep_new"));
    await call("kept", "add");
    await update("kept", { code: counter(2), restart_limits: { max_restarts: 0 } });
    await call("kept", "add");
    await call("kept", "boom").catch(() => {});
    await versionIs("kept", "1");
    expect(await call("kept", "get")).toBe(2);
  });

  test("downgrade makes nothing of the state when only settings had changed", async () => {
    const code = counter(1, "downgrade: () => ({ n: -1000 }),");
    await deploy("settings", { code, ...watchdog("downgrade") });
    const before = (await status("settings")).revision;
    await update("settings", { env: { CHANGED: "yes" } });
    await call("settings", "add");
    await call("settings", "boom").catch(() => {});
    await until(async () => (await status("settings")).revision === before, "the way back");
    expect(await call("settings", "get")).toBe(1);
  });

  test("a state that somebody has put in place meanwhile stays", async () => {
    await deploy("imported", { instances: 2, ...watchdog("restore_old") });
    const [first, last] = (await keysOf("imported", 2)) as [string, string];
    for (let n = 0; n < 7; n += 1) await call("imported", "add", first);
    const { document } = await solo.ask("ExportState", { service_id: "imported" }, tenant);
    await solo.ask("ResetState", { service_id: "imported", slot: 0 }, tenant);
    await update("imported", { code: counter(2) });
    await call("imported", "add", last);
    await solo.ask("ImportState", { service_id: "imported", document }, tenant);
    await call("imported", "boom", first).catch(() => {});
    await versionIs("imported", "1");
    expect(await call("imported", "get", first)).toBe(7);
    expect(await call("imported", "get", last)).toBe(0);
  });

  test("a step that fails for a passing reason gives up nothing that was acknowledged", async () => {
    await deploy("stepped", { instances: 2, watchdog: {} });
    const [first] = await keysOf("stepped", 2);
    const strategy = { type: "canary", manual: true, steps: [{ percent: 50 }] };
    await update("stepped", { code: counter(2), strategy });
    await call("stepped", "add", first);
    between = (step) => {
      if (step !== "told") return;
      between = () => {};
      throw new Error("The disk is slow today.");
    };
    await solo.ask("PromoteRollout", { service_id: "stepped" }, tenant);
    await until(
      async () =>
        (await solo.ask("GetRollout", { service_id: "stepped" }, tenant)).phase === "rolled_back",
      "the way back",
    );
    expect(await call("stepped", "get", first)).toBe(1);
  });
});

describe("a sleeper", () => {
  const hibernation = { after_idle_ms: 100 };
  const isAsleep = (service_id: string) =>
    until(async () => (await status(service_id)).state === "hibernated", "its sleep");

  test("that is stopped while it wakes is changed again after its next start", async () => {
    await deploy("wakes", { hibernation });
    await isAsleep("wakes");
    between = async (step) => {
      if (step === "rousing")
        await until(() => replicasOf("wakes")[0]!.state === "draining", "its stop");
    };
    const woken = call("wakes", "add").catch(({ code }) => code as string);
    await solo.ask("Restart", { service_id: "wakes" }, tenant);
    expect(await woken).toBe("service_not_running");
    expect(await update("wakes", { code: counter(2) })).toMatchObject({ state: "running" });
  });

  test("tells its state also while it falls asleep", async () => {
    await deploy("drowsy", { hibernation });
    let seen: Promise<{ n: number }> | undefined;
    between = (step) => {
      if (step === "sleep_recorded") seen ??= stateOf("drowsy");
    };
    await until(() => seen, "its sleep");
    expect(await seen).toEqual({ n: 0 });
  });
});

test("what is not to be stored is not stored for the way back either", async () => {
  const code = counter(1).replace("({ n: 0 })", `({ n: 0, "cache:key": "never on disk" })`);
  await deploy("excluding", { code, persistence_exclude: ["cache:*"], watchdog: {} });
  await update("excluding", { code: `${code}\n` });
  using db = new DatabaseSync(join(solo.dataDir, "state.db"), { readOnly: true });
  const rows = db
    .prepare("SELECT ns, value FROM kv WHERE key = ? AND ns IN ('state', 'probation_states')")
    .all(`${tenant}/excluding`);
  expect(new Set(rows.map(({ ns }) => ns))).toEqual(new Set(["probation_states", "state"]));
  for (const { value } of rows) {
    expect(Buffer.from(value as Uint8Array).toString()).not.toContain("never on disk");
  }
});
