/** Starts a planned chain: its standard streams, the seccomp program, masked descriptors. */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { Writable } from "node:stream";
import type { LaunchPlan } from "#sandbox/plan.ts";
import { seccompBytes } from "#sandbox/seccomp.ts";
import type { HostWalls } from "#sandbox/walls.ts";
import { yieldPriority } from "#sandbox/yield-priority.ts";

/** What a descriptor of the cell is: a pipe (a socket pair) to us, an open one, or nothing. */
export type CellFd = "pipe" | "ignore" | number;

/** Masking builds an array up to the highest leak; above this we would rather say so. */
export const MAX_MASKED_FD = 4_096;

export interface StartChainOptions {
  readonly plan: LaunchPlan;
  readonly env: Readonly<Record<string, string>>;
  readonly fds: readonly CellFd[];
  readonly seccomp: Buffer | null;
  readonly leakedFds: readonly number[];
}

/** The seccomp program comes on the first descriptor after the cell's own. */
export const seccompFd = (fds: readonly CellFd[]): number => Math.max(fds.length, 3);

/** The seccomp program that a strategy asks for. */
export function programFor({
  strategy,
  arch,
}: Pick<HostWalls, "strategy" | "arch">): Buffer | null {
  if (!strategy.room?.seccomp || arch === null) return null;
  return seccompBytes({ arch, credentials: strategy.uid === "inside" });
}

export function startChain(options: StartChainOptions): ChildProcess {
  const { plan, env, fds, seccomp, leakedFds } = options;
  const stdio: CellFd[] = [...fds];
  while (stdio.length < 3) stdio.push("ignore");
  const programFd = stdio.length;
  if (seccomp !== null) stdio.push("pipe");

  const nothing = openSync("/dev/null", "r");
  try {
    for (const leaked of leakedFds) {
      if (leaked < stdio.length || leaked > MAX_MASKED_FD) continue;
      while (stdio.length < leaked) stdio.push("ignore");
      stdio.push(nothing);
    }
    const child = spawn(plan.file, plan.args, {
      env: { ...env, ...plan.env },
      cwd: "/",
      stdio,
      // A group of its own: Ctrl-C on the kernel's terminal is the kernel's to handle.
      detached: true,
    });
    yieldPriority(child.pid);
    const pipe = seccomp === null ? undefined : child.stdio[programFd];
    if (pipe instanceof Writable) {
      // If the chain ends before bwrap has read, its exit says so.
      pipe.on("error", () => {});
      pipe.end(seccomp);
    }
    return child;
  } finally {
    closeSync(nothing);
  }
}
