/**
 * Finds control groups that hold, by making one, setting every limit and letting a process
 * join it. Version 2 when it has memory, pids and cpu here; else version 1; else none. What not
 * every host has besides, a quota of CPU time and groups within groups, is tried by itself.
 */
import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { tenantId } from "#base/ids.ts";
import { CONTROLLERS, locateCgroups, type Controller } from "#sandbox/cgroup-place.ts";
import {
  createCgroup,
  groupName,
  sweepCgroups,
  type CellCgroup,
  type CgroupHost,
} from "#sandbox/cgroup.ts";
import { TenantGroups } from "#sandbox/tenant-groups.ts";

const run = promisify(execFile);
const JOIN_TIMEOUT_MS = 2_000;
const JOIN = 'for file in "$@"; do echo $$ > "$file" || exit 1; done';
const TRIAL_LIMITS = { memoryBytes: 64 * 2 ** 20, pids: 16, cpuShare: 100 };
const V2_CONTROLLERS = ["memory", "pids", "cpu"] as const;

export interface CgroupProbe {
  readonly host: CgroupHost | null;
  /** Why a controller, or what is tried besides, cannot be used, or null if it can. */
  readonly whyNot: Readonly<Record<CgroupPart, string | null>>;
}

export type CgroupPart = "memory" | "pids" | "cpu" | "quota" | "tenants";

export interface CgroupProbeOptions {
  readonly sh: string;
  readonly pid: number;
  readonly isAlive: (pid: number) => boolean;
  readonly procSelf?: string;
}

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export async function probeCgroup(options: CgroupProbeOptions): Promise<CgroupProbe> {
  const { procSelf = "/proc/self" } = options;
  const read = (name: string) => readFile(path.join(procSelf, name), "utf8").catch(() => "");
  const place = locateCgroups(await read("cgroup"), await read("mountinfo"));

  let v2WhyNot = "no unified hierarchy is mounted";
  if (place.v2 !== null) {
    const own = place.v2;
    try {
      await enableV2(own, options.pid);
      const places = { memory: own, pids: own, cpu: own };
      await tryHost({ version: 2, places }, options);
      const besides = await tryBesides({ version: 2, places }, options);
      const whyNot = { memory: null, pids: null, cpu: null, ...besides };
      return { host: hostWith({ version: 2, places }, whyNot), whyNot };
    } catch (error) {
      v2WhyNot = reason(error);
    }
  }

  const places: Partial<Record<Controller, string>> = {};
  const failed: Partial<Record<Controller, string>> = {};
  await Promise.all(
    CONTROLLERS.map(async (controller) => {
      const own = place.v1[controller];
      if (own === undefined) return;
      try {
        await tryHost({ version: 1, places: { [controller]: own } }, options);
        places[controller] = own;
      } catch (error) {
        failed[controller] = reason(error);
      }
    }),
  );
  const whyNot = (controller: "memory" | "pids" | "cpu"): string | null =>
    places[controller] === undefined
      ? (failed[controller] ?? `version 2: ${v2WhyNot}; version 1: not mounted`)
      : null;
  const besides = await tryBesides({ version: 1, places }, options);
  const [memory, pids, cpu] = [whyNot("memory"), whyNot("pids"), whyNot("cpu")];
  const found = {
    memory,
    pids,
    cpu,
    quota: cpu ?? besides.quota,
    tenants: memory ?? besides.tenants,
  };
  const none = Object.keys(places).length === 0;
  return { host: none ? null : hostWith({ version: 1, places }, found), whyNot: found };
}

type Found = Pick<CgroupHost, "version" | "places">;
type Besides = Readonly<Record<"quota" | "tenants", string | null>>;

const hostWith = (found: Found, besides: Besides): CgroupHost => ({
  ...found,
  cpuQuota: besides.quota === null,
  tenants: besides.tenants === null,
});

/** What is left to be tried on a host whose groups hold. */
async function tryBesides(found: Found, { sh, pid }: CgroupProbeOptions): Promise<Besides> {
  const trial = async (act: (group: CellCgroup) => Promise<void>): Promise<string | null> => {
    const group = await createCgroup(found, trialName(pid), {});
    try {
      await act(group);
      return null;
    } catch (error) {
      return reason(error);
    } finally {
      await group.remove();
    }
  };
  return {
    quota: await trial((group) => group.setLimits({ cpuPercent: 50 })),
    tenants: await trial((group) => moveOne({ group, found, sh, pid })),
  };
}

/** A process that runs in a group is moved below a tenant's, as cells are. */
async function moveOne(trial: {
  group: CellCgroup;
  found: Found;
  sh: string;
  pid: number;
}): Promise<void> {
  const { group, found, sh, pid } = trial;
  const tenants = new TenantGroups(found, pid);
  const tenant = tenantId(`probe-${randomBytes(4).toString("hex")}`);
  const child = spawn(sh, ["-c", `${JOIN}; echo in; read rest`, "sh", ...group.join], {
    stdio: ["pipe", "pipe", "ignore"],
    timeout: JOIN_TIMEOUT_MS,
  });
  const ended = once(child, "close");
  try {
    await Promise.race([once(child.stdout, "data"), ended]);
    const { memoryBytes, cpuShare } = TRIAL_LIMITS;
    await tenants.join({ tenant, hold: { memoryBytes, cpuShare }, cell: group });
  } finally {
    child.kill("SIGKILL");
    await ended;
    await group.remove();
    await tenants.leave(tenant, group);
  }
}

/**
 * Lets children of our group have the controllers. A group with children that have
 * controllers may hold no process itself, so this process first moves one level down;
 * that fails, rightly, when the group is shared with others (a login shell, say).
 */
async function enableV2(own: string, pid: number): Promise<void> {
  const available = (await readFile(path.join(own, "cgroup.controllers"), "utf8")).split(/\s+/);
  const missing = V2_CONTROLLERS.filter((controller) => !available.includes(controller));
  if (missing.length > 0) throw new Error(`not delegated to our group: ${missing.join(", ")}`);
  const control = path.join(own, "cgroup.subtree_control");
  const wanted = V2_CONTROLLERS.map((controller) => `+${controller}`).join(" ");
  try {
    await writeFile(control, wanted);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
    const leaf = path.join(own, groupName(pid, "kernel"));
    await mkdir(leaf, { recursive: true });
    await writeFile(path.join(leaf, "cgroup.procs"), String(pid));
    await writeFile(control, wanted);
  }
}

const trialName = (pid: number): string =>
  groupName(pid, `probe-${randomBytes(4).toString("hex")}`);

async function tryHost(host: Found, { sh, pid, isAlive }: CgroupProbeOptions): Promise<void> {
  await sweepCgroups(host, isAlive);
  const group = await createCgroup(host, trialName(pid), TRIAL_LIMITS);
  try {
    await run(sh, ["-c", JOIN, "sh", ...group.join], { timeout: JOIN_TIMEOUT_MS });
  } finally {
    await group.remove();
  }
}
