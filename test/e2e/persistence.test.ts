/** What survives the kernel: sleepers, damaged states, services that do not come back. */
import { readFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startKernel, until, type TestKernel } from "../support/kernel.ts";
import { stepsOfPage } from "../support/sessions.ts";
import { runStep, shimDirectory } from "../support/shell.ts";

const COUNTER = `export default {
  init: () => ({ n: 0, log: [] }),
  calls: {
    add: (solo) => (solo.state.n += 1), get: (solo) => solo.state.n, log: (solo) => solo.state.log,
    later: async (solo, ms) => { await solo.after(ms, "due"); },
  },
  info(solo, message) { solo.state.log.push(message); },
};`;
const SLEEPY = { hibernation: { after_idle_ms: 100 } };

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "solo-persistence-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const asleep = (kernel: TestKernel, id: string) =>
  until(async () => (await kernel.status(id))["state"] === "hibernated", `${id} to sleep`);
const bootReport = async (kernel: TestKernel) => (await kernel.request("GET", "/boot")).body;

/** Spoils rows of the stopped kernel's state; `which` counts from the newest. */
function damage(service: string, which: readonly number[]): void {
  using db = new DatabaseSync(join(dataDir, "state.db"));
  const rows = db
    .prepare("SELECT key, value FROM kv WHERE ns = 'state' AND key LIKE ? ORDER BY version DESC")
    .all(`default/${service}%`) as { key: string; value: Uint8Array }[];
  for (const at of which) {
    const { key, value } = rows[at]!;
    const spoilt = Uint8Array.from(value);
    spoilt[spoilt.length - 2]! ^= 1;
    db.prepare("UPDATE kv SET value = ? WHERE ns = 'state' AND key = ?").run(spoilt, key);
  }
}

/** As if the service had failed at ten starts in a row, the last one just now. */
function failedOften(service: string): void {
  using db = new DatabaseSync(join(dataDir, "state.db"));
  const row = db
    .prepare("SELECT value FROM kv WHERE ns = 'deployments' AND key = ?")
    .get(`default/${service}`) as { value: Uint8Array };
  const deployment = JSON.parse(Buffer.from(row.value).toString());
  Object.assign(deployment.trouble, { failures: 10, lastAtMs: Date.now() });
  db.prepare("UPDATE kv SET value = ? WHERE ns = 'deployments' AND key = ?").run(
    Buffer.from(JSON.stringify(deployment)),
    `default/${service}`,
  );
}

test("sleepers survive kill -9 with state and timers, and are not started", async () => {
  await using kernel = await startKernel({ dataDir });
  for (const persistence of ["stateless", "hybrid", "durable"]) {
    await kernel.deploy({ service_id: persistence, code: COUNTER, persistence, ...SLEEPY });
    await kernel.call(persistence, "add");
  }
  await kernel.deploy({ service_id: "timed", code: COUNTER, persistence: "hybrid", ...SLEEPY });
  await kernel.deploy({ service_id: "awake", code: COUNTER, persistence: "durable" });
  for (const id of ["stateless", "hybrid", "durable"]) await asleep(kernel, id);
  // Not before the restart, however busy the machine is.
  await kernel.call("timed", "later", 12_000);
  await asleep(kernel, "timed");
  await kernel.kill9();
  await kernel.restart();
  expect(await bootReport(kernel)).toMatchObject({ running: 1, asleep: 4, missing: [] });
  for (const id of ["stateless", "hybrid", "durable"]) {
    const { stored } = await kernel.status(id);
    expect(stored, id).toMatchObject([{ saved_at: expect.any(String) }]);
    expect(await kernel.call(id, "add"), id).toBe(2);
  }
  await until(async () => {
    const log = (await kernel.call("timed", "log")) as string[];
    return log.length === 1 && log[0] === "due";
  }, "the timer");
});

test("a damaged state falls back and says so; without a good one the service is held back until told", async () => {
  await using kernel = await startKernel({ dataDir });
  for (const id of ["torn", "lost", "well"]) {
    await kernel.deploy({ service_id: id, code: COUNTER, persistence: "durable" });
    await kernel.call(id, "add");
    await kernel.call(id, "add");
  }
  await kernel.stop();
  damage("torn", [0]);
  damage("lost", [0, 1]);
  await kernel.restart();
  expect(await kernel.call("torn", "get")).toBe(1);
  expect(await kernel.call("well", "get")).toBe(2);
  await until(
    async () =>
      (await kernel.events({ service_id: "torn", event_type: "state_recovered" })).length === 1,
    "the event",
  );
  const { missing } = await bootReport(kernel);
  expect(missing).toEqual([
    expect.objectContaining({ service: "default/lost", why: "failed", code: "storage_corrupt" }),
  ]);
  expect(missing[0].next_try_at).toBeUndefined();
  const stored = async (id: string) => (await kernel.status(id))["stored"];
  expect(await stored("torn")).toMatchObject([{ fell_back: true, bytes: expect.any(Number) }]);
  const [well] = await stored("well");
  expect(well).toEqual({ slot: 0, saved_at: expect.any(String), bytes: expect.any(Number) });
  expect(await stored("lost")).toMatchObject([{ error: { code: "storage_corrupt" } }]);
  expect((await kernel.status("lost"))["state"]).toBe("quarantined");
  expect((await kernel.ask("lost", "get")).body.code).toBe("service_quarantined");
  expect((await kernel.request("DELETE", "/services/lost/state")).status).toBe(200);
  expect(await kernel.call("lost", "add")).toBe(1);
});

test("a service that does not come back is held back across kernels, and comes back when it can", async () => {
  await using kernel = await startKernel({ dataDir });
  const code = `export default {
    async init(solo) { if (await solo.kv.get("broken")) throw new Error("broken"); return {}; },
    calls: { break: (solo) => solo.kv.put("broken", true), ok: () => 1 },
  };`;
  await kernel.deploy({ service_id: "fragile", code });
  await kernel.deploy({ service_id: "well", code, priority: 5 });
  await kernel.call("fragile", "break");
  await kernel.stop();
  await kernel.restart();
  const first = await bootReport(kernel);
  expect(first).toMatchObject({
    running: 1,
    missing: [{ service: "default/fragile", why: "failed" }],
  });
  expect(Date.parse(first.missing[0].next_try_at)).toBeGreaterThan(Date.parse(first.at));
  await kernel.kill9();
  failedOften("fragile");
  await kernel.restart();
  expect((await bootReport(kernel)).missing).toMatchObject([
    { service: "default/fragile", why: "held_back", code: "startup_failed" },
  ]);
  await kernel.request("PUT", "/services/fragile", {
    code: code.replace('get("broken")', 'get("x")'),
  });
  expect(await kernel.call("fragile", "ok")).toBe(1);
  await kernel.stop();
  await kernel.restart();
  expect(await bootReport(kernel)).toMatchObject({ running: 2, missing: [] });
});

test("docs/persistence.md shows what happens", async () => {
  const page = readFileSync(
    fileURLToPath(new URL("../../docs/persistence.md", import.meta.url)),
    "utf8",
  );
  const directory = mkdtempSync(join(tmpdir(), "solo-persistence-page-"));
  const shims = shimDirectory();
  try {
    for (const [, name, source] of page.matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```/gms)) {
      writeFileSync(join(directory, name!), source!);
    }
    await using kernel = await startKernel({ dataDir });
    const env = { PATH: `${shims}:${process.env["PATH"]}`, SOLO_DATA_DIR: dataDir };
    for (const step of stepsOfPage(page)) {
      if (step.command.startsWith("# wait")) await asleep(kernel, "idler");
      else await runStep(step, { cwd: directory, http: kernel.http, env });
    }
  } finally {
    for (const path of [directory, shims]) rmSync(path, { recursive: true, force: true });
  }
});
