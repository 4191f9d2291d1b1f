/**
 * A real kernel in a process of its own, with its own data directory and free ports.
 *
 * 1. `startKernel` resolves when the kernel has announced itself in kernel.json.
 * 2. Disposing leaves nothing: the kernel, everything under it and its directory are gone,
 *    or the test fails.
 */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { childPids, descendants, isAlive, processRef, type ProcessRef } from "./processes.ts";
import { TestTenant } from "./tenant.ts";
import { until } from "./until.ts";

export { until } from "./until.ts";
export { TestTenant, type Answer, type Body } from "./tenant.ts";

const ENTRY = fileURLToPath(new URL("../../bin/entry.js", import.meta.url));
/** A machine that is busy with other tests is no reason to shed, or to give a start up. */
const PATIENCE = {
  SOLO_LIMITS_PRESSURE_LOOP_DELAY_MS: "0",
  SOLO_LIMITS_STARTUP_TIMEOUT_MS: "60000",
};
/** Each costs a process at every start, and most tests have one tenant. */
const FRUGAL = { SOLO_LIMITS_SPARE_CELLS: "1" };
/** For a kernel that hangs, not for one on a busy machine. */
const STOP_MS = 60_000;

export interface TestKernelOptions {
  /** Kept after the test when given; a fresh one otherwise. */
  readonly dataDir?: string;
  /** TOML; written beside the data and passed as --config. */
  readonly config?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly ports?: Ports;
}

interface Ports {
  readonly http?: number;
  readonly grpc?: number;
  readonly metrics?: number;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

interface Run {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  readonly exited: Promise<Exit>;
  readonly output: { stdout: string; stderr: string };
}

interface Addresses {
  readonly pid: number;
  readonly http: string;
  readonly grpc: string;
  readonly metrics: string;
}

/** Free ones, but for those that are named. */
export const portFlags = ({ http = 0, grpc = 0, metrics = 0 }: Ports = {}): string[] =>
  Object.entries({ "--http-port": http, "--listen-port": grpc, "--metrics-port": metrics }).flatMap(
    ([flag, port]) => [flag, String(port)],
  );

function launch(options: TestKernelOptions & { dataDir: string }): Run {
  const { dataDir, config, args = [], env = {}, ports = {} } = options;
  const flags = ["start", "--data-dir", dataDir, ...portFlags(ports)];
  if (config !== undefined) {
    writeFileSync(join(dataDir, "test-config.toml"), config);
    flags.push("--config", join(dataDir, "test-config.toml"));
  }
  const child = spawn(process.execPath, [ENTRY, ...flags, ...args], {
    // Its own directory: a config.toml of whoever runs the tests must not count.
    cwd: dataDir,
    env: {
      PATH: process.env["PATH"],
      HOME: dataDir,
      ...PATIENCE,
      ...FRUGAL,
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (bytes) => (output.stdout += String(bytes)));
  child.stderr.on("data", (bytes) => (output.stderr += String(bytes)));
  const exited = new Promise<Exit>((resolve) =>
    child.once("close", (code, signal) => resolve({ code, signal })),
  );
  return { child, exited, output };
}

async function ready(run: Run, dataDir: string): Promise<Addresses> {
  let ended: Exit | undefined;
  void run.exited.then((exit) => (ended = exit));
  const addresses = await until(() => {
    if (ended !== undefined) return { failed: ended };
    const read = JSON.parse(readFileSync(join(dataDir, "kernel.json"), "utf8")) as Addresses;
    // An earlier kernel that was killed leaves its file behind.
    return read.pid === run.child.pid ? read : undefined;
  }, "the kernel to be ready");
  if (!("failed" in addresses)) return addresses;
  throw new Error(
    `The kernel ended at its start: ${JSON.stringify(addresses.failed)}\n${run.output.stderr}`,
  );
}

export class TestKernel extends TestTenant implements AsyncDisposable {
  readonly dataDir: string;
  readonly #options: TestKernelOptions;
  #run: Run;
  #addresses: Addresses;
  /** The test itself sent SIGKILL. */
  #killed = false;
  /** Every process ever seen under a kernel of this test. */
  readonly #seen = new Map<number, ProcessRef>();

  private constructor(
    options: TestKernelOptions,
    parts: { dataDir: string; run: Run; addresses: Addresses },
  ) {
    super({ http: () => this.http, token: () => this.token });
    this.#options = options;
    this.dataDir = parts.dataDir;
    this.#run = parts.run;
    this.#addresses = parts.addresses;
  }

  static async start(options: TestKernelOptions = {}): Promise<TestKernel> {
    const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), "solo-kernel-"));
    const run = launch({ ...options, dataDir });
    try {
      return new TestKernel(options, { dataDir, run, addresses: await ready(run, dataDir) });
    } catch (error) {
      run.child.kill("SIGKILL");
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
      throw error;
    }
  }

  /** Such as http://127.0.0.1:40553. */
  get http(): string {
    return this.#addresses.http;
  }

  /** Such as 127.0.0.1:40554. */
  get grpc(): string {
    return this.#addresses.grpc;
  }

  get metrics(): string {
    return this.#addresses.metrics;
  }

  get pid(): number {
    return this.#run.child.pid!;
  }

  get token(): string {
    return readFileSync(join(this.dataDir, "owner-token"), "utf8").trim();
  }

  get stdout(): string {
    return this.#run.output.stdout;
  }

  /** The kernel's log: JSON lines. */
  get stderr(): string {
    return this.#run.output.stderr;
  }

  get exited(): Promise<Exit> {
    return this.#run.exited;
  }

  /** The kernel as another tenant sees it, through x-solo-tenant. */
  tenant(name: string): TestTenant {
    return new TestTenant({ http: () => this.http, token: () => this.token, name });
  }

  /** Cells, compiler, sandboxes: the kernel's direct children. */
  cellPids(): number[] {
    this.#look();
    return childPids(this.pid);
  }

  signal(signal: NodeJS.Signals): void {
    this.#look();
    this.#run.child.kill(signal);
  }

  /** SIGKILL; resolves when the kernel and everything under it is gone. */
  async kill9(): Promise<void> {
    this.#killed = true;
    this.signal("SIGKILL");
    await this.exited;
    await this.#gone();
  }

  /** SIGTERM; resolves with the exit when everything is gone. */
  async stop(): Promise<Exit> {
    this.signal("SIGTERM");
    const timer = setTimeout(() => this.#run.child.kill("SIGKILL"), STOP_MS);
    const exit = await this.exited;
    clearTimeout(timer);
    await this.#gone();
    return exit;
  }

  /** Starts again on the same data, with the same options unless told otherwise. */
  async restart(
    options: Omit<TestKernelOptions, "dataDir"> & { readonly samePorts?: boolean } = {},
  ): Promise<void> {
    const { samePorts, ...changes } = options;
    if (this.#run.child.exitCode === null && this.#run.child.signalCode === null) await this.stop();
    const portOf = (address: string) => Number(address.split(":").at(-1));
    const ports = {
      http: portOf(this.http),
      grpc: portOf(this.grpc),
      metrics: portOf(this.metrics),
    };
    this.#run = launch({
      ...this.#options,
      ...(samePorts && { ports }),
      ...changes,
      dataDir: this.dataDir,
    });
    this.#addresses = await ready(this.#run, this.dataDir);
    this.#killed = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exit = await this.stop();
    if (this.#options.dataDir === undefined) rmSync(this.dataDir, { recursive: true, force: true });
    if (exit.signal === "SIGKILL" && !this.#killed)
      throw new Error(`The kernel did not stop within ${STOP_MS} ms:\n${this.stderr}`);
  }

  #look(): void {
    for (const ref of descendants(this.pid)) this.#seen.set(ref.pid, ref);
    const own = processRef(this.pid);
    if (own !== undefined) this.#seen.set(own.pid, own);
  }

  async #gone(): Promise<void> {
    const left = () => [...this.#seen.values()].filter(isAlive);
    try {
      await until(() => left().length === 0, "the kernel's processes to be gone");
    } catch (error) {
      for (const { pid } of left()) process.kill(pid, "SIGKILL");
      throw error;
    }
  }
}

export const startKernel = (options?: TestKernelOptions): Promise<TestKernel> =>
  TestKernel.start(options);
