/** kill -9 of the kernel between a new state and the start with it (src/kernel/states.ts). */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";

const KERNEL = fileURLToPath(new URL("replace-kernel.ts", import.meta.url));
const run = promisify(execFile);

test(
  "the service comes back with the new state, imported or fresh",
  { timeout: 120_000 },
  async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "solo-replace-killed-"));
    onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
    const generation = async (change: string) => {
      const ended = await run(process.execPath, [KERNEL, dataDir, change], {
        timeout: 60_000,
        killSignal: "SIGTERM",
      }).catch((error: { stdout: string; stderr: string; signal: string }) => error);
      const signal = "signal" in ended ? ended.signal : "none";
      expect(signal, ended.stderr).toBe(change === "nothing" ? "none" : "SIGKILL");
      return JSON.parse(ended.stdout) as object;
    };
    const back = { state: "running", missing: [] };
    expect(await generation("import")).toEqual({ ...back, next: 1 });
    // Exported with 1, one more was acknowledged, and the import took that back.
    expect(await generation("reset")).toEqual({ ...back, next: 2 });
    expect(await generation("nothing")).toEqual({ ...back, next: 1 });
    // Without a change nothing that was acknowledged is lost.
    expect(await generation("nothing")).toEqual({ ...back, next: 3 });
  },
);
