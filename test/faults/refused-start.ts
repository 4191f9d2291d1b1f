/** A kernel that is expected not to come up: how it ended, and what it said. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { portFlags } from "../support/kernel.ts";
import { DEADLINE_MS } from "../support/until.ts";

const ENTRY = fileURLToPath(new URL("../../bin/entry.js", import.meta.url));

export interface RefusedStart {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function refusedStart(options: {
  readonly dataDir: string;
  readonly cwd: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}): Promise<RefusedStart> {
  const { dataDir, cwd, args = [], env = {} } = options;
  const child = spawn(
    process.execPath,
    [ENTRY, "start", "--data-dir", dataDir, ...portFlags(), ...args],
    {
      cwd,
      env: { PATH: process.env["PATH"], HOME: cwd, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (bytes) => (stdout += String(bytes)));
  child.stderr.on("data", (bytes) => (stderr += String(bytes)));
  const { promise, resolve } = Promise.withResolvers<number | null>();
  child.once("close", resolve);
  const overdue = setTimeout(() => child.kill("SIGKILL"), DEADLINE_MS);
  const code = await promise;
  clearTimeout(overdue);
  return { code, stdout, stderr };
}
