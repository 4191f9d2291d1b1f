/** Which cell a tenant gets (src/kernel/cells/pool.ts). */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { prepareCellPrograms } from "#bin/cell-host.ts";
import { systemClock } from "#base/clock.ts";
import { tenantId } from "#base/ids.ts";
import { silentLogger } from "#base/log.ts";
import { prepareImage } from "#cell/image.ts";
import { launchPlain, type CellProcess, type Launcher } from "#kernel/cells/launcher.ts";
import { CellPool } from "#kernel/cells/pool.ts";
import { until } from "../support/until.ts";

const CACHE_DIR = fileURLToPath(new URL("../../node_modules/.cache/solo", import.meta.url));
const MEMORY_MB = 128;

/** A pool with one spare, whose processes start when the gate opens. */
async function gatedPool() {
  const plain = launchPlain({ node: process.execPath, programs: await prepareCellPrograms() });
  const gate = Promise.withResolvers<void>();
  const launched: CellProcess[] = [];
  let asked = 0;
  const launch: Launcher = async (options) => {
    asked += 1;
    await gate.promise;
    const cell = plain(options);
    launched.push(cell);
    return cell;
  };
  const pool = new CellPool({
    launch,
    clock: systemClock,
    log: silentLogger,
    spares: 1,
    cellArgs: [await prepareImage({ cacheDir: CACHE_DIR }), "0", String(MEMORY_MB)],
    memoryBytes: () => MEMORY_MB * 1024 * 1024,
    cpuPercent: () => Infinity,
    outOfMemory: () => {},
  });
  pool.open();
  await until(() => asked === 1, "the first spare");
  return { pool, launched, open: () => gate.resolve(), asked: () => asked };
}

test("who finds no spare takes the one that is being made, and another is made later", async () => {
  const { pool, launched, open, asked } = await gatedPool();
  try {
    const [first, second] = [tenantId("first"), tenantId("second")].map((id) => pool.shared(id));
    await until(() => asked() === 2, "the second tenant's own");
    open();
    expect((await first)!.process).toBe(launched[0]);
    expect((await second)!.process).toBe(launched[1]);
    await until(() => launched.length === 3, "the next spare");
    await pool.warm();
    expect((await pool.shared(tenantId("third"))).process).toBe(launched[2]);
  } finally {
    open();
    await pool.close();
  }
});
