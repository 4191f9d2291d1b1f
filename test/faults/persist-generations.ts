/**
 * Kernels that die one after the other at the steps of flush, save, sleep and wake
 * (src/kernel/faults.ts), and what each must find of the one before it.
 *
 * 1. Acknowledged durable state is there; hybrid state is as of its last flush or newer.
 * 2. Who slept is asleep with its timers; everybody else runs. Nobody is gone or there twice.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "vitest";
import type { FaultStep } from "#kernel/faults.ts";

const KERNEL = fileURLToPath(new URL("persist-kernel.ts", import.meta.url));
const run = promisify(execFile);

interface Found {
  readonly found: Readonly<Record<string, { readonly n: number }>>;
  readonly names: readonly string[];
  readonly states: readonly string[];
  /** How many came back asleep. */
  readonly asleep: number;
}

interface Acknowledged {
  readonly id: string;
  readonly n: number;
  readonly slept?: true;
  readonly woken?: true;
}

/** What a kernel that died at a step has said. */
interface Generation {
  readonly found: Found | undefined;
  readonly acknowledged: readonly Acknowledged[];
  readonly slept: boolean;
}

async function generation(
  dataDir: string,
  kill: { readonly step: string; readonly of: string },
  before: { readonly step: string; readonly slept: boolean },
): Promise<Generation> {
  const args = [KERNEL, dataDir, kill.step, kill.of, before.step, before.slept ? "slept" : "awake"];
  const ended = await run(process.execPath, args, { timeout: 60_000, killSignal: "SIGTERM" }).catch(
    (error: { stdout: string; stderr: string; signal: string }) => error,
  );
  const { stdout, stderr } = ended;
  const signal = "signal" in ended ? ended.signal : "none";
  if (signal !== "SIGKILL") throw new Error(`${kill.of} did not die at ${kill.step}: ${stderr}`);
  const lines = stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Found | Acknowledged);
  const acknowledged = lines.filter((line) => "id" in line);
  return {
    found: lines.find((line) => "found" in line),
    acknowledged,
    slept: acknowledged.some((each) => each.slept === true),
  };
}

/** The kernel dies at each of the steps of the service `default/ID`, in turn. */
export async function killAt(id: string, steps: readonly FaultStep[]): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), "solo-persist-killed-"));
  try {
    await killInTurn(dataDir, id, steps);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function killInTurn(dataDir: string, id: string, steps: readonly FaultStep[]): Promise<void> {
  const of = `default/${id}`;
  let last = await generation(dataDir, { step: steps[0]!, of }, { step: "", slept: false });
  for (const [at, step] of steps.entries()) {
    const next = steps[at + 1] ?? steps[0]!;
    // A timer outlives its service's sleep on disk, not a life that the kernel's end cut off.
    const recorded =
      ["sleep_recorded", "evicted", "rousing", "woken"].includes(step) ||
      (step === "sleep_ended" && id !== "durable");
    const now = await generation(dataDir, { step: next, of }, { step, slept: recorded });
    const { found, names, states, asleep } = now.found!;
    const where = `${id}, after a kill at ${step}`;
    expect(names, where).toEqual(["durable", "hybrid", "stateless"]);
    for (const state of states) expect(["running", "hibernated", "starting"]).toContain(state);
    expect(asleep, where).toBe(recorded ? 1 : 0);
    for (const each of ["hybrid", "durable"]) {
      const kept = last.acknowledged.findLast((said) => said.id === each && !said.woken)!.n;
      const most = Math.max(
        ...last.acknowledged.filter((said) => said.id === each).map(({ n }) => n),
      );
      expect(found[each]!.n, `${each}: ${where}`).toBeGreaterThanOrEqual(
        each === "durable" ? most : kept,
      );
      expect(found[each]!.n, `${each}: ${where}`).toBeLessThanOrEqual(most + 2);
    }
    // Its state is kept for its sleep alone.
    const began = last.acknowledged.find((said) => said.id === "stateless")!.n;
    const stateless = id === "stateless" && recorded ? began + 1 : 0;
    expect(found["stateless"]!.n, where).toBe(stateless);
    last = now;
  }
}
