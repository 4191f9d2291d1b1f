/** A disk that is full or read-only: nothing acknowledged is lost, errors say what is wrong,
 *  and the kernel goes on. Needs the right to mount a small file system of its own. */
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startKernel, until } from "../support/kernel.ts";
import { refusedStart } from "./refused-start.ts";
import { canMount, fill, mount, smallDisk, type SmallDisk } from "./small-disk.ts";

/** Freed later: more than the write-ahead log can take up. */
const DISK = "20m";
const BALLAST_BYTES = 8 * 1024 * 1024;
const COUNTER = `export default {
  init: () => ({ count: 0 }),
  calls: { increment: (solo) => (solo.state.count += 1), get: (solo) => solo.state.count },
};`;
const STORE = `export default { calls: {
  async put(solo, key, chars) { await solo.kv.put(key, key + "x".repeat(chars)); return true; },
  get: async (solo, key) => (await solo.kv.get(key))?.startsWith(key),
} };`;

describe.skipIf(!canMount)("on a small disk of its own", () => {
  let small: SmallDisk;
  let disk: string;
  let dataDir: string;

  beforeEach(() => {
    small = smallDisk(DISK);
    ({ path: disk, dataDir } = small);
  });
  afterEach(() => small[Symbol.dispose]());

  test("a kernel whose disk is full refuses with storage_full, loses nothing, and recovers", async () => {
    const ballast = join(disk, "ballast");
    writeFileSync(ballast, Buffer.alloc(BALLAST_BYTES));
    await using kernel = await startKernel({
      dataDir,
      // The whole disk is smaller than what the runtime monitor wants to be free.
      env: { SOLO_LIMITS_PRESSURE_DISK_FREE_MB: "0" },
    });
    await kernel.deploy({ service_id: "store", code: STORE });
    await kernel.deploy({ service_id: "durable", code: COUNTER, persistence: "durable" });
    await kernel.deploy({ service_id: "stateless", code: COUNTER });
    await kernel.deploy({
      service_id: "hybrid",
      code: COUNTER,
      persistence: "hybrid",
      hibernation: { after_idle_ms: 100 },
    });
    await until(
      async () => (await kernel.status("hybrid"))["state"] === "hibernated",
      "it to sleep while there is room",
    );
    await kernel.call("durable", "increment");

    const kept: string[] = [];
    const refusals = new Set<string>();
    // Ever smaller values, until not even a small one fits.
    for (const chars of [400_000, 20_000, 1000]) {
      for (;;) {
        const key = `k${kept.length}`;
        const { status, body } = await kernel.ask("store", "put", [key, chars]);
        if (status === 200) kept.push(key);
        else {
          refusals.add(body.code);
          break;
        }
      }
    }
    writeFileSync(join(disk, "rest"), "");
    fill(join(disk, "rest"), disk);
    expect([...refusals]).toEqual(["storage_full"]);
    const deploy = await kernel.request("POST", "/services", {
      service_id: "late",
      code: COUNTER,
    });
    expect(deploy.body).toMatchObject({ code: "storage_full", hint: expect.any(String) });
    // What the refused deploy gave back may have room for a few more.
    await until(
      async () => (await kernel.ask("durable", "increment")).body.code === "storage_full",
      "the last room to be used",
    );
    expect(await kernel.call("stateless", "increment")).toBe(1);
    // Awake again, it can neither be flushed nor go to sleep, and says so until it can.
    expect(await kernel.call("hybrid", "increment")).toBe(1);
    const [hybrid] = await until(async () => {
      const { stored } = await kernel.status("hybrid");
      return stored[0].error !== undefined && stored;
    }, "the flush to be refused");
    expect(hybrid.error.code).toBe("storage_full");
    expect((await kernel.status("hybrid"))["state"]).toBe("running");
    const replaced = await kernel.request("DELETE", "/services/durable/state");
    expect(replaced.body).toMatchObject({ code: "storage_full" });
    const health = (await kernel.request("GET", "/health")).body;
    expect(health).toMatchObject({ status: "degraded", not_stored: expect.any(Number) });
    expect((await kernel.request("GET", "/health")).status).toBe(200);
    for (const key of kept) expect(await kernel.call("store", "get", key), key).toBe(true);

    rmSync(ballast);
    rmSync(join(disk, "rest"));
    await until(() => kernel.call("store", "put", "after", 1000), "writes to be taken again");
    await until(
      () => kernel.deploy({ service_id: "late", code: COUNTER }),
      "deploys to be taken again",
    );
    const count = await kernel.call("durable", "increment");
    await until(
      async () => (await kernel.status("hybrid"))["stored"][0].error === undefined,
      "the hybrid state to be stored",
    );
    const types = (await kernel.events({ service_id: "hybrid" })).map((each) => each.event_type);
    expect(types).toContain("state_not_stored");
    expect(types).toContain("state_stored_again");
    expect((await kernel.request("GET", "/health")).body).toMatchObject({
      status: "ok",
      not_stored: 0,
    });
    await kernel.kill9();
    await kernel.restart();
    expect(await kernel.call("durable", "get")).toBe(count);
    expect(await kernel.call("hybrid", "get")).toBe(1);
    for (const key of [...kept, "after"])
      expect(await kernel.call("store", "get", key), key).toBe(true);
    expect((await kernel.status("late"))["state"]).toBe("running");
    expect((await kernel.request("POST", "/events/verify", {})).body).toMatchObject({ ok: true });
  });

  test("a kernel whose disk is read-only does not start, and says so", async () => {
    expect(mount("-o", "remount,ro", disk)).toBe(true);
    const { code, stderr } = await refusedStart({ dataDir, cwd: tmpdir() });
    expect(stderr).toContain("error[storage_read_only]");
    expect(stderr).toContain(dataDir);
    expect(code).toBe(3);
  });

  test("a kernel whose disk is full from the beginning does not start, and says so", async () => {
    writeFileSync(join(disk, "rest"), "");
    fill(join(disk, "rest"), disk);
    const { code, stderr } = await refusedStart({ dataDir, cwd: tmpdir() });
    expect(stderr).toMatch(/error\[storage_full\]/);
    expect(stderr).toContain("no room");
    expect(code).toBe(3);
  });
});
