/** kill -9 of the kernel while everything goes on at once. What was acknowledged is there
 *  after the next start, nothing is there by half, and nothing runs in between. test/chaos has
 *  more kills and more services. */
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startKernel, until, type TestKernel } from "../support/kernel.ts";
import { CONFIG, COUNTER, killRepeatedly } from "./under-load.ts";

test("a kill under load loses nothing that was acknowledged", async () => {
  await using kernel = await startKernel({ config: CONFIG });
  await killRepeatedly(kernel, 1);
});

describe("hybrid state after a kill -9", () => {
  test("is as of the last flush, and after an orderly stop it is whole", async () => {
    await using kernel = await startKernel();
    const code = COUNTER.replace(
      "(solo.state.count += 1)",
      '{ solo.state.mark = "at " + (solo.state.count += 1); return solo.state.count; }',
    );
    await kernel.deploy({ service_id: "hybrid", code, persistence: "hybrid" });
    for (let count = 0; count < 7; count += 1) await kernel.call("hybrid", "increment");
    await until(() => flushed(kernel.dataDir, "at 7"), "a flush");
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

describe("many services, some of them looping", () => {
  const EACH = 10;
  const loop = `export default { calls: { spin: () => { for (;;); } } };`;
  const fragile = `export default {
    async init(solo) { if (await solo.kv.get("poison")) throw new Error("no longer"); },
    calls: { async poison(solo) { await solo.kv.put("poison", true); } },
  };`;
  const names = ["a", "b", "c", "d"];
  let kernel: TestKernel;
  beforeAll(async () => {
    kernel = await startKernel();
    await Promise.all(
      names.map(async (name) => {
        const tenant = kernel.tenant(name);
        for (let at = 0; at < EACH; at += 1) {
          await tenant.deploy({
            service_id: `s-${at}`,
            code: COUNTER,
            persistence: at % 5 === 0 ? "durable" : "stateless",
          });
        }
        await tenant.call("s-0", "increment");
      }),
    );
    await kernel.deploy({ service_id: "fragile", code: fragile });
    await kernel.call("fragile", "poison");
  });
  afterAll(() => kernel[Symbol.asyncDispose]());

  test("do not outlive the kernel, not even cells that loop, and compilers at work", async () => {
    const tenants = [kernel.tenant("spinner"), kernel.tenant("other")];
    const limits = { call_timeout_ms: 60_000 };
    for (const tenant of tenants) await tenant.deploy({ service_id: "spin", code: loop, limits });
    const spinning = tenants.map((tenant) => tenant.ask("spin", "spin").catch(() => {}));
    for (const tenant of tenants)
      await until(
        async () => (await tenant.status("spin"))["mailbox_length"] === 1,
        "the call to be at work",
      );
    expect(kernel.cellPids().length).toBeGreaterThanOrEqual(3);
    // Resolves when the kernel and every process that was ever seen under it are gone.
    await kernel.kill9();
    await Promise.all(spinning);
  });

  test("come back after it; one that no longer starts is reported and stops nobody", async () => {
    await kernel.restart();
    const all = names.length * EACH + 2;
    await until(
      () => kernel.stdout.includes(`services ${all} back, 1 not: default/fragile`),
      "the kernel to say who is back",
    );
    for (const name of names) {
      const tenant = kernel.tenant(name);
      const states = (await tenant.list()).map((service) => service["state"]);
      expect(states).toEqual(Array.from({ length: EACH }, () => "running"));
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
