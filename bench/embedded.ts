/**
 * A process that embeds the kernel, or a peer of it (first argument), calls one service
 * through it as the second argument says, and reports what it measured.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { prepareCellPrograms } from "#bin/cell-host.ts";
import { prepareImage } from "#cell/image.ts";
import { loadConfig } from "#config/load.ts";
import { newToken } from "#kernel/authority.ts";
import { launchPlain } from "#kernel/cells/launcher.ts";
import { Kernel } from "#kernel/kernel.ts";
import { closedLoop, type LoopResult } from "./load/closed-loop.ts";
import { startHosted, type HostKind } from "./peers/hosts.ts";
import { unseenSource } from "./source.ts";

interface Target extends AsyncDisposable {
  add(): Promise<unknown>;
}

const CACHE_DIR = fileURLToPath(new URL("../node_modules/.cache/solo", import.meta.url));
const { source } = unseenSource("adder");

async function embeddedKernel(): Promise<Target> {
  const dataDir = await mkdtemp(join(tmpdir(), "solo-bench-"));
  const loaded = loadConfig({
    argvFlags: { "data-dir": dataDir },
    env: {},
    cwd: dataDir,
    readFile: () => "",
  });
  const token = newToken();
  const kernel = await Kernel.start({
    loaded,
    clock: systemClock,
    log: silentLogger,
    version: "bench",
    ownerToken: token,
    masterKeys: { file: join(loaded.config.database.vault_db, "master-key") },
    launch: launchPlain({ node: process.execPath, programs: await prepareCellPrograms() }),
    cellArgs: [
      await prepareImage({ cacheDir: CACHE_DIR }),
      "2",
      String(loaded.config.limits.memory_mb),
    ],
    compilerVersion: "bench",
    gateways: [],
    onShutdown: () => {},
  });
  const context = { credentials: { token }, signal: new AbortController().signal };
  await kernel.port.call("Deploy", { service_id: "adder", code: source }, context);
  const request = { service_id: "adder", name: "add", args: [20, 22] };
  return {
    add: async () => (await kernel.port.call("Call", request, context)).reply,
    async [Symbol.asyncDispose]() {
      await kernel.stop({ reason: "measured" });
      await rm(dataDir, { recursive: true });
    },
  };
}

async function peer(kind: HostKind): Promise<Target> {
  const hosted = await startHosted(kind, source);
  return { add: () => hosted.call("add", [20, 22]), [Symbol.asyncDispose]: () => hosted.stop() };
}

async function measure(kind: "kernel" | HostKind, options: string): Promise<LoopResult> {
  await using target = await (kind === "kernel" ? embeddedKernel() : peer(kind));
  return await closedLoop({
    ...(JSON.parse(options) as { clients: number; warmMs: number; runMs: number }),
    async once() {
      const reply = await target.add();
      if (reply !== 42) throw new Error(`wrong answer: ${String(reply)}`);
    },
  });
}

// Everything is stopped when the result goes out: its reader may end this process.
process.send?.(await measure(...(process.argv.slice(2) as ["kernel" | HostKind, string])));
process.disconnect?.();
