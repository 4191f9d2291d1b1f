/** A disk that is full in the middle of changes: a swap, a step of a rollout, a way back. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startKernel, until, type Body } from "../support/kernel.ts";
import { canMount, fill, smallDisk } from "./small-disk.ts";

const BALLAST_BYTES = 8 * 1024 * 1024;

test.skipIf(!canMount)(
  "a full disk refuses a swap and a step, holds a way back up, and loses nothing of any",
  { timeout: 120_000 },
  async () => {
    using disk = smallDisk("20m");
    const ballast = join(disk.path, "ballast");
    writeFileSync(ballast, Buffer.alloc(BALLAST_BYTES));
    await using kernel = await startKernel({
      dataDir: disk.dataDir,
      // The whole disk is smaller than what the runtime monitor wants to be free.
      env: { SOLO_LIMITS_PRESSURE_DISK_FREE_MB: "0" },
    });
    const code = (version: number) => `export default { version: "${version}",
      init: () => ({ n: 0 }), calls: { add: (solo) => (solo.state.n += 1),
      get: (solo) => solo.state.n, boom() { throw new Error("boom"); },
      put: (solo, key, chars) => solo.kv.put(key, "x".repeat(chars)).then(() => true) } };`;
    const put = async (service: string, body: Body) =>
      (await kernel.request("PUT", `/services/${service}`, body)).body as Body;
    const seen = async (service: string) => (await kernel.status(service))["version"] as string;
    const rollout = async (command: string) =>
      (await kernel.request("POST", `/services/rolled/rollout/${command}`, {})).body as Body;
    for (const service_id of ["swapped", "rolled", "tried", "filler"]) {
      const instances = service_id === "rolled" ? 2 : 1;
      await kernel.deploy({ service_id, code: code(1), persistence: "durable", instances });
      await kernel.call(service_id, "add");
    }
    await put("tried", { code: code(2), watchdog: { window_ms: 600_000 } });
    await put("rolled", { code: code(2), strategy: { type: "blue_green", manual: true } });

    // Ever smaller values, until not even a small one fits.
    for (const [at, chars] of [400_000, 20_000, 1000].entries()) {
      for (let n = 0; ; n += 1) {
        const { status, body } = await kernel.ask("filler", "put", [`k${at}-${n}`, chars]);
        if (status === 200) continue;
        expect(body.code).toBe("storage_full");
        break;
      }
    }
    fill(join(disk.path, "rest"), disk.path);
    await until(
      async () => (await kernel.ask("filler", "add")).body.code === "storage_full",
      "the last room to be used",
    );

    expect(await put("swapped", { code: code(2) })).toMatchObject({ code: "storage_full" });
    expect([await seen("swapped"), await kernel.call("swapped", "get")]).toEqual(["1", 1]);
    expect(await rollout("promote")).toMatchObject({ code: "storage_full" });
    expect(await rollout("abort")).toMatchObject({ code: "storage_full" });
    expect((await kernel.ask("tried", "boom")).body.code).toBe("service_crashed");
    await until(() => kernel.stderr.includes("a regression is not rolled back yet"), "a first try");
    expect(await kernel.call("tried", "get")).toBe(1);
    expect(await seen("tried")).toBe("2");

    rmSync(ballast);
    rmSync(join(disk.path, "rest"));
    await until(async () => (await seen("tried")) === "1", "the way back");
    expect(await kernel.call("tried", "get")).toBe(1);
    await until(async () => (await put("swapped", { code: code(2) }))["state"], "the swap");
    expect([await seen("swapped"), await kernel.call("swapped", "add")]).toEqual(["2", 2]);
    await until(async () => (await rollout("promote"))["phase"], "the promotion to be taken");
    await until(async () => (await kernel.status("rolled"))["rollout"] === undefined, "its end");
    expect(await seen("rolled")).toBe("2");
    await kernel.kill9();
    await kernel.restart();
    for (const [service, version, n] of [
      ["tried", "1", 1],
      ["swapped", "2", 2],
    ] as const) {
      expect([await seen(service), await kernel.call(service, "get")]).toEqual([version, n]);
    }
  },
);
