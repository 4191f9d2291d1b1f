/**
 * Descriptors that this process inherited and would hand on. Node marks what it opens
 * close-on-exec, and at its start what it inherited up to the first gap; what lies beyond
 * the gap, or was opened by a native addon, would reach every child.
 */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";

const O_CLOEXEC = 0o2000000;

/** Descriptors above 2 without close-on-exec; empty where there is no /proc. */
export async function leakedDescriptors(procSelf = "/proc/self"): Promise<number[]> {
  const names = await readdir(path.join(procSelf, "fdinfo")).catch(() => []);
  const leaks = await Promise.all(
    names.map(async (name) => {
      const info = await readFile(path.join(procSelf, "fdinfo", name), "utf8").catch(() => null);
      const flags = info === null ? undefined : /^flags:\s*([0-7]+)/m.exec(info)?.[1];
      const isLeak = flags !== undefined && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
      return isLeak && Number(name) > 2 ? Number(name) : null;
    }),
  );
  return leaks.filter((fd) => fd !== null).toSorted((a, b) => a - b);
}
