/**
 * Kernels that die one after the other at the steps of the way back from a revision on
 * probation: each finds one revision with the newest state, and a way back.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "vitest";
import type { FaultStep } from "#kernel/faults.ts";

const KERNEL = fileURLToPath(new URL("probation-kernel.ts", import.meta.url));
const run = promisify(execFile);

interface Left {
  readonly version: string;
  readonly isTried: boolean;
  readonly n: number;
  readonly back: number;
}

async function generation(dataDir: string, step: string): Promise<Left> {
  const args = [KERNEL, dataDir, step];
  const ended = await run(process.execPath, args, { timeout: 60_000 }).catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  if (ended.stdout === "") throw new Error(`Nothing was found: ${ended.stderr}`);
  return JSON.parse(ended.stdout) as Left;
}

/** The kernel dies at each of the steps in turn; the last of all ends in order. */
export async function killOnTheWayBack(steps: readonly FaultStep[]): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), "solo-probation-killed-"));
  try {
    let n = 0;
    let before = "never";
    for (const step of [...steps, "never"]) {
      // The one durable write lies between `adopted` and `recorded`.
      const isBad = ["warmed", "held", "told", "adopted"].includes(before);
      const left = await generation(dataDir, step);
      expect(left, `after a kill ${before}`).toEqual({
        version: isBad ? "bad" : "good",
        isTried: isBad,
        n,
        back: n,
      });
      n += 1;
      before = step;
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}
