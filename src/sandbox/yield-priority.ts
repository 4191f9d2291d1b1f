/** Which process waits when there is not enough CPU time for all: control groups decide where
 *  there are any, this among the processes of one group. */
import { setPriority } from "node:os";

const NICE = 5;

/** For a process that has just been spawned: what it starts is as patient as it is. Its end is
 *  told elsewhere. */
export function yieldPriority(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, NICE);
  } catch (error) {
    const { info } = error as NodeJS.ErrnoException & { info?: { code?: string } };
    if (info?.code !== "ESRCH") throw error;
  }
}
