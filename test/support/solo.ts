/** The real `solo` command, as a user types it, against a test's kernel. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type CliProcess, type CliResult, finishCli } from "./run-cli.ts";

const BIN = fileURLToPath(new URL("../../bin/solo.js", import.meta.url));

export interface SoloOptions {
  /** Where the kernel and its token are found. */
  readonly dataDir?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

export function startSolo(
  args: readonly string[],
  { dataDir, cwd, env }: SoloOptions = {},
): CliProcess {
  return spawn(process.execPath, [BIN, ...args], {
    ...(cwd !== undefined && { cwd }),
    env: {
      PATH: process.env["PATH"],
      ...(dataDir !== undefined && { SOLO_DATA_DIR: dataDir }),
      ...env,
    },
    stdio: ["pipe", "pipe", "pipe"],
  });
}

export function solo(args: readonly string[], options: SoloOptions = {}): Promise<CliResult> {
  const child = startSolo(args, options);
  child.stdin.end(options.stdin);
  return finishCli(child);
}
