/** kill -9 of the kernel between any two steps of a swap. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { SWAP_STEPS } from "#kernel/faults.ts";
import { DEADLINE_MS } from "../support/until.ts";

const KERNEL = fileURLToPath(new URL("swap-kernel.ts", import.meta.url));
const run = promisify(execFile);

interface Left {
  readonly state: { n: number; v: string; way: string[] };
  readonly service: { version: string; state: string };
  readonly added: number;
}

/** Says what it found, then swaps to `version` and dies at `step`. */
async function generation(dataDir: string, version: string, step: string): Promise<Left> {
  const ended = await run(process.execPath, [KERNEL, dataDir, version, step], {
    timeout: DEADLINE_MS,
  }).catch((error: { stdout: string; stderr: string; signal: string }) => error);
  const signal = "signal" in ended ? ended.signal : "none";
  expect(signal, ended.stderr).toBe(step === "never" ? "none" : "SIGKILL");
  return JSON.parse(ended.stdout) as Left;
}

test("one revision serves with its own state afterwards, and nothing acknowledged is lost", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "solo-swap-killed-"));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  let { added } = await generation(dataDir, "0", "never");
  let serves = "0";
  for (const [at, step] of [...SWAP_STEPS, "never"].entries()) {
    const version = String(at + 1);
    const { state, service, added: next } = await generation(dataDir, version, step);
    expect(service.state).toBe("running");
    expect(service.version, `after a kill ${SWAP_STEPS[at - 1]}`).toBe(serves);
    expect(state).toMatchObject({ n: added, v: serves });
    added = next;
    // The one durable write lies between `adopted` and `recorded`.
    if (["recorded", "switched", "never"].includes(step)) serves = version;
  }
  const last = await generation(dataDir, "9", "warmed");
  expect(last.state).toEqual({ n: added, v: serves, way: expect.any(Array) as string[] });
  expect(last.state.way).toEqual(["0>5", "5>6", "6>7"]);
});
