/**
 * Kernels that die one after the other between the steps of a rollout, and what each must find
 * of the one before it: the rollout goes on, every slot runs a known revision with its own
 * state, and nothing acknowledged is lost.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "vitest";
import { DEADLINE_MS } from "../support/until.ts";

const KERNEL = fileURLToPath(new URL("rollout-kernel.ts", import.meta.url));
const KEYS = 8;
const run = promisify(execFile);

interface Slot {
  readonly n: number;
  /** Of the code that made the state, and of the code that answers. */
  readonly v: string;
  readonly code: string;
}

interface Left {
  /** Before and after the rollout that was found has ended. */
  readonly found: readonly Slot[];
  readonly ended: readonly Slot[];
  readonly revision: string;
  /** By slot. */
  readonly runs: readonly string[];
  readonly state: string;
  /** Why the rollout that was found went back, if it did. */
  readonly why?: string;
}

/** How the rollout is to end, where the kernel dies, and which version serves then. */
export type Kill = readonly ["promote" | "abort", string, number, "old" | "new"];

async function generation(dataDir: string, version: number, kill: Kill): Promise<Left> {
  const [how, step, nth] = kill;
  const args = [KERNEL, dataDir, String(version), how, step, String(nth)];
  const ended = await run(process.execPath, args, { timeout: DEADLINE_MS }).catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  if (ended.stdout === "") throw new Error(`Nothing was found: ${ended.stderr}`);
  return JSON.parse(ended.stdout) as Left;
}

/** The kernel dies at each of these in turn; the last of all ends in order. */
export async function killRollouts(what: string, kills: readonly Kill[]): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), "solo-rollout-killed-"));
  try {
    await killInTurn(dataDir, what, kills);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function killInTurn(dataDir: string, what: string, kills: readonly Kill[]): Promise<void> {
  await generation(dataDir, 0, ["promote", "never", 1, "new"]);
  let serves = "0";
  for (const [at, kill] of [...kills, ["promote", "never", 1, "new"] as const].entries()) {
    const version = at + 1;
    const { found, ended, revision, runs, state, why } = await generation(dataDir, version, kill);
    const where = `${what}, after a kill at ${kills[at - 1]?.join(" ") ?? "none"}: ${why}`;
    expect(state, where).toBe("running");
    for (const { v, code } of found) expect(v, where).toBe(code);
    for (const { v, code } of ended) expect([v, code], where).toEqual([serves, serves]);
    expect(runs, where).toEqual([revision, revision]);
    const counted = (slots: readonly Slot[]) => slots.reduce((sum, { n }) => sum + n, 0);
    expect([counted(found), counted(ended)], where).toEqual([version * KEYS, version * KEYS]);
    if (kill[3] === "new") serves = String(version);
  }
}
