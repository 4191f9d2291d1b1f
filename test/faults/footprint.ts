/** What a kernel and the processes under it hold, read from /proc. */
import { readFileSync, readdirSync } from "node:fs";
import { groupName } from "#sandbox/cgroup.ts";
import { locateCgroups } from "#sandbox/cgroup-place.ts";
import { descendants } from "../support/processes.ts";
import { until, type TestKernel } from "../support/kernel.ts";

const MIB = 1024 * 1024;
export interface Footprint {
  readonly kernelMib: number;
  /** Of the kernel's JavaScript heap, as its metrics say. */
  readonly heapMib: number;
  /** All cells and the compiler together. */
  readonly childrenMib: number;
  readonly children: number;
  readonly descriptors: number;
  /** Control groups of its cells. */
  readonly groups: number;
}

function residentMib(pid: number): number {
  try {
    const pages = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return (Number(pages?.[1] ?? 0) * 1024) / MIB;
  } catch {
    return 0;
  }
}

const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

function groupsOf(pid: number): number {
  const read = (name: string) => readFileSync(`/proc/self/${name}`, "utf8");
  const { v1, v2 } = locateCgroups(read("cgroup"), read("mountinfo"));
  const places = new Set([v2, ...Object.values(v1)].filter((place) => place !== null));
  const ours = (name: string) => name.startsWith(groupName(pid, ""));
  return [...places].flatMap((place) => readdirSync(place).filter(ours)).length;
}

async function heapMib(kernel: TestKernel): Promise<number> {
  const text = await (await kernel.fetch("/metrics", { headers: { accept: "text/plain" } })).text();
  return Number(/^solo_nodejs_heap_size_used_bytes (\S+)/m.exec(text)?.[1]) / MIB;
}

export async function footprint(kernel: TestKernel): Promise<Footprint> {
  const below = descendants(kernel.pid);
  return {
    kernelMib: residentMib(kernel.pid),
    heapMib: await heapMib(kernel),
    childrenMib: below.reduce((sum, { pid }) => sum + residentMib(pid), 0),
    children: below.length,
    descriptors: descriptorsOf(kernel.pid),
    groups: groupsOf(kernel.pid),
  };
}

/** Waits until no more processes and descriptors are held than `before`, and `spare` more. */
export async function settledTo(
  kernel: TestKernel,
  before: Footprint,
  spare: number,
): Promise<Footprint> {
  return until(async () => {
    const now = await footprint(kernel);
    return now.children <= before.children &&
      now.groups <= before.groups &&
      now.descriptors <= before.descriptors + spare
      ? now
      : undefined;
  }, `processes and descriptors to be as few as before (${before.children}, ${before.descriptors})`);
}
