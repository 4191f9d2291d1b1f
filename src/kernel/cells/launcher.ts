/**
 * Starts the process of a cell. What walls stand around it is the launcher's business;
 * the rest of the kernel sees a process and a socket.
 */
import { spawn, type ChildProcess } from "node:child_process";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";

export interface CellProcess {
  readonly pid: number;
  readonly socket: Duplex;
  /** Resolves with what is known of the end: an exit code or a signal. */
  readonly exited: Promise<string>;
  /** SIGKILL; returns at once. */
  kill(): void;
}

export interface LaunchOptions {
  /** What runs: a module of this project. */
  readonly program: "cell" | "compiler";
  readonly args: readonly string[];
  /** Gets what the process writes to standard error, line by line. */
  readonly onStderr: (line: string) => void;
}

export type Launcher = (options: LaunchOptions) => CellProcess;

const PROGRAMS = {
  cell: fileURLToPath(new URL("../../cell/main.ts", import.meta.url)),
  compiler: fileURLToPath(new URL("../../compiler/main.ts", import.meta.url)),
};

const NODE_FLAGS = {
  // WebAssembly memories are not held by an isolate's limit; 4096 pages are 256 MiB.
  cell: ["--wasm-max-mem-pages=4096", "--disable-warning=ExperimentalWarning"],
  compiler: ["--max-old-space-size=512", "--disable-warning=ExperimentalWarning"],
};

const STDERR_MAX_CHARS = 16 * 1024;

/** Launches without an OS sandbox. */
export const launchPlain =
  (nodePath: string): Launcher =>
  ({ program, args, onStderr }) => {
    const child = spawn(nodePath, [...NODE_FLAGS[program], PROGRAMS[program], ...args], {
      // The untrusted process sees nothing of the owner's environment.
      env: {},
      stdio: ["ignore", "ignore", "pipe", "pipe"],
    });
    return asCellProcess(child, onStderr);
  };

export function asCellProcess(child: ChildProcess, onStderr: (line: string) => void): CellProcess {
  const { promise: exited, resolve } = Promise.withResolvers<string>();
  let pending = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    const lines = (pending + text).split("\n");
    pending = (lines.pop() ?? "").slice(-STDERR_MAX_CHARS);
    for (const line of lines) onStderr(line.slice(0, STDERR_MAX_CHARS));
  });
  child.once("error", (error) => resolve(`could not start: ${error.message}`));
  child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  const socket = child.stdio[3] as Duplex;
  // A broken pipe is the same news as the exit, which follows.
  socket.on("error", () => {});
  return {
    pid: child.pid ?? 0,
    socket,
    exited,
    kill: () => void child.kill("SIGKILL"),
  };
}
