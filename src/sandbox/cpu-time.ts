/** How much CPU time a process has used, as Linux counts it. */
import { readFileSync } from "node:fs";

/** Linux counts these times in hundredths of a second, whatever its own clock does. */
const MS_PER_TICK = 10;

/** Of all its threads, also ended ones, ms; undefined where there is no /proc, or no such
 *  process any more. */
export function cpuMsOf(pid: number): number | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The name in parentheses may hold anything; utime and stime are the 14th and 15th field.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  return Number.isNaN(ticks) ? undefined : ticks * MS_PER_TICK;
}
