/** A real kernel in a process and a data directory of its own. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { nextMessage, startProcess, temporaryDirectory, type Started } from "./processes.ts";

export interface BenchKernel extends AsyncDisposable {
  readonly pid: number;
  readonly http: { readonly host: string; readonly port: number };
  readonly grpc: { readonly host: string; readonly port: number };
  readonly token: string;
  readonly dataDir: string;
  /** Starts to watch how late the kernel's event loop is. */
  watchLoop(): Promise<void>;
  /** What the watch has seen: lateness in ms, a sample a millisecond. */
  loopLateness(): Promise<number[]>;
  /** MiB in use after a full collection. */
  heapMiB(): Promise<number>;
  kill(): Promise<void>;
}

/** The benchmarks put many services into few tenants; the default limits are for agents. */
const LIMITS = {
  SOLO_LIMITS_MAX_PER_TENANT: "100000",
  SOLO_LIMITS_MAX_TOTAL: "100000",
  SOLO_LOG_LEVEL: "silent",
};
const READY_MS = 60_000;
const ANSWER_MS = 10_000;

export interface KernelSetup {
  /** An existing data directory, as after a crash. */
  readonly dataDir?: string;
  /** Where a CPU profile of the kernel goes. */
  readonly profileDir?: string | undefined;
  /** Beside the usual limits. */
  readonly env?: Readonly<Record<string, string>>;
}

export async function startKernel({
  dataDir: given,
  profileDir,
  env = {},
}: KernelSetup = {}): Promise<BenchKernel> {
  const dataDir = given ?? temporaryDirectory();
  const started = startProcess({
    module: "../bin/entry.js",
    args: [
      "start",
      "--data-dir",
      dataDir,
      "--http-port",
      "0",
      "--listen-port",
      "0",
      "--metrics-port",
      "0",
    ],
    nodeFlags: [
      `--import=${new URL("probe.ts", import.meta.url).href}`,
      ...(profileDir === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileDir}`]),
    ],
    env: { ...LIMITS, ...env },
  });
  const { http, grpc } = await addresses(dataDir, started);
  const ask = async (question: "watch" | "read" | "heap") => {
    const answer = nextMessage<number[]>(started, { ms: ANSWER_MS, what: "the kernel's probe" });
    started.child.send(question);
    return answer;
  };
  const clean = () => (given === undefined ? rm(dataDir, { recursive: true }) : Promise.resolve());
  return {
    pid: started.pid,
    http: endpoint(http),
    grpc: endpoint(grpc),
    dataDir,
    token: (await readFile(join(dataDir, "owner-token"), "utf8")).trim(),
    watchLoop: async () => void (await ask("watch")),
    loopLateness: () => ask("read"),
    heapMiB: async () => (await ask("heap"))[0]! / (1024 * 1024),
    kill: () => started.kill(),
    async [Symbol.asyncDispose]() {
      if (started.child.exitCode === null && started.child.signalCode === null)
        await started.stop();
      await clean();
    },
  };
}

async function addresses(
  dataDir: string,
  { child, pid }: Started,
): Promise<{ http: string; grpc: string }> {
  const deadline = performance.now() + READY_MS;
  for (;;) {
    const text = await readFile(join(dataDir, "kernel.json"), "utf8").catch(() => "");
    if (text !== "") {
      const found = JSON.parse(text) as { pid: number; http: string; grpc: string };
      // A killed kernel leaves its file behind.
      if (found.pid === pid) return found;
    }
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error("The kernel did not start.");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function endpoint(address: string): { host: string; port: number } {
  const { hostname, port } = new URL(address.includes("://") ? address : `grpc://${address}`);
  return { host: hostname, port: Number(port) };
}
