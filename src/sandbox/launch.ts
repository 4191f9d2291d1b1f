/**
 * Starts a process behind every wall that the probe found, and none that it did not.
 *
 * 1. The kernel's own environment and descriptors never reach the process.
 * 2. `kill` ends everything inside, is idempotent, and never signals a reused pid.
 * 3. The process's cgroup is read for OOM kills before `exited` resolves; it is removed
 *    afterwards, since Linux may need a while to take back the memory of what ran in it.
 */
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { SoloError } from "#base/errors.ts";
import type { TenantId } from "#base/ids.ts";
import type { Logger } from "#base/log.ts";
import { createCgroup, groupName, type CellCgroup, type CgroupLimits } from "#sandbox/cgroup.ts";
import { programFor, seccompFd, startChain, type CellFd } from "#sandbox/chain.ts";
import { DEFAULT_OPEN_FILES, DEFAULT_PIDS, planLaunch } from "#sandbox/plan.ts";
import type { JoinOptions, TenantGroups } from "#sandbox/tenant-groups.ts";
import { uidOf } from "#sandbox/tenant-uid.ts";
import type { HostWalls, Tier } from "#sandbox/walls.ts";

export interface LaunchOptions {
  readonly walls: HostWalls;
  /** Absolute path; the program that was probed, or one with the same libraries. */
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the process. */
  readonly env: Readonly<Record<string, string>>;
  /** Its descriptors from 0 on; the socket pair to the kernel is a "pipe" at 3. */
  readonly fds: readonly CellFd[];
  /** Null for a spare cell, whose tenant is not known yet: it gets a uid of its own. */
  readonly tenant: TenantId | null;
  /** Absolute paths shown at their own place, read-only. They must exist. */
  readonly readOnly: readonly string[];
  readonly memoryBytes?: number;
  /** Processes and threads together. */
  readonly pids?: number;
  /** Share of CPU under contention, 1 to 10 000; 100 is normal. */
  readonly cpuShare?: number;
  readonly openFiles?: number;
  readonly log: Logger;
}

export interface SandboxExit {
  readonly code: number | null;
  /** The signal that ended the process, also when bwrap reported it as 128 + n. */
  readonly signal: NodeJS.Signals | null;
  /** The kernel ended it for memory. Known only with a memory cgroup. */
  readonly outOfMemory: boolean;
}

export type CgroupUsage = Pick<CellCgroup, "setLimits" | "memoryBytes" | "cpuMs" | "oomKills"> & {
  /** Held from now on together with the tenant's other processes; left when it is cleared. */
  joinTenant(joined: TenantJoin): Promise<void>;
  kill(): void;
};

export interface TenantJoin extends Omit<JoinOptions, "cell"> {
  readonly groups: TenantGroups;
}

export interface SandboxedProcess {
  readonly child: ChildProcess;
  /** The outermost process of the chain; ending it ends everything inside. */
  readonly pid: number;
  readonly tier: Tier;
  readonly cgroup?: CgroupUsage;
  /** Host pid of the process behind the walls, once it runs; for its memory and SIGSTOP. */
  innerPid(): number | undefined;
  kill(): void;
  readonly exited: Promise<SandboxExit>;
  /** Resolves when nothing of it is left on the host, or what is left has been logged. */
  readonly cleared: Promise<void>;
}

/** bwrap, its reaper (pid 1 inside), the process. */
const ROOM_DEPTH = 2;

export async function launchSandboxed(options: LaunchOptions): Promise<SandboxedProcess> {
  const { walls, log, tenant } = options;
  const name = `cell-${randomBytes(6).toString("hex")}`;
  const group = await joinableGroup(options, groupName(process.pid, name));
  let child: ChildProcess;
  try {
    child = startChain({
      plan: planLaunch({
        walls,
        command: options.command,
        args: options.args,
        readOnly: options.readOnly,
        uid: uidOf(tenant ?? `:${name}`, walls.uidRange),
        openFiles: options.openFiles ?? DEFAULT_OPEN_FILES,
        maxProcesses: maxProcesses(options),
        join: group?.join ?? [],
        seccompFd: seccompFd(options.fds),
      }),
      env: options.env,
      fds: options.fds,
      seccomp: programFor(walls),
      leakedFds: walls.leakedFds,
    });
    await once(child, "spawn");
  } catch (error) {
    await group?.remove();
    throw new SoloError("unavailable", "A sandboxed process could not be started.", {
      hint: "Run `solo doctor` to see which walls stand on this machine.",
      cause: error,
    });
  }

  const pid = child.pid!;
  const alive = () => child.exitCode === null && child.signalCode === null;
  const kill = () => {
    if (!alive()) return;
    void group?.kill();
    // The chain leads its own process group; without a room that reaches its children too.
    signalGroup(pid);
  };
  const exited = once(child, "exit").then(async ([code, signal]): Promise<SandboxExit> => {
    const oomKills = (await group?.oomKills()) ?? 0;
    return { ...ending(code, signal, walls.strategy.room !== null), outOfMemory: oomKills > 0 };
  });
  let joined: TenantJoin | undefined;
  let joining: Promise<void> | undefined;
  const joinTenant = (cell: CellCgroup, join: TenantJoin): Promise<void> => {
    joined = join;
    return (joining = join.groups.join({ ...join, cell }));
  };
  const cleared = exited.then(async () => {
    if (group === undefined) return;
    // What became of it was told to whoever asked for it.
    await joining?.catch(() => {});
    if (!(await group.remove())) log.warn("a cell's cgroup could not be removed", { tenant, pid });
    await joined?.groups.leave(joined.tenant, group);
  });

  return {
    child,
    pid,
    tier: walls.tier,
    ...(group && {
      cgroup: { ...usage(group, kill), joinTenant: (join) => joinTenant(group, join) },
    }),
    innerPid: () =>
      alive() ? descend(pid, walls.strategy.room === null ? 0 : ROOM_DEPTH) : undefined,
    kill,
    exited,
    cleared,
  };
}

async function joinableGroup(
  options: LaunchOptions,
  name: string,
): Promise<CellCgroup | undefined> {
  const { walls, memoryBytes, pids = DEFAULT_PIDS, cpuShare } = options;
  if (walls.cgroup === null || walls.tools.sh === null) return undefined;
  const limits: CgroupLimits = {
    pids,
    ...(memoryBytes !== undefined && { memoryBytes }),
    ...(cpuShare !== undefined && { cpuShare }),
  };
  try {
    return await createCgroup(walls.cgroup, name, limits);
  } catch (error) {
    throw new SoloError("unavailable", "A cell's control group could not be made.", {
      hint: "Run `solo doctor` to see which walls stand on this machine.",
      cause: error,
    });
  }
}

/** RLIMIT_NPROC stands in for the pids cgroup only where the uid belongs to one tenant. */
function maxProcesses({ walls, pids = DEFAULT_PIDS }: LaunchOptions): number | null {
  const counted = walls.cgroup?.places.pids !== undefined;
  return counted || walls.strategy.uid === "none" ? null : pids;
}

function usage(group: CellCgroup, kill: () => void): Omit<CgroupUsage, "joinTenant"> {
  return {
    setLimits: (limits) => group.setLimits(limits),
    memoryBytes: () => group.memoryBytes(),
    cpuMs: () => group.cpuMs(),
    oomKills: () => group.oomKills(),
    kill,
  };
}

function signalGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch (error) {
    // Already gone, with its exit not yet reported.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** bwrap answers 128 + n for a process that a signal ended, as shells do. */
export function ending(
  code: number | null,
  signal: NodeJS.Signals | null,
  byRoom: boolean,
): Pick<SandboxExit, "code" | "signal"> {
  const number = byRoom && code !== null ? code - 128 : 0;
  const named = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
  return named === undefined ? { code, signal } : { code: null, signal: named as NodeJS.Signals };
}

function descend(pid: number, levels: number): number | undefined {
  let at = pid;
  for (let level = 0; level < levels; level += 1) {
    let children: string;
    try {
      children = readFileSync(`/proc/${at}/task/${at}/children`, "utf8");
    } catch {
      return undefined;
    }
    const child = Number.parseInt(children, 10);
    if (Number.isNaN(child)) return undefined;
    at = child;
  }
  return at;
}
