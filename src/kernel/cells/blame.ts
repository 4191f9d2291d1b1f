/**
 * Who is to blame for the end of a cell (DESIGN, attribution).
 *
 * 1. A named offender is the only one; without one, whoever was at work may be it.
 * 2. One at work is the culprit. Of several, each is a suspect: it starts again in a cell of
 *    its own, where the next end names it.
 * 3. Nobody at work: a cell that passed its memory limit is the doing of one in it. Heaps are
 *    measured now and then, and memory may run out between two measurements: so of several
 *    each is a suspect, those with the largest heaps first. Any other cell died by itself.
 * 4. A cell that somebody outside killed is the doing of none in it, whoever was at work.
 */

export type Blame = "culprit" | "suspect" | "innocent";

/** What is known of an instance when its cell ends. */
export interface Accused {
  /** The kernel had told it to end, because it held its thread for too long. */
  readonly overdue: boolean;
  /** It had work at hand. */
  readonly busy: boolean;
  readonly heapBytes: number;
}

/** So many start again apart, those with the largest heaps first: each costs a process. */
export const MAX_SUSPECTS = 8;

export function decideBlame(
  accused: readonly Accused[],
  {
    outOfMemory,
    fromOutside,
  }: {
    readonly outOfMemory: boolean;
    readonly fromOutside: boolean;
  },
): Blame[] {
  const blamed = (found: readonly Accused[], blame: Blame): Blame[] =>
    accused.map((each) => (found.includes(each) ? blame : "innocent"));
  const overdue = accused.filter((each) => each.overdue);
  if (overdue.length > 0) return blamed(overdue, "culprit");
  if (fromOutside) return blamed([], "innocent");
  const byHeap = accused.toSorted((a, b) => b.heapBytes - a.heapBytes);
  const busy = byHeap.filter((each) => each.busy);
  const possible = busy.length > 0 ? busy : outOfMemory ? byHeap : [];
  if (possible.length === 1) return blamed(possible, "culprit");
  return blamed(possible.slice(0, MAX_SUSPECTS), "suspect");
}
