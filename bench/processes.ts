/**
 * Processes that the benchmarks start: each is stopped, by its own handle, before its
 * benchmark ends.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Started extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly pid: number;
  /** SIGKILL, and wait for the end. */
  kill(): Promise<void>;
  /** SIGTERM, and wait for the end; SIGKILL after the grace. */
  stop(): Promise<void>;
}

export interface StartOptions {
  /** Relative to this folder. */
  readonly module: string;
  readonly args?: readonly string[];
  readonly nodeFlags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const STOP_GRACE_MS = 10_000;

const alive = new Set<ChildProcess>();
const directories = new Set<string>();

// A run that is cut short leaves nothing behind either.
process.once("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
  for (const path of directories) rmSync(path, { recursive: true, force: true });
});

/** A new directory; it is gone when this process ends, if not before. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), "solo-bench-"));
  directories.add(path);
  return path;
}

/** A Node process with a channel for messages. */
export function startProcess({
  module,
  args = [],
  nodeFlags = [],
  env = {},
}: StartOptions): Started {
  const path = fileURLToPath(new URL(module, import.meta.url));
  const flags = ["--disable-warning=ExperimentalWarning", ...nodeFlags];
  const child = spawn(process.execPath, [...flags, path, ...args], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env },
  });
  alive.add(child);
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  void exited.then(() => alive.delete(child));
  const end = async (signal: NodeJS.Signals) => {
    const force = setTimeout(() => child.kill("SIGKILL"), STOP_GRACE_MS);
    child.kill(signal);
    await exited;
    clearTimeout(force);
  };
  return {
    child,
    pid: child.pid!,
    kill: () => end("SIGKILL"),
    stop: () => end("SIGTERM"),
    [Symbol.asyncDispose]: () => end("SIGTERM"),
  };
}

/** The next message, or a failure when the process ends or the time is over first. */
export function nextMessage<T>(
  { child }: Started,
  { ms, what }: { ms: number; what: string },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      child.off("message", arrived);
      child.off("exit", ended);
    };
    const arrived = (message: unknown) => {
      done();
      resolve(message as T);
    };
    const ended = (code: number | null, signal: string | null) => {
      done();
      reject(new Error(`${what} ended with ${signal ?? code}`));
    };
    const timer = setTimeout(() => {
      done();
      reject(new Error(`${what} took more than ${ms} ms`));
    }, ms);
    child.on("message", arrived);
    child.on("exit", ended);
  });
}

/** The process and everything below it. */
export function processTree(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return [
    pid,
    ...children
      .split(" ")
      .filter(Boolean)
      .flatMap((child) => processTree(Number(child))),
  ];
}

/** Proportional set size of all of them, MiB: pages that they share are counted once. */
export function memoryMiB(pids: readonly number[]): number {
  let kib = 0;
  for (const pid of pids) {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    kib += Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0);
  }
  return kib / 1024;
}

/** CPU time of the process so far, in clock ticks. */
export function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return Number(fields[11]) + Number(fields[12]);
}
