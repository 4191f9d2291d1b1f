/** Runs what a document tells its reader to type. */
import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import type { Step } from "./sessions.ts";

/** The address that documents write; a test's kernel has another. */
const DOCUMENTED = "http://127.0.0.1:8080";

const BIN = fileURLToPath(new URL("../../bin/solo.js", import.meta.url));

/** A directory for the PATH whose `npx solo` is this checkout's, without npm's own second. */
export function shimDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "solo-shims-"));
  const npx = join(directory, "npx");
  writeFileSync(npx, `#!/bin/sh\nshift\nexec "${process.execPath}" "${BIN}" "$@"\n`);
  chmodSync(npx, 0o755);
  return directory;
}

export interface ShellOptions {
  readonly cwd: string;
  readonly http: string;
  readonly env: Readonly<Record<string, string>>;
}

interface Result {
  readonly failed: boolean;
  /** Standard output, or the first line of what went wrong. */
  readonly printed: string;
}

function shell(command: string, { cwd, env }: ShellOptions): Promise<Result> {
  return new Promise((resolve) => {
    execFile("sh", ["-c", command], { cwd, env }, (error, stdout, stderr) => {
      resolve({
        failed: error !== null,
        printed: stdout === "" ? (stderr.split("\n")[0] ?? "") : stdout,
      });
    });
  });
}

/** Ids of capabilities as documents write them. */
const shortIds = (text: string): string => text.replaceAll(/\bc_[0-9a-f]{24}\b/g, "c_…");

const compact = (text: string): string => {
  try {
    return shortIds(JSON.stringify(JSON.parse(text)));
  } catch {
    return shortIds(text.trim());
  }
};

/** Runs a step and compares what it prints with what the document says it prints. */
export async function runStep({ command, output }: Step, options: ShellOptions): Promise<void> {
  const { failed, printed } = await shell(command.replaceAll(DOCUMENTED, options.http), options);
  const expected = output ?? expect.any(String);
  expect({ command, printed: compact(printed) }).toEqual({ command, printed: expected });
  expect({ command, printed, failed }).toEqual({
    command,
    printed,
    failed: output?.startsWith("error") ?? false,
  });
}
