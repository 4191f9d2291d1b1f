/** `solo` as a subprocess. */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Readable, Writable } from "node:stream";

const ENTRY = fileURLToPath(new URL("./cli-entry.ts", import.meta.url));

export interface CliOptions {
  readonly dataDir?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

export type CliProcess = ChildProcessByStdio<Writable, Readable, Readable>;

export function startCli(args: readonly string[], options: CliOptions = {}): CliProcess {
  const { dataDir, cwd, env } = options;
  return spawn(process.execPath, [ENTRY, ...args], {
    ...(cwd !== undefined && { cwd }),
    env: {
      NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"],
      ...(dataDir !== undefined && { SOLO_DATA_DIR: dataDir }),
      ...env,
    },
    stdio: ["pipe", "pipe", "pipe"],
  });
}

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function finishCli(child: CliProcess): Promise<CliResult> {
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => (stdout += String(chunk)));
  child.stderr.on("data", (chunk) => (stderr += String(chunk)));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}

export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const child = startCli(args, options);
  child.stdin.end(options.stdin);
  return finishCli(child);
}
