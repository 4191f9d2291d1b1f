/** A probation outlives its kernel: kill -9 while it runs, and at every step of the way back. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { SWAP_STEPS } from "#kernel/faults.ts";
import { startKernel, until, type Body } from "../support/kernel.ts";

const KERNEL = fileURLToPath(new URL("probation-kernel.ts", import.meta.url));
const run = promisify(execFile);

interface Left {
  readonly version: string;
  readonly isTried: boolean;
  readonly n: number;
  readonly back: number;
}

async function generation(dataDir: string, step: string): Promise<Left> {
  const args = [KERNEL, dataDir, step];
  const ended = await run(process.execPath, args, { timeout: 60_000 }).catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  if (ended.stdout === "") throw new Error(`Nothing was found: ${ended.stderr}`);
  return JSON.parse(ended.stdout) as Left;
}

test(
  "a kernel that dies at any step of the way back leaves one revision with the newest state, and a way back",
  { timeout: 180_000 },
  async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "solo-probation-killed-"));
    onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
    let n = 0;
    let before = "never";
    for (const step of [...SWAP_STEPS, "never"]) {
      const isBad = ["warmed", "held", "told", "adopted"].includes(before);
      const left = await generation(dataDir, step);
      expect(left, `after a kill ${before}`).toEqual({
        version: isBad ? "bad" : "good",
        isTried: isBad,
        n,
        back: n,
      });
      n += 1;
      before = step;
    }
  },
);

describe("after the end of the kernel", () => {
  const OLD = `export default { version: "1", init: () => ({ n: 0 }), calls: {
    add: (solo) => (solo.state.n += 1), get: (solo) => solo.state.n },
    terminate: (solo) => solo.events.emit("terminated", {}) };`;
  const bad = (more: string) => `export default { version: "2", ${more} calls: {
    add: (solo) => (solo.state.n += 1), poison: (solo) => solo.kv.put("poison", true),
    boom() { throw new Error("boom"); }, get: (solo) => solo.state.n } };`;

  /** A service with n = 2 whose next revision has made 3 of it when the kernel dies. */
  async function tried(more: string, watchdog: Body) {
    const kernel = await startKernel();
    onTestFinished(() => kernel[Symbol.asyncDispose]());
    const service_id = "tried";
    await kernel.deploy({ service_id, code: OLD, persistence: "durable" });
    for (let n = 0; n < 2; n += 1) await kernel.call(service_id, "add");
    const before = (await kernel.status(service_id))["revision"] as string;
    const update = await kernel.request("PUT", `/services/${service_id}`, {
      code: bad(more),
      watchdog,
    });
    expect(update.body).toMatchObject({ state: "running" });
    await kernel.call(service_id, "add");
    const events = async (event_type: string) => kernel.events({ service_id, event_type });
    const isBack = () =>
      until(async () => (await kernel.status(service_id))["revision"] === before, "the way back");
    return { kernel, service_id, before, events, isBack };
  }

  test("it goes on with what is left, and a crash brings the old revision and its state back", async () => {
    const { kernel, service_id, before, events, isBack } = await tried("", { window_ms: 60_000 });
    const [succeeded] = await until(async () => {
      const found = await events("hot_swap_succeeded");
      return found.length > 0 ? found : undefined;
    }, "the event of the update");
    await kernel.kill9();
    await kernel.restart();
    const { version, probation_ms } = await kernel.status(service_id);
    expect(version).toBe("2");
    expect(probation_ms).toBeGreaterThan(0);
    expect(probation_ms).toBeLessThan(60_000);
    expect(await kernel.call(service_id, "get")).toBe(3);
    await kernel.ask(service_id, "boom");
    await isBack();
    expect(await kernel.call(service_id, "get")).toBe(2);
    const [back] = await events("hot_swap_rolled_back");
    expect(back).toMatchObject({
      causation_id: succeeded!["id"],
      payload: { revision: before, state: "restore_old", regressions: [{ what: "crashes" }] },
    });
    await kernel.kill9();
    await kernel.restart();
    expect(await kernel.status(service_id)).toMatchObject({ version: "1", revision: before });
    expect((await kernel.status(service_id))["probation_ms"]).toBeUndefined();
    expect(await kernel.call(service_id, "get")).toBe(2);
  });

  test("a revision that does not start again is undone, and the service is not missing", async () => {
    const poisoned =
      "async init(solo) { if (await solo.kv.get('poison')) throw new Error('poisoned'); },";
    const { kernel, service_id, before, events } = await tried(poisoned, { window_ms: 60_000 });
    await kernel.call(service_id, "poison");
    await kernel.kill9();
    await kernel.restart();
    expect(await kernel.status(service_id)).toMatchObject({
      state: "running",
      version: "1",
      revision: before,
    });
    expect(await kernel.call(service_id, "get")).toBe(2);
    const [back] = await events("hot_swap_rolled_back");
    expect(back!["payload"]).toMatchObject({ reason: "failure", state: "restore_old" });
    expect(back!["payload"].detail).toContain("poisoned");
    const { revisions } = (await kernel.request("GET", `/services/${service_id}/revisions`)).body;
    expect(revisions[0]).toMatchObject({ by: "watchdog", action: "rollback", revision: before });
  });

  test("an orderly stop ends whoever stands by without a trace", async () => {
    const { kernel, service_id, events } = await tried("", { window_ms: 60_000 });
    for (let n = 4; n < 7; n += 1) {
      expect(await kernel.call(service_id, "add")).toBe(n);
      await kernel.stop();
      await kernel.restart();
      expect(await kernel.status(service_id)).toMatchObject({ state: "running", version: "2" });
      expect(await kernel.call(service_id, "get")).toBe(n);
    }
    expect(await events("hot_swap_rolled_back")).toEqual([]);
    expect(await events("service.terminated")).toEqual([]);
  });

  test("a probation that was over stays over", async () => {
    const { kernel, service_id } = await tried("", { max_messages: 1 });
    await until(
      async () => (await kernel.status(service_id))["probation_ms"] === undefined,
      "the end of the probation",
    );
    await kernel.stop();
    await kernel.restart();
    expect((await kernel.status(service_id))["probation_ms"]).toBeUndefined();
    await kernel.ask(service_id, "boom");
    await until(async () => (await kernel.status(service_id))["restarts"] === 1, "the restart");
    expect((await kernel.status(service_id))["version"]).toBe("2");
  });
});
