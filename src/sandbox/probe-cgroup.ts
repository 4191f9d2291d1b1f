/**
 * Finds control groups that hold, by making one, setting every limit and letting a process
 * join it. Version 2 when it has memory, pids and cpu here; else version 1; else none.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { CONTROLLERS, locateCgroups, type Controller } from "#sandbox/cgroup-place.ts";
import { createCgroup, groupName, sweepCgroups, type CgroupHost } from "#sandbox/cgroup.ts";

const run = promisify(execFile);
const JOIN_TIMEOUT_MS = 2_000;
const TRIAL_LIMITS = { memoryBytes: 64 * 2 ** 20, pids: 16, cpuShare: 100 };
const V2_CONTROLLERS = ["memory", "pids", "cpu"] as const;

export interface CgroupProbe {
  readonly host: CgroupHost | null;
  /** Why a controller cannot be used, or null if it can. */
  readonly whyNot: Readonly<Record<"memory" | "pids" | "cpu", string | null>>;
}

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
      const host: CgroupHost = { version: 2, places };
      await tryHost(host, options);
      return { host, whyNot: { memory: null, pids: null, cpu: null } };
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
  return {
    host: Object.keys(places).length === 0 ? null : { version: 1, places },
    whyNot: { memory: whyNot("memory"), pids: whyNot("pids"), cpu: whyNot("cpu") },
  };
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

async function tryHost(host: CgroupHost, { sh, pid, isAlive }: CgroupProbeOptions): Promise<void> {
  await sweepCgroups(host, isAlive);
  const group = await createCgroup(
    host,
    groupName(pid, `probe-${randomBytes(4).toString("hex")}`),
    TRIAL_LIMITS,
  );
  try {
    const script = 'for file in "$@"; do echo $$ > "$file" || exit 1; done';
    await run(sh, ["-c", script, "sh", ...group.join], { timeout: JOIN_TIMEOUT_MS });
  } finally {
    await group.remove();
  }
}
