/** The control groups that a kernel has made for its tenants, as the operating system shows them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { locateCgroups } from "#sandbox/cgroup-place.ts";

const read = (name: string): string => readFileSync(`/proc/self/${name}`, "utf8");

/** Of each: the most that its processes ever held together, and what they may; none where there
 *  are no such groups. */
export function tenantGroups(kernelPid: number): { peak: number; limit: number }[] {
  const place = locateCgroups(read("cgroup"), read("mountinfo"));
  const memory = place.v1.memory ?? place.v2;
  if (memory === null) return [];
  const [peak, limit] =
    place.v1.memory === undefined
      ? ["memory.peak", "memory.max"]
      : ["memory.max_usage_in_bytes", "memory.limit_in_bytes"];
  const inGroup = (name: string, file: string) =>
    Number(readFileSync(join(memory, name, file), "utf8"));
  return readdirSync(memory)
    .filter((name) => name.startsWith(`solo-${kernelPid}-tenant-`))
    .map((name) => ({ peak: inGroup(name, peak), limit: inGroup(name, limit) }));
}
