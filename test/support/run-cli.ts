/** `solo` against a kernel that a test makes up: as a function, and as a subprocess. */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { PassThrough, Readable, type Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { main } from "#cli/main.ts";
import { cliPowers } from "./cli-powers.ts";

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

/** A command from its arguments to its exit code, in the test's own process: a process for each
 *  would take most of the time. */
export async function runCli(
  args: readonly string[],
  { dataDir, cwd = process.cwd(), env, stdin }: CliOptions = {},
): Promise<CliResult> {
  const outputs = { stdout: new PassThrough(), stderr: new PassThrough() };
  const printed = { stdout: text(outputs.stdout), stderr: text(outputs.stderr) };
  const code = await main(
    cliPowers({
      argv: args,
      env: { ...(dataDir !== undefined && { SOLO_DATA_DIR: dataDir }), ...env },
      cwd,
      stdin: Readable.from(stdin === undefined ? [] : [stdin]),
      ...outputs,
    }),
  );
  for (const output of Object.values(outputs)) output.end();
  return { code, stdout: await printed.stdout, stderr: await printed.stderr };
}
