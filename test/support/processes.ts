/** Looking at processes through /proc, read-only: who descends from whom, who is gone. */
import { readFileSync, readdirSync } from "node:fs";

/** A process that cannot be mistaken for a later one with the same id. */
export interface ProcessRef {
  readonly pid: number;
  /** Clock ticks after boot. */
  readonly startedAt: string;
}

/** State letter and start time; undefined once the process is gone. */
function look(pid: number): { state: string; startedAt: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold anything, spaces included.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0]!, startedAt: fields[19]! };
  } catch {
    return undefined;
  }
}

export function processRef(pid: number): ProcessRef | undefined {
  const seen = look(pid);
  return seen && { pid, startedAt: seen.startedAt };
}

/** A zombie counts as gone: whoever reaps it is not our business. */
export function isAlive({ pid, startedAt }: ProcessRef): boolean {
  const seen = look(pid);
  return seen !== undefined && seen.startedAt === startedAt && !"ZX".includes(seen.state);
}

/** Direct children, whichever thread started them. */
export function childPids(pid: number): number[] {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  return threads.flatMap((thread) => {
    try {
      const text = readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8");
      return text.split(" ").filter(Boolean).map(Number);
    } catch {
      return [];
    }
  });
}

export function descendants(pid: number): ProcessRef[] {
  return childPids(pid).flatMap((child) => {
    const ref = processRef(child);
    return ref === undefined ? [] : [ref, ...descendants(child)];
  });
}
