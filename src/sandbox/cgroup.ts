/**
 * A control group for each cell, under the group that this process is in itself: nothing
 * outside our own part of the tree is written.
 *
 * 1. A group is removed when its cell has ended; `sweep` removes what a killed kernel left.
 * 2. Reading a group never throws for a group that is gone: usage is then 0.
 */
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Controller } from "#sandbox/cgroup-place.ts";

export interface CgroupLimits {
  readonly memoryBytes?: number;
  /** Processes and threads together. */
  readonly pids?: number;
  /** Share of CPU time under contention; 100 is normal, as in cgroup v2's cpu.weight. */
  readonly cpuShare?: number;
  /** CPU time at most, in percent of one core. */
  readonly cpuPercent?: number;
}

export interface CgroupHost {
  readonly version: 1 | 2;
  /** Our own directory by controller; for version 2 always the same one. */
  readonly places: Readonly<Partial<Record<Controller, string>>>;
}

export interface CellCgroup {
  /** Files into which the chain writes its own pid. */
  readonly join: readonly string[];
  /** Sets what is given, leaves the rest: a spare cell learns its tenant's limits late. */
  setLimits(limits: CgroupLimits): Promise<void>;
  memoryBytes(): Promise<number>;
  cpuMs(): Promise<number>;
  oomKills(): Promise<number>;
  /** Ends every process in it, where the host can (version 2); true if it did. */
  kill(): Promise<boolean>;
  /** Idempotent; false if processes still hold it after the wait. */
  remove(): Promise<boolean>;
}

const PREFIX = "solo-";
const REMOVE_TRIES = 40;
const REMOVE_PAUSE_MS = 25;
const CPU_PERIOD_US = 100_000;
/** cpu.shares that stand for the normal weight of 100. */
const NORMAL_SHARES = 1024;

export const groupName = (pid: number, name: string): string => `${PREFIX}${pid}-${name}`;

interface Setting {
  readonly controller: Controller;
  readonly file: string;
  readonly value: string;
  /** Not on every kernel (swap accounting); the limit stands without it. */
  readonly optional?: true;
}

/** What to write into a new group, in order. Pure. */
export function settings(version: 1 | 2, limits: CgroupLimits): Setting[] {
  const { memoryBytes, pids, cpuShare, cpuPercent } = limits;
  const v2 = version === 2;
  const found: Setting[] = [];
  if (memoryBytes !== undefined) {
    const value = String(memoryBytes);
    if (v2) {
      found.push(
        { controller: "memory", file: "memory.max", value },
        { controller: "memory", file: "memory.swap.max", value: "0", optional: true },
        { controller: "memory", file: "memory.oom.group", value: "1", optional: true },
      );
    } else {
      found.push(
        // Memory with swap may never be below memory: first for a raise, last for a cut.
        { controller: "memory", file: "memory.memsw.limit_in_bytes", value, optional: true },
        { controller: "memory", file: "memory.limit_in_bytes", value },
        { controller: "memory", file: "memory.memsw.limit_in_bytes", value, optional: true },
      );
    }
  }
  if (pids !== undefined) found.push({ controller: "pids", file: "pids.max", value: String(pids) });
  if (cpuShare !== undefined) {
    found.push(
      v2
        ? { controller: "cpu", file: "cpu.weight", value: String(cpuShare) }
        : {
            controller: "cpu",
            file: "cpu.shares",
            value: String(Math.round((cpuShare * NORMAL_SHARES) / 100)),
          },
    );
  }
  if (cpuPercent !== undefined) {
    const quota = Math.round((cpuPercent * CPU_PERIOD_US) / 100);
    if (v2) {
      found.push({ controller: "cpu", file: "cpu.max", value: `${quota} ${CPU_PERIOD_US}` });
    } else {
      found.push(
        { controller: "cpu", file: "cpu.cfs_period_us", value: String(CPU_PERIOD_US) },
        { controller: "cpu", file: "cpu.cfs_quota_us", value: String(quota) },
      );
    }
  }
  return found;
}

const numberIn = async (file: string): Promise<number> =>
  Number.parseInt(await readFile(file, "utf8").catch(() => "0"), 10) || 0;

const fieldIn = async (file: string, field: string): Promise<number> => {
  const text = await readFile(file, "utf8").catch(() => "");
  return Number(new RegExp(`^${field} (\\d+)$`, "m").exec(text)?.[1] ?? 0);
};

export async function createCgroup(
  host: CgroupHost,
  name: string,
  limits: CgroupLimits,
): Promise<CellCgroup> {
  const at = (controller: Controller, file = ""): string | null => {
    const place = host.places[controller];
    return place === undefined ? null : path.join(place, name, file);
  };
  const directories = [
    ...new Set(Object.values(host.places).map((place) => path.join(place, name))),
  ];
  const v2 = host.version === 2;

  const group: CellCgroup = {
    join: directories.map((directory) => path.join(directory, "cgroup.procs")),
    async setLimits(wanted) {
      for (const { controller, file, value, optional } of settings(host.version, wanted)) {
        const target = at(controller, file);
        if (target === null) continue;
        const written = writeFile(target, value);
        await (optional ? written.catch(() => {}) : written);
      }
    },
    async memoryBytes() {
      const file = at("memory", v2 ? "memory.current" : "memory.usage_in_bytes");
      return file === null ? 0 : numberIn(file);
    },
    async cpuMs() {
      const file = v2 ? at("cpu", "cpu.stat") : at("cpuacct", "cpuacct.usage");
      if (file === null) return 0;
      return v2 ? (await fieldIn(file, "usage_usec")) / 1_000 : (await numberIn(file)) / 1e6;
    },
    async oomKills() {
      const file = at("memory", v2 ? "memory.events" : "memory.oom_control");
      return file === null ? 0 : fieldIn(file, "oom_kill");
    },
    async kill() {
      const file = v2 ? at("memory", "cgroup.kill") : null;
      if (file === null) return false;
      return writeFile(file, "1").then(
        () => true,
        () => false,
      );
    },
    async remove() {
      const removed = await Promise.all(directories.map(removeGroup));
      return removed.every(Boolean);
    },
  };

  try {
    await Promise.all(directories.map((directory) => mkdir(directory)));
    await group.setLimits(limits);
  } catch (error) {
    await group.remove();
    throw error;
  }
  return group;
}

/** A group can be removed only after the kernel has reaped its last process. */
async function removeGroup(directory: string): Promise<boolean> {
  for (let tries = 0; tries < REMOVE_TRIES; tries += 1) {
    const code = await rmdir(directory).then(
      () => null,
      (error: NodeJS.ErrnoException) => error.code,
    );
    if (code === null || code === "ENOENT") return true;
    if (code !== "EBUSY") return false;
    await sleep(REMOVE_PAUSE_MS);
  }
  return false;
}

/** Removes groups of kernels that are no more. A group in use cannot be removed. */
export async function sweepCgroups(
  host: CgroupHost,
  isAlive: (pid: number) => boolean,
): Promise<void> {
  for (const place of new Set(Object.values(host.places))) {
    for (const name of await readdir(place).catch(() => [])) {
      const owner = /^solo-(\d+)-/.exec(name)?.[1];
      if (owner !== undefined && !isAlive(Number(owner))) {
        await rmdir(path.join(place, name)).catch(() => {});
      }
    }
  }
}
