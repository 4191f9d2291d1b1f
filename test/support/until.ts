/** Waiting for a condition, never for a time. */
import { setTimeout as sleep } from "node:timers/promises";

const STEP_MS = 10;
/** For what never comes, not for what is slow: far beyond what a busy machine needs. */
export const DEADLINE_MS = 60_000;

type Truthy<T> = Exclude<T, false | 0 | "" | null | undefined>;

/**
 * The first truthy value of `condition`, which is asked again until then. What it throws on
 * the way counts as "not yet"; the last of it is the cause when time runs out.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  what: string,
  deadlineMs: number = DEADLINE_MS,
): Promise<Truthy<T>> {
  const end = performance.now() + deadlineMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value as Truthy<T>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > end)
      throw new Error(`Waited ${deadlineMs} ms in vain for ${what}.`, { cause });
    await sleep(STEP_MS);
  }
}
