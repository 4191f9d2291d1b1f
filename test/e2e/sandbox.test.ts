/** The walls around the cells of a kernel that runs. What they hold off is in test/sandbox. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { silentLogger, type LogFields } from "#base/log.ts";
import { openCellHost, prepareCellPrograms, probeCells } from "#bin/cell-host.ts";
import type { HostWalls } from "#sandbox/walls.ts";
import { startKernel, until, type TestKernel } from "../support/kernel.ts";

const CODE = `export default { calls: { get: () => 1 } };`;
/** 256 MiB of WebAssembly and array buffers, which no isolate's own limit holds. */
const BOMB = `export default { calls: { go() { const kept = [];
  for (;;) { const memory = new WebAssembly.Memory({ initial: 64 }); new Uint8Array(memory.buffer).fill(1); kept.push(memory); }
} } };`;

let walls: HostWalls;
beforeAll(async () => {
  walls = await probeCells(process.execPath, await prepareCellPrograms());
});

const statusOf = (pid: number) => readFileSync(`/proc/${pid}/status`, "utf8");
const uidOf = (pid: number) => Number(/^Uid:\s+(\d+)/m.exec(statusOf(pid))?.[1]);
const logOf = (kernel: TestKernel) =>
  kernel.stderr
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe("a kernel on this machine", () => {
  test("says at its start which walls stand, and puts every cell and the compiler behind them", async ({
    skip,
  }) => {
    await using kernel = await startKernel();
    for (const tenant of ["one", "two"]) {
      await kernel.tenant(tenant).deploy({ service_id: "svc", code: CODE });
      expect(await kernel.tenant(tenant).call("svc", "get")).toBe(1);
    }
    const said = await until(
      () => logOf(kernel).find(({ tier }) => tier !== undefined),
      "the walls in the log",
    );
    expect(said).toMatchObject({ tier: walls.tier });
    if (walls.tier !== "root_namespaces") return skip(`this machine has ${walls.tier}`);
    // None has the kernel's uid but one that is just being made, and holds nobody's code yet.
    const pids = await until(() => {
      const all = kernel.cellPids();
      return all.length >= 3 && all.every((pid) => uidOf(pid) !== uidOf(kernel.pid)) && all;
    }, "every process to be behind its walls");
    // No two processes of untrusted code share a uid.
    expect(new Set(pids.map(uidOf)).size).toBe(pids.length);
    for (const pid of pids) expect(statusOf(pid)).toMatch(/^NoNewPrivs:\s+1$/m);
  });

  test("leaves no control group behind", async ({ skip }) => {
    if (walls.cgroup === null) return skip("no control groups here");
    const { readdir } = await import("node:fs/promises");
    const kernel = await startKernel();
    await kernel.deploy({ service_id: "svc", code: CODE });
    const groups = async () =>
      (await Promise.all(Object.values(walls.cgroup!.places).map((place) => readdir(place))))
        .flat()
        .filter((name) => name.startsWith(`solo-${kernel.pid}-`));
    expect(await groups()).not.toEqual([]);
    await kernel[Symbol.asyncDispose]();
    expect(await groups()).toEqual([]);
  });
});

describe.for(["auto", "off"])(
  "with security.sandbox = %s, a cell that passes its tenant's memory",
  (sandbox) => {
    test("is ended; the service that was at work crashed for memory, its neighbour and others go on", async () => {
      const config = `[limits]\ntenant_memory_mb = 1024\n[tenants.small]\ntenant_memory_mb = 256\n`;
      await using kernel = await startKernel({ config, env: { SOLO_SECURITY_SANDBOX: sandbox } });
      const small = kernel.tenant("small");
      const other = kernel.tenant("other");
      await small.deploy({ service_id: "neighbour", code: CODE });
      // Its isolate may hold more than the cell, so that the cell's limit is the one it meets.
      await small.deploy({ service_id: "bomb", code: BOMB, limits: { memory_mb: 2048 } });
      await other.deploy({ service_id: "svc", code: CODE });
      const answer = await small.ask("bomb", "go");
      expect(answer.body).toMatchObject({
        code: "service_crashed",
        detail: expect.stringContaining("memory limit"),
      });
      await until(
        async () => (await small.call("neighbour", "get")) === 1,
        "the neighbour to be back",
      );
      expect((await other.status("svc"))["restarts"]).toBe(0);
      await until(
        async () => (await small.status("bomb"))["last_crash"]?.reason === "memory",
        "the crash to be reported",
      );
      const crashed = { service_id: "neighbour", event_type: "service_crashed" };
      const lost = await until(
        async () => (await small.events(crashed))[0],
        "the neighbour's loss of its cell to be recorded",
      );
      expect(lost["payload"]).toMatchObject({ reason: "cell", innocent: true });
    });
  },
);

describe("on a machine without walls", () => {
  const weak = async (): Promise<HostWalls> => ({
    ...walls,
    tier: "nothing",
    strategy: { room: null, uid: "none", inner: null },
    walls: walls.walls.map((wall) => ({ ...wall, active: false, how: null, whyNot: "not here" })),
  });

  test("require refuses to start and says what to do", async () => {
    const opened = openCellHost({
      mode: "require",
      node: process.execPath,
      log: silentLogger,
      probe: weak,
    });
    await expect(opened).rejects.toMatchObject({
      code: "unavailable",
      options: { hint: expect.stringContaining("solo doctor") },
    });
  });

  test("auto starts, and warns of every wall that is missing", async () => {
    const warnings: [string, LogFields | undefined][] = [];
    const log = {
      ...silentLogger,
      warn: (message: string, fields?: LogFields) => void warnings.push([message, fields]),
    };
    await openCellHost({ mode: "auto", node: process.execPath, log, probe: weak });
    await until(() => warnings.length > 0, "the warning");
    expect(warnings[0]![0]).toContain("solo doctor");
    expect(warnings[0]![1]).toMatchObject({
      tier: "nothing",
      missing: expect.stringContaining("network"),
    });
  });

  test("off starts, and warns as well", async () => {
    const warnings: string[] = [];
    const log = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
    await openCellHost({
      mode: "off",
      node: process.execPath,
      log,
      probe: () => Promise.reject(new Error("not asked")),
    });
    expect(warnings.join()).toContain("no walls");
  });
});
