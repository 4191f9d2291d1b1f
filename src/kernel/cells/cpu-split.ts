/**
 * Whose CPU time it was: what the operating system says of a process, split among its
 * instances by how long each of them ran. A cell knows only the latter, which is time on the
 * clock: on a busy machine a good part of it is spent waiting for a core.
 *
 * 1. Instances are charged no more than their process used, whatever the cell says.
 * 2. What the process uses for itself is charged to no instance.
 */

/** The operating system counts in steps of 10 ms, so that what an instance used may show late:
 *  so much of either is kept for the next time. */
const CARRIED_MS = 20;

export interface RunTime {
  readonly slot: number;
  /** How long the instance has run since its start, ms. */
  readonly ranMs: number;
}

interface Account {
  ranMs: number;
  /** Of that, what has not been charged yet. */
  unpaidMs: number;
}

export class CpuSplit {
  readonly #accounts = new Map<number, Account>();
  #processMs: number | undefined;
  /** Used by the process and charged to nobody yet. */
  #openMs = 0;

  /** What each slot is to be charged, if anything; `processMs` is undefined where the operating
   *  system does not tell: then the clock must do. */
  charge(times: readonly RunTime[], processMs: number | undefined): ReadonlyMap<number, number> {
    for (const { slot, ranMs } of times) this.#ran(slot, ranMs);
    const owing = [...this.#accounts].filter(([, { unpaidMs }]) => unpaidMs > 0);
    const total = owing.reduce((sum, [, { unpaidMs }]) => sum + unpaidMs, 0);
    if (processMs !== undefined) {
      this.#openMs += Math.max(0, processMs - (this.#processMs ?? processMs));
      this.#processMs = Math.max(processMs, this.#processMs ?? 0);
    }
    const charged = processMs === undefined ? total : Math.min(total, this.#openMs);
    this.#openMs = Math.min(CARRIED_MS, Math.max(0, this.#openMs - charged));
    const charges = new Map<number, number>();
    for (const [slot, account] of owing) {
      const charge = (account.unpaidMs / total) * charged;
      if (charge > 0) charges.set(slot, charge);
      account.unpaidMs = Math.min(CARRIED_MS, account.unpaidMs - charge);
    }
    return charges;
  }

  forget(slot: number): void {
    this.#accounts.delete(slot);
  }

  #ran(slot: number, ranMs: number): void {
    const before = this.#accounts.get(slot) ?? { ranMs: 0, unpaidMs: 0 };
    const sinceMs = Math.max(0, ranMs - before.ranMs);
    this.#accounts.set(slot, {
      ranMs: before.ranMs + sinceMs,
      unpaidMs: before.unpaidMs + sinceMs,
    });
  }
}
