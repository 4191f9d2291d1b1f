import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, closeSync } from "node:fs";
import { access, chmod, copyFile, readdir } from "node:fs/promises";
import path from "node:path";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import { tenantId } from "#base/ids.ts";
import { sweepCgroups } from "#sandbox/cgroup.ts";
import { ending } from "#sandbox/launch.ts";
import { probeHost } from "#sandbox/probe.ts";
import { TenantGroups } from "#sandbox/tenant-groups.ts";
import { DEFAULT_UID_RANGE, uidOf } from "#sandbox/tenant-uid.ts";
import type { HostWalls } from "#sandbox/walls.ts";
import {
  DEADLINE_MS,
  DECOY,
  hear,
  here,
  hostileFile,
  launch,
  probeHere,
  temporaryDirectory,
  whyNoRoom,
} from "./support.ts";

const MB = 2 ** 20;
/** Defines `grow`, which takes so many MiB more, and gives Linux time to count them. */
const GROW = `const grow = (mb) => { for (let at = 0; at < mb; at += 1) kept.push(Buffer.alloc(${MB}, 1)); };`;
const say = (what: string) => `require("fs").writeSync(3, String(${what}))`;

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`Waited in vain until ${what}`);
    await sleep(10);
  }
}

describe("a walled process", () => {
  let walls: HostWalls;
  beforeAll(async () => {
    walls = await probeHere();
  });

  test("gets its arguments and only the environment it was given", async () => {
    const cell = await launch(
      walls,
      ["-e", say("JSON.stringify([process.argv[1], process.env.A, process.env.PATH])"), "x"],
      { env: { A: "1" } },
    );
    expect(await hear(cell)).toEqual({
      told: '["x","1",null]',
      complained: "",
      code: 0,
      signal: null,
      outOfMemory: false,
    });
  });

  test("talks with the kernel in both directions over descriptor 3", async () => {
    const echo = `const s = new (require("net").Socket)({ fd: 3 }); s.on("data", (d) => s.end(String(d).toUpperCase()))`;
    const cell = await launch(walls, ["-e", echo]);
    (cell.child.stdio[3] as NodeJS.WritableStream).write("hello");
    expect(await hear(cell)).toMatchObject({ told: "HELLO", code: 0 });
  });

  test("reports its exit code, and the signal that ended it, alike with and without a room", async () => {
    expect(await hear(await launch(walls, ["-e", "process.exit(7)"]))).toMatchObject({
      code: 7,
      signal: null,
    });
    const killed = await hear(await launch(walls, ["-e", "process.kill(process.pid, 'SIGKILL')"]));
    expect(killed).toMatchObject({ code: null, signal: "SIGKILL", outOfMemory: false });
    expect(ending(137, null, true)).toEqual({ code: null, signal: "SIGKILL" });
    expect(ending(137, null, false)).toEqual({ code: 137, signal: null });
    expect(ending(3, null, true)).toEqual({ code: 3, signal: null });
  });

  test("is ended by kill, once or twice, with everything inside", async () => {
    const cell = await launch(walls, ["-e", `${say("1")}; for (;;);`]);
    await once(cell.child.stdio[3]!, "data");
    const inner = cell.innerPid();
    expect(inner).toBeDefined();
    expect(isAlive(inner!)).toBe(true);
    cell.kill();
    cell.kill();
    expect(await hear(cell)).toMatchObject({ signal: "SIGKILL" });
    await until("the inner process is gone", () => !isAlive(inner!));
    expect(cell.innerPid()).toBeUndefined();
    cell.kill();
  });

  test("dies with the kernel that started it, even when that is killed", async ({ skip }) => {
    if (!walls.walls.find(({ name }) => name === "dies_with_kernel")?.active)
      return skip("neither bwrap nor setpriv here");
    const kernel = spawn(process.execPath, [path.join(here, "small-kernel.ts")], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      const [line] = await once(kernel.stdout, "data");
      const { pid, outer } = JSON.parse(String(line)) as { pid: number; outer: number };
      expect(isAlive(pid)).toBe(true);
      kernel.kill("SIGKILL");
      await until("the cell is gone", () => !isAlive(pid) && !isAlive(outer));
    } finally {
      kernel.kill("SIGKILL");
      // Its cgroups outlive a killed kernel until the next one sweeps.
      if (walls.cgroup !== null) {
        const host = walls.cgroup;
        await until("its cgroups are swept", async () => {
          await sweepCgroups(host, isAlive);
          const names = await Promise.all(
            Object.values(host.places).map((place) => readdir(place)),
          );
          return !names.flat().some((name) => name.startsWith(`solo-${kernel.pid}-`));
        });
      }
    }
  });

  test("sees /dev/null where the kernel holds a descriptor it inherited", async () => {
    const LEAK = 300;
    const file = openSync(hostileFile, "r");
    try {
      const stdio: ("ignore" | "pipe" | "inherit" | number)[] = ["ignore", "pipe", "inherit"];
      while (stdio.length < LEAK) stdio.push("ignore");
      stdio.push(file);
      const looker = `import { probeHere, launch, hear } from ${JSON.stringify(path.join(here, "support.ts"))};
        const walls = await probeHere();
        const look = ${JSON.stringify(`let f = "closed"; try { f = require("fs").fstatSync(${LEAK}).isFile() ? "file" : "nothing" } catch {} require("fs").writeSync(3, f)`)};
        const masked = await hear(await launch(walls, ["-e", look]));
        const leaking = await hear(await launch({ ...walls, leakedFds: [] }, ["-e", look]));
        console.log(JSON.stringify([walls.leakedFds.includes(${LEAK}), masked.told, leaking.told]))`;
      const kernel = spawn(process.execPath, ["--input-type=module", "-e", looker], { stdio });
      const [line] = await once(kernel.stdout!, "data");
      await once(kernel, "exit");
      expect(JSON.parse(String(line))).toEqual([true, "nothing", "file"]);
    } finally {
      closeSync(file);
    }
  });

  test("that passes its memory is killed by the system, said to be out of memory, and leaves no cgroup", async ({
    skip,
  }) => {
    if (!walls.walls.find(({ name }) => name === "memory_limit")?.active)
      return skip("no memory cgroup here");
    const bomb = "const held = []; for (;;) held.push(Buffer.alloc(8 * 1024 * 1024, 1))";
    const cell = await launch(walls, ["-e", bomb], { memoryBytes: 128 * MB });
    expect(await hear(cell)).toMatchObject({ signal: "SIGKILL", outOfMemory: true });
    await cell.cleared;
    const names = await Promise.all(
      Object.values(walls.cgroup!.places).map((place) => readdir(place)),
    );
    expect(names.flat().filter((name) => name.startsWith(`solo-${process.pid}-cell`))).toEqual([]);
  });

  test("that ends because its tenant's processes have no memory left together is said to be out of memory, whichever of them Linux chose", async ({
    skip,
  }) => {
    if (walls.cgroup?.tenants !== true) return skip("no group of a tenant's own here");
    const groups = new TenantGroups(walls.cgroup, process.pid);
    const tenant = tenantId("crowded");
    const hold = { memoryBytes: 320 * MB };
    /** What the idle one holds: less, and more, than the other when nothing is left. */
    for (const idleMb of [40, 200]) {
      const cells = await Promise.all(
        [`grow(${idleMb}); ${say("1")};`, "for (;;) grow(1);"].map((code) =>
          launch(
            walls,
            [
              "-e",
              `const kept = []; ${GROW} ${DECOY[1]};
              new (require("net").Socket)({ fd: 3 }).once("data", () => { ${code} });`,
            ],
            { memoryBytes: 512 * MB },
          ),
        ),
      );
      await Promise.all(cells.map(({ cgroup }) => cgroup!.joinTenant({ groups, tenant, hold })));
      const [idle, bomb] = cells.map(({ child }) => child.stdio[3] as Duplex);
      idle!.write("go");
      await once(idle!, "data");
      bomb!.write("go");
      const first = await Promise.race(cells.map(({ exited }) => exited));
      expect(first).toMatchObject({ signal: "SIGKILL", outOfMemory: true });
      for (const { kill } of cells) kill();
      await Promise.all(cells.map(({ cleared }) => cleared));
    }
  });

  test("shows its memory and CPU time", async ({ skip }) => {
    if (walls.cgroup === null) return skip("no cgroup here");
    const cell = await launch(
      walls,
      ["-e", `globalThis.held = Buffer.alloc(${64 * MB}, 1); ${say("1")}; ${DECOY[1]}`],
      {
        memoryBytes: 512 * MB,
        cpuShare: 50,
      },
    );
    await once(cell.child.stdio[3]!, "data");
    expect(await cell.cgroup!.memoryBytes()).toBeGreaterThan(64 * MB);
    expect(await cell.cgroup!.cpuMs()).toBeGreaterThan(0);
    expect(await cell.cgroup!.oomKills()).toBe(0);
    cell.cgroup!.kill();
    expect(await hear(cell)).toMatchObject({ signal: "SIGKILL", outOfMemory: false });
  });

  test("started as a spare has a uid of its own, and learns its tenant's limits later", async ({
    skip,
  }) => {
    if (!walls.walls.find(({ name }) => name === "memory_limit")?.active)
      return skip("no memory cgroup here");
    const bomb = `${say("process.getuid()")}; process.stdin; const held = [];
      new (require("net").Socket)({ fd: 3 }).once("data", () => { for (;;) held.push(Buffer.alloc(${8 * MB}, 1)) })`;
    const spares = await Promise.all(
      [1, 2].map(() => launch(walls, ["-e", bomb], { tenant: null, memoryBytes: 64 * MB })),
    );
    const uids = await Promise.all(
      spares.map(async ({ child }) => String((await once(child.stdio[3]!, "data"))[0])),
    );
    if (walls.strategy.uid !== "none") expect(uids[0]).not.toBe(uids[1]);
    const [spare, other] = spares;
    await spare!.cgroup!.setLimits({ memoryBytes: 192 * MB });
    await spare!.cgroup!.setLimits({ memoryBytes: 128 * MB, cpuShare: 20 });
    (spare!.child.stdio[3] as NodeJS.WritableStream).write("go");
    expect(await hear(spare!)).toMatchObject({ outOfMemory: true });
    other!.kill();
    await other!.exited;
  });

  test("cannot make threads without end", async ({ skip }) => {
    if (!walls.walls.find(({ name }) => name === "process_limit")?.active)
      return skip("no pids cgroup here, no uid of its own");
    const bomb = `const { Worker } = require("worker_threads"); let failed = 0, up = 0;
      const done = () => { if (failed + up === 64) { ${say("failed > 0 ? 'held' : 'reached'")}; process.exit() } };
      for (let i = 0; i < 64; i++) try { const w = new Worker("setInterval(() => {}, 1e3)", { eval: true });
        w.once("error", () => { failed++; done() }); w.once("online", () => { up++; done() }) } catch { failed++; done() }`;
    const heard = await hear(
      await launch(walls, ["-e", bomb], { pids: 32, memoryBytes: 1024 * MB }),
    );
    // Node may also abort when it cannot have a thread that it insists on.
    expect(heard.told === "held" || heard.code !== 0).toBe(true);
  });

  test("runs from a directory that other users may not enter", async ({ skip }) => {
    const why = whyNoRoom(walls);
    if (why !== null) return skip(why);
    await using home = await temporaryDirectory();
    await chmod(home.path, 0o700);
    const script = path.join(home.path, "cell.cjs");
    await copyFile(hostileFile, path.join(home.path, "secret"));
    await copyFile(path.join(here, "hello.cjs"), script);
    await chmod(script, 0o644);
    const closed = await probeHost({ node: process.execPath, readOnly: [script] });
    expect(closed.strategy.uid).toBe(walls.strategy.uid === "none" ? "none" : "inside");
    expect(closed.tier).toBe(walls.tier);
    const heard = await hear(await launch(closed, [script, home.path], { readOnly: [script] }));
    expect(heard).toMatchObject({ complained: "", told: "cell.cjs", code: 0 });
  });

  test("that cannot be started is an error, and leaves no cgroup", async () => {
    const broken = { ...walls, tools: { ...walls.tools, sh: "/nonexistent/sh" } };
    const failure = await launch(broken, []).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(SoloError);
    expect(failure).toMatchObject({ code: "unavailable" });
  });

  test("whose files are missing says so in its own error stream", async ({ skip }) => {
    const why = whyNoRoom(walls);
    if (why !== null) return skip(why);
    const cell = await launch(walls, ["-e", "0"], { readOnly: ["/nonexistent/file"] });
    const heard = await hear(cell);
    expect(heard.complained).toContain("/nonexistent/file");
    expect(heard.code).not.toBe(0);
    await expect(access("/nonexistent/file")).rejects.toThrow();
  });
});

test("a tenant's uid follows from its name and lies in the range", () => {
  const uid = uidOf("acme", DEFAULT_UID_RANGE);
  expect(uidOf("acme", DEFAULT_UID_RANGE)).toBe(uid);
  expect(uidOf("other", DEFAULT_UID_RANGE)).not.toBe(uid);
  expect(uid).toBeGreaterThanOrEqual(DEFAULT_UID_RANGE.first);
  expect(uid).toBeLessThan(DEFAULT_UID_RANGE.first + DEFAULT_UID_RANGE.count);
});
