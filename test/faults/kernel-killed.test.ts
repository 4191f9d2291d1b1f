/** kill -9 of the kernel while everything goes on at once. What was acknowledged is there
 *  after the next start, nothing is there by half, and nothing runs in between. */
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { startKernel, until } from "../support/kernel.ts";
import { CONFIG, COUNTER, killRepeatedly } from "./under-load.ts";

const ROUNDS = 3;

test(`${ROUNDS} kills under load lose nothing that was acknowledged`, async () => {
  await using kernel = await startKernel({ config: CONFIG });
  await killRepeatedly(kernel, ROUNDS);
});

describe("hybrid state after a kill -9", () => {
  test("is as of the last flush, and after an orderly stop it is whole", async () => {
    await using kernel = await startKernel();
    await kernel.deploy({ service_id: "hybrid", code: COUNTER, persistence: "hybrid" });
    for (let count = 0; count < 7; count += 1) await kernel.call("hybrid", "increment");
    await until(() => flushed(kernel.dataDir, "count"), "a flush", 15_000);
    await kernel.call("hybrid", "increment");
    await kernel.kill9();
    await kernel.restart();
    const count = (await kernel.call("hybrid", "get")) as number;
    expect([7, 8]).toContain(count);
    await kernel.call("hybrid", "increment");
    await kernel.restart();
    expect(await kernel.call("hybrid", "get")).toBe(count + 1);
  });
});

/** Looks into the store from outside, reading only. */
function flushed(dataDir: string, text: string): boolean {
  const db = new DatabaseSync(join(dataDir, "state.db"), { readOnly: true });
  try {
    return db
      .prepare("SELECT value FROM kv WHERE ns = 'state'")
      .all()
      .some(({ value }) => Buffer.from(value as Uint8Array).includes(text));
  } finally {
    db.close();
  }
}

describe("nothing outlives a kernel that is killed", () => {
  test("not even cells that loop, and compilers at work", async () => {
    await using kernel = await startKernel();
    const loop = `export default { calls: { spin: () => { for (;;); } } };`;
    await kernel.deploy({ service_id: "spin", code: loop, limits: { call_timeout_ms: 60_000 } });
    await kernel
      .tenant("other")
      .deploy({ service_id: "spin", code: loop, limits: { call_timeout_ms: 60_000 } });
    const spinning = [kernel, kernel.tenant("other")].map((tenant) =>
      tenant.ask("spin", "spin").catch(() => {}),
    );
    await until(
      async () => (await kernel.status("spin"))["mailbox_length"] === 1,
      "the call to be at work",
    );
    expect(kernel.cellPids().length).toBeGreaterThanOrEqual(3);
    // Resolves when the kernel and every process that was ever seen under it are gone.
    await kernel.kill9();
    await Promise.all(spinning);
  });
});

describe("a hundred services", () => {
  test("come back after a kill -9; one that no longer starts is reported and stops nobody", async () => {
    await using kernel = await startKernel();
    const tenants = ["a", "b", "c", "d"].map((name) => kernel.tenant(name));
    await Promise.all(
      tenants.map(async (tenant) => {
        for (let at = 0; at < 25; at += 1) {
          await tenant.deploy({
            service_id: `s-${at}`,
            code: COUNTER,
            persistence: at % 5 === 0 ? "durable" : "stateless",
          });
        }
        await tenant.call("s-0", "increment");
      }),
    );
    const fragile = `export default {
      async init(solo) { if (await solo.kv.get("poison")) throw new Error("no longer"); },
      calls: { async poison(solo) { await solo.kv.put("poison", true); } },
    };`;
    await kernel.deploy({ service_id: "fragile", code: fragile });
    await kernel.call("fragile", "poison");
    await kernel.kill9();
    await kernel.restart();
    expect(kernel.stdout).toContain("services 100 back, 1 not: default/fragile");
    for (const tenant of tenants) {
      const states = (await tenant.list()).map((service) => service["state"]);
      expect(states).toEqual(Array.from({ length: 25 }, () => "running"));
      expect(await tenant.call("s-0", "get")).toBe(1);
    }
    const failures = await kernel.events({ event_type: "service_deployment_failed" });
    expect(failures.at(-1)).toMatchObject({
      subject: "fragile",
      payload: { detail: expect.stringContaining("no longer") },
    });
    const { state, last_crash } = await kernel.status("fragile");
    expect(state).toBe("quarantined");
    expect(last_crash["message"]).toContain("no longer");
    expect((await kernel.ask("fragile", "poison")).body).toMatchObject({
      code: "service_quarantined",
    });
    expect((await kernel.request("POST", "/services/fragile/restart")).body).toMatchObject({
      code: "startup_failed",
    });
    await kernel.kill("fragile");
    await kernel.deploy({ service_id: "fragile", code: fragile });
  });
});

test("a kill that was cut off is finished at the next start, and quarantine goes on", async () => {
  await using kernel = await startKernel();
  const code = `export default {
    init: () => ({ count: 0 }),
    calls: {
      async keep(solo) { solo.state.count += 1; await solo.kv.put("kept", true); },
      get: async (solo) => [solo.state.count, (await solo.kv.get("kept")) ?? null],
    },
    async terminate(solo) { await solo.sleep(4000); },
  };`;
  const crashes = `export default { calls: { crash: () => { setTimeout(() => { throw new Error("no"); }); }, get: () => 1 } };`;
  await kernel.deploy({
    service_id: "crashed",
    code: crashes,
    restart_limits: { max_restarts: 0 },
  });
  await kernel.ask("crashed", "crash");
  await until(
    async () => (await kernel.status("crashed"))["state"] === "quarantined",
    "quarantine",
  );
  // What was written before this deploy's acknowledgement is on the disk.
  await kernel.deploy({ service_id: "svc", code, persistence: "durable" });
  await kernel.call("svc", "keep");
  const killing = kernel.kill("svc").catch(() => {});
  await until(
    async () => (await kernel.status("svc"))["state"] === "draining",
    "the kill to be under way",
  );
  await kernel.kill9();
  await killing;
  await kernel.restart();
  // The name brings nothing back.
  expect((await kernel.list()).map(({ service_id }) => service_id as string)).toEqual(["crashed"]);
  await kernel.deploy({ service_id: "svc", code, persistence: "durable" });
  expect(await kernel.call("svc", "get")).toEqual([0, null]);
  await kernel.kill("svc", "?force=true");
  expect((await kernel.status("crashed"))["state"]).toBe("quarantined");
  await kernel.request("POST", "/services/crashed/restart");
  expect(await kernel.call("crashed", "get")).toBe(1);
});
