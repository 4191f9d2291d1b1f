/**
 * Starts the processes of cells and of the compiler. What walls stand around one is its
 * launcher's business; the rest of the kernel sees a process and a socket.
 */
import { spawn, type ChildProcess } from "node:child_process";
import type { Duplex } from "node:stream";
import type { TenantId } from "#base/ids.ts";
import type { ProgramName, Programs } from "#kernel/cells/programs.ts";
import { cpuMsOf, mainThreadOf, type ThreadTime } from "#sandbox/cpu-time.ts";
import { residentBytes } from "#sandbox/resident.ts";
import { yieldPriority } from "#sandbox/yield-priority.ts";

export interface CellExit {
  /** An exit code, a signal, or why it never ran. */
  readonly how: string;
  /** The operating system ended it because it passed its memory limit. */
  readonly outOfMemory: boolean;
}

/** What all processes of a tenant may use together. */
export interface TenantHold {
  readonly memoryBytes: number;
  /** Of one core; Infinity: no limit. */
  readonly cpuPercent: number;
}

export interface CellProcess {
  readonly pid: number;
  readonly socket: Duplex;
  readonly exited: Promise<CellExit>;
  /** Resolves once nothing of it is left on the host. */
  readonly cleared: Promise<void>;
  /** The operating system holds it to its memory limit; otherwise somebody must watch. */
  readonly holdsMemoryLimit: boolean;
  /** And all the processes of its tenant to theirs. */
  readonly holdsTenantMemory: boolean;
  /** What it holds now; undefined when that cannot be told. */
  memoryBytes(): number | undefined;
  /** CPU time of all its threads, ms; undefined when that cannot be told. */
  cpuMs(): number | undefined;
  /** The thread that gives its signs of life; undefined when nothing can be told of it. */
  mainThread(): ThreadTime | undefined;
  /** Does nothing where `holdsMemoryLimit` is false. */
  limitMemory(bytes: number): Promise<void>;
  /** From now on the operating system holds it to what its tenant may use, as far as it can:
   *  together with the tenant's other processes where `holdsTenantMemory` is true. To be called
   *  when it runs. Rejects when it cannot be held. */
  belongTo(tenant: TenantId, bounds: TenantHold): Promise<void>;
  /** SIGKILL; returns at once. */
  kill(): void;
}

export interface LaunchOptions {
  readonly program: ProgramName;
  readonly args: readonly string[];
  readonly memoryBytes: number;
  /** Gets what the process writes to standard error, line by line. */
  readonly onStderr: (line: string) => void;
}

export type Launcher = (options: LaunchOptions) => CellProcess | Promise<CellProcess>;

const STDERR_MAX_CHARS = 16 * 1024;

/** Launches without an OS sandbox. */
export function launchPlain(options: {
  readonly node: string;
  readonly programs: Programs;
}): (options: LaunchOptions) => CellProcess {
  const { node, programs } = options;
  return ({ program, args, onStderr }) => {
    const { nodeFlags, module, args: own } = programs[program];
    const child = spawn(node, [...nodeFlags, module, ...own, ...args], {
      // The untrusted process sees nothing of the owner's environment.
      env: {},
      stdio: ["ignore", "ignore", "pipe", "pipe"],
    });
    yieldPriority(child.pid);
    return asCellProcess(child, onStderr);
  };
}

export function asCellProcess(child: ChildProcess, onStderr: (line: string) => void): CellProcess {
  const { promise: exited, resolve } = Promise.withResolvers<CellExit>();
  const ended = (how: string) => resolve({ how, outOfMemory: false });
  child.once("error", (error) => ended(`could not start: ${error.message}`));
  child.once("exit", (code, signal) => ended(signal ?? `exit code ${code}`));
  readLines(child, onStderr);
  return {
    pid: child.pid ?? 0,
    socket: socketOf(child),
    exited,
    cleared: exited.then(() => {}),
    holdsMemoryLimit: false,
    holdsTenantMemory: false,
    memoryBytes: () => residentBytes(child.pid ?? 0),
    cpuMs: () => cpuMsOf(child.pid ?? 0),
    mainThread: () => mainThreadOf(child.pid ?? 0),
    limitMemory: async () => {},
    belongTo: async () => {},
    kill: () => void child.kill("SIGKILL"),
  };
}

export function readLines(child: ChildProcess, onLine: (line: string) => void): void {
  let pending = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    const lines = (pending + text).split("\n");
    pending = (lines.pop() ?? "").slice(-STDERR_MAX_CHARS);
    for (const line of lines) onLine(line.slice(0, STDERR_MAX_CHARS));
  });
}

export function socketOf(child: ChildProcess): Duplex {
  const socket = child.stdio[3] as Duplex;
  // A broken pipe is the same news as the exit, which follows.
  socket.on("error", () => {});
  return socket;
}
