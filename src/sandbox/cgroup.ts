/**
 * A control group for each cell, under the group that this process is in itself: nothing
 * outside our own part of the tree is written.
 *
 * 1. A group is removed when its cell has ended; `sweep` removes what a killed kernel left.
 * 2. Reading a group never throws for a group that is gone: usage is then 0.
 * 3. What a cell has used stays with the group where it used it: Linux leaves memory behind
 *    when a process moves. Readings are of all the groups that the cell has been in.
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
  /** It can hold a group below a share of CPU time, and not only weigh it. */
  readonly cpuQuota: boolean;
  /** A group can be made for each tenant, above those of its cells. */
  readonly tenants: boolean;
}

export interface CellCgroup {
  readonly name: string;
  /** Files into which the chain writes its own pid. */
  readonly join: readonly string[];
  /** Sets what is given, leaves the rest: a spare cell learns its tenant's limits late. */
  setLimits(limits: CgroupLimits): Promise<void>;
  memoryBytes(): Promise<number>;
  cpuMs(): Promise<number>;
  oomKills(): Promise<number>;
  /** Everything that runs in it goes on in a group below `parent`, with the same limits, for the
   *  controllers that it has. Returns the bytes that stay behind. */
  moveBelow(parent: Pick<CgroupHost, "places">): Promise<number>;
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

/** Processes are read and moved so often until none is left. */
const MOVE_TRIES = 20;

export async function createCgroup(
  { version, places }: Pick<CgroupHost, "version" | "places">,
  name: string,
  limits: CgroupLimits,
): Promise<CellCgroup> {
  /** By controller, where the cell has been; where it is comes last. */
  const homes = new Map<Controller, string[]>();
  const v2 = version === 2;
  let limited: CgroupLimits = {};

  const directories = () => [...new Set([...homes.values()].flat())];
  const settle = async (where: CgroupHost["places"]): Promise<void> => {
    for (const [controller, place] of Object.entries(where)) {
      const home = path.join(place, name);
      homes.set(controller as Controller, [...(homes.get(controller as Controller) ?? []), home]);
    }
    const made = new Set(Object.values(where).map((place) => path.join(place, name)));
    await Promise.all([...made].map((directory) => mkdir(directory)));
    await group.setLimits(limited);
  };
  const sum = async (
    controller: Controller,
    file: string,
    read: (file: string) => Promise<number>,
  ): Promise<number> => {
    const found = (homes.get(controller) ?? []).map((home) => read(path.join(home, file)));
    return (await Promise.all(found)).reduce((total, each) => total + each, 0);
  };

  const group: CellCgroup = {
    name,
    get join() {
      return directories().map((directory) => path.join(directory, "cgroup.procs"));
    },
    async setLimits(wanted) {
      limited = { ...limited, ...wanted };
      for (const { controller, file, value, optional } of settings(version, wanted)) {
        const home = homes.get(controller)?.at(-1);
        if (home === undefined) continue;
        const written = writeFile(path.join(home, file), value);
        await (optional ? written.catch(() => {}) : written);
      }
    },
    memoryBytes: () => sum("memory", v2 ? "memory.current" : "memory.usage_in_bytes", numberIn),
    async cpuMs() {
      if (!v2) return (await sum("cpuacct", "cpuacct.usage", numberIn)) / 1e6;
      return (await sum("cpu", "cpu.stat", (file) => fieldIn(file, "usage_usec"))) / 1_000;
    },
    oomKills: () =>
      sum("memory", v2 ? "memory.events" : "memory.oom_control", (file) =>
        fieldIn(file, "oom_kill"),
      ),
    async moveBelow(parent) {
      const before = new Map(
        (Object.keys(parent.places) as Controller[]).map((controller) => [
          controller,
          homes.get(controller)?.at(-1),
        ]),
      );
      await settle(parent.places);
      const moves = new Map<string, string>();
      for (const [controller, from] of before) {
        if (from !== undefined) moves.set(from, homes.get(controller)!.at(-1)!);
      }
      for (const [from, to] of moves) await moveProcesses(from, to);
      const left = before.get("memory");
      const usage = v2 ? "memory.current" : "memory.usage_in_bytes";
      return left === undefined ? 0 : numberIn(path.join(left, usage));
    },
    async kill() {
      if (!v2) return false;
      const killed = directories().map((directory) =>
        writeFile(path.join(directory, "cgroup.kill"), "1").then(
          () => true,
          () => false,
        ),
      );
      return (await Promise.all(killed)).includes(true);
    },
    async remove() {
      const removed = await Promise.all(directories().map(removeGroup));
      return removed.every(Boolean);
    },
  };

  try {
    await settle(places);
    await group.setLimits(limits);
  } catch (error) {
    await group.remove();
    throw error;
  }
  return group;
}

/** One that ends on the way is where it should be; one that is born on the way is seen next. */
async function moveProcesses(from: string, to: string): Promise<void> {
  for (let tries = 0; tries < MOVE_TRIES; tries += 1) {
    const listed = await readFile(path.join(from, "cgroup.procs"), "utf8").catch(() => "");
    const pids = listed.split("\n").filter((line) => line !== "");
    if (pids.length === 0) return;
    for (const pid of pids) {
      await writeFile(path.join(to, "cgroup.procs"), pid).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ESRCH") throw error;
      });
    }
  }
  throw new Error(`Processes are still in ${from}.`);
}

/** A group can be removed only after the kernel has reaped its last process. */
export async function removeGroup(directory: string): Promise<boolean> {
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

/** Removes groups of kernels that are no more, a tenant's with those of its cells. A group in use
 *  cannot be removed. */
export async function sweepCgroups(
  host: Pick<CgroupHost, "places">,
  isAlive: (pid: number) => boolean,
): Promise<void> {
  for (const place of new Set(Object.values(host.places))) {
    for (const name of await readdir(place).catch(() => [])) {
      const owner = /^solo-(\d+)-/.exec(name)?.[1];
      if (owner !== undefined && !isAlive(Number(owner))) {
        const stale = path.join(place, name);
        const inner = await readdir(stale, { withFileTypes: true }).catch(() => []);
        for (const each of inner) {
          if (each.isDirectory()) await rmdir(path.join(stale, each.name)).catch(() => {});
        }
        await rmdir(stale).catch(() => {});
      }
    }
  }
}
