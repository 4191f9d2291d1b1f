/**
 * Whether a cell that says nothing is stuck as a whole, or waits for a core.
 *
 * 1. Checks are counted, not time: a kernel that was itself away has not listened.
 * 2. One that is frozen, sleeps, or runs without a word is stuck after MAX_CHECKS. One that the
 *    operating system does not let run is given time until it has run for STUCK_CPU_MS, and no
 *    longer than MAX_STARVED_CHECKS.
 */
import type { ThreadTime } from "#sandbox/cpu-time.ts";

/** How often the checks are made. */
export const CHECK_MS = 250;
const MAX_CHECKS = 8;
const MAX_STARVED_CHECKS = 40;
/** Of the thread that gives the signs of life: less than it gets between the checks below where
 *  nobody else wants the core. */
const STUCK_CPU_MS = 1000;
/** From which check on its time is counted: most silences end before. */
const COUNTED_FROM = 2;

export class Silence {
  #checks = 0;
  #before: ThreadTime | undefined;

  /** It has said something. */
  end(): void {
    this.#checks = 0;
  }

  /** True when it is stuck. `look`: at the thread that should have spoken. */
  check(look: () => ThreadTime | undefined): boolean {
    this.#checks += 1;
    if (this.#checks === COUNTED_FROM) this.#before = look();
    if (this.#checks <= MAX_CHECKS) return false;
    return this.#checks > MAX_STARVED_CHECKS || !isStarved(this.#before, look());
  }
}

const isStarved = (before: ThreadTime | undefined, now: ThreadTime | undefined): boolean =>
  before !== undefined &&
  now !== undefined &&
  now.isRunnable &&
  now.cpuMs - before.cpuMs < STUCK_CPU_MS;
