/** Compiler processes and the tenants that have them (src/kernel/compilers/pool.ts). */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { prepareCellPrograms } from "#bin/cell-host.ts";
import { systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import {
  asCellProcess,
  launchPlain,
  type CellProcess,
  type Launcher,
} from "#kernel/cells/launcher.ts";
import { CompilerPool } from "#kernel/compilers/pool.ts";
import { startInProcess } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";

const HOSTILE = fileURLToPath(new URL("./hostile-compiler.mjs", import.meta.url));
const source = (text: string) => ({ files: { "index.ts": text }, entry: "index.ts" });
const HONEST = source("export default { calls: {} };");
/** Ends the process that parses it. */
const BOMB = source(`export default ${"(".repeat(200_000)}1${")".repeat(200_000)};`);
const plain = launchPlain({ node: process.execPath, programs: await prepareCellPrograms() });

interface Watched {
  readonly pool: CompilerPool;
  readonly launched: CellProcess[];
  /** Processes that live at this moment, and that ever lived at once. */
  readonly count: { now: number; most: number };
}

async function opened(limit: number, launch: Launcher = plain): Promise<Watched> {
  const launched: CellProcess[] = [];
  const count = { now: 0, most: 0 };
  const watching: Launcher = async (options) => {
    const made = await launch(options);
    launched.push(made);
    count.now += 1;
    count.most = Math.max(count.most, count.now);
    void made.exited.then(() => (count.now -= 1));
    return made;
  };
  const pool = new CompilerPool({
    launch: watching,
    clock: systemClock,
    log: silentLogger,
    limit,
  });
  await pool.open();
  onTestFinished(() => pool.close());
  return { pool, launched, count };
}

test.for([1, 2])(
  "a tenant that sends bombs without pause does not keep another waiting, with places for %i",
  async (limit) => {
    const { pool } = await opened(limit);
    const order: string[] = [];
    const bombs = Array.from({ length: 8 }, () =>
      pool.compile("mallory", BOMB).catch((error: { code: string }) => order.push(error.code)),
    );
    const honest = async () => {
      for (let at = 0; at < 2; at += 1) {
        const { modules } = await pool.compile("alice", HONEST);
        order.push(modules[0]!.path);
      }
    };
    await Promise.all([...bombs, honest()]);
    expect(order.filter((each) => each === "compile_failed")).toHaveLength(8);
    expect(order.filter((each) => each === "index.ts")).toHaveLength(2);
    expect(order.at(-1)).toBe("compile_failed");
    // Its turn comes second; how many bombs end before it does, the machine decides.
    expect(order.indexOf("index.ts")).toBeLessThanOrEqual(4);
  },
);

test("one that is killed at work fails that source; those behind it go on in the next", async () => {
  let asked = false;
  let silent = true;
  const { pool, launched } = await opened(2, (options) => {
    if (!silent) return plain(options);
    silent = false;
    const child = spawn(process.execPath, [HOSTILE, "nothing"], {
      env: {},
      stdio: ["ignore", "ignore", "pipe", "pipe"],
    });
    return asCellProcess(child, () => (asked = true));
  });
  const compiled = Promise.allSettled([pool.compile("a", HONEST), pool.compile("a", HONEST)]);
  await until(() => asked, "the first request to be read");
  launched[0]!.kill();
  const [first, second] = await compiled;
  expect(first).toMatchObject({
    reason: { code: "compile_failed", message: expect.stringContaining("SIGKILL") },
  });
  expect(second).toMatchObject({ value: { modules: [{ path: "index.ts" }] } });
});

test("one that dies with nothing at hand costs no deploy", async () => {
  const { pool, launched } = await opened(2);
  await pool.compile("a", HONEST);
  for (const each of launched) each.kill();
  await Promise.all(launched.map(({ exited }) => exited));
  await expect(pool.compile("a", HONEST)).resolves.toMatchObject({ diagnostics: [] });
});

test("thirty tenants are compiled by few processes at a time, none of which serves two", async () => {
  const { pool, launched, count } = await opened(3);
  const tenants = Array.from({ length: 30 }, (_, at) => `tenant-${at}`);
  await Promise.all(tenants.map((tenant) => pool.compile(tenant, HONEST)));
  expect(launched.length).toBeGreaterThanOrEqual(30);
  // Three at work, a spare, and the three whose places the new ones took.
  expect(count.most).toBeLessThanOrEqual(7);
  await pool.close();
  expect(count.now).toBe(0);
});

test("when none starts, a deploy is told so, and the next one is not", async () => {
  let broken = true;
  const { pool } = await opened(2, (options) => {
    if (broken) throw new Error("no more processes");
    return plain(options);
  });
  await expect(pool.compile("a", HONEST)).rejects.toMatchObject({ code: "unavailable" });
  broken = false;
  await expect(pool.compile("a", HONEST)).resolves.toMatchObject({ diagnostics: [] });
});

test("a crowd of one tenant is refused as overloaded, and another tenant is served", async () => {
  const { pool } = await opened(2);
  const crowd = await Promise.allSettled([
    ...Array.from({ length: 150 }, () => pool.compile("a", HONEST)),
    pool.compile("b", HONEST),
  ]);
  const refused = crowd.filter(({ status }) => status === "rejected");
  expect(refused.length).toBe(49);
  expect(refused[0]).toMatchObject({ reason: { code: "overloaded" } });
  expect(crowd.at(-1)).toMatchObject({ status: "fulfilled" });
});

test("what a tenant's compiler made of a source is not what another tenant gets", async () => {
  let hostile = true;
  await using solo = await startInProcess({
    launch: (options) => {
      if (options.program !== "compiler" || !hostile) return plain(options);
      hostile = false;
      const child = spawn(process.execPath, [HOSTILE, "its own code"], {
        env: {},
        stdio: ["ignore", "ignore", "pipe", "pipe"],
      });
      return asCellProcess(child, options.onStderr);
    },
  });
  const deploy = { service_id: "same", code: "export default { calls: { a: () => 1 } };" };
  await expect(solo.ask("Deploy", deploy, "mallory")).rejects.toMatchObject({
    code: "startup_failed",
  });
  await solo.ask("Deploy", deploy, "alice");
  expect(await solo.call("alice", "same", "a")).toBe(1);
});

test("a kernel that brings back what it compiled before starts no compiler but the spare", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "solo-compilers-"));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  let compilers = 0;
  const launch: Launcher = (options) => {
    if (options.program === "compiler") compilers += 1;
    return plain(options);
  };
  {
    await using solo = await startInProcess({ launch, dataDir });
    for (let at = 0; at < 60; at += 1) {
      const code = `export default { calls: { which: () => ${at} } };`;
      await solo.ask("Deploy", { service_id: `s-${at}`, code }, `tenant-${at % 3}`);
    }
  }
  compilers = 0;
  await using solo = await startInProcess({ launch, dataDir });
  await until(
    async () => (await solo.call("tenant-2", "s-59", "which")) === 59,
    "the services to be back",
  );
  expect(compilers).toBe(1);
});
