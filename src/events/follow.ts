/**
 * Following a growing sequence: history, then what comes, each item once and in order.
 *
 * 1. A follower is a cursor. Nothing is buffered for it: a slow one reads from the disk, one
 *    that keeps up reads from memory, and both see the same sequence.
 * 2. The cursor passes an id only after every matching item up to it was handed over.
 * 3. While the store restarts the follower waits; it goes on where it was.
 * 4. When the signal fires the sequence ends; it does not throw.
 */
import { SoloError } from "#base/errors.ts";
import { RETRY_MS } from "#events/limits.ts";

export interface Followed<T> {
  /** The newest id that may be handed over. */
  readonly head: () => number;
  /** The matching items after `cursor` up to the head, or undefined when memory does not reach back. */
  readonly recent: (cursor: number) => T[] | undefined;
  /** The first matching items after `cursor` up to `untilId`, and the id up to which there are no more. */
  readonly read: (cursor: number, untilId: number) => Promise<{ items: T[]; readTo: number }>;
  /** Calls back at every change of the head, and when the store is back; returns the way to stop. */
  readonly onChange: (callback: () => void) => () => void;
}

export async function* follow<T>(options: {
  readonly source: Followed<T>;
  readonly sinceId: number;
  readonly signal: AbortSignal;
}): AsyncGenerator<readonly T[], void, void> {
  const { source, signal } = options;
  let cursor = options.sinceId;
  let wake = () => {};
  const poke = () => wake();
  const nextChange = () => new Promise<void>((resolve) => (wake = resolve));
  const unsubscribe = source.onChange(poke);
  signal.addEventListener("abort", poke);
  try {
    while (!signal.aborted) {
      const head = source.head();
      if (cursor >= head) {
        await nextChange();
        continue;
      }
      const recent = source.recent(cursor);
      if (recent !== undefined) {
        cursor = head;
        if (recent.length > 0) yield recent;
        continue;
      }
      const page = await source.read(cursor, head).catch(unlessUnavailable);
      if (page === undefined) {
        const timer = setTimeout(poke, RETRY_MS);
        await nextChange();
        clearTimeout(timer);
        continue;
      }
      cursor = page.readTo;
      if (page.items.length > 0 && !signal.aborted) yield page.items;
    }
  } finally {
    unsubscribe();
    signal.removeEventListener("abort", poke);
  }
}

function unlessUnavailable(error: unknown): undefined {
  if (error instanceof SoloError && error.code === "unavailable") return undefined;
  throw error;
}
