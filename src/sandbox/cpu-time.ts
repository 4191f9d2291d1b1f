/** How much CPU time a process has used, as Linux counts it. */
import { readFileSync } from "node:fs";

/** Linux counts these times in hundredths of a second, whatever its own clock does. */
const MS_PER_TICK = 10;

export interface ThreadTime {
  readonly cpuMs: number;
  /** It runs, or waits for nothing but a core. */
  readonly isRunnable: boolean;
}

/** Of all its threads, also ended ones, ms; undefined where there is no /proc, or no such
 *  process any more. */
export const cpuMsOf = (pid: number): number | undefined => readStat(`/proc/${pid}/stat`)?.cpuMs;

/** Of its first thread alone; undefined as above. */
export const mainThreadOf = (pid: number): ThreadTime | undefined =>
  readStat(`/proc/${pid}/task/${pid}/stat`);

function readStat(file: string): ThreadTime | undefined {
  let stat: string;
  try {
    stat = readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
  // The name in parentheses may hold anything; the state is the third field, utime and stime are
  // the 14th and 15th.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  if (Number.isNaN(ticks)) return undefined;
  return { cpuMs: ticks * MS_PER_TICK, isRunnable: fields[0] === "R" };
}
