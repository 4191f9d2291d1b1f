/**
 * Which thread a turn runs on.
 *
 * The pool is safe and costs some 15–35 µs a turn; this thread costs 2 µs and stands still
 * while the guest runs. So a handler earns this thread: only after PROOFS quick turns in a
 * row, and only until one turn takes longer than QUICK_MS. That is processor time: on a busy
 * machine a quick turn may have to wait for a core, and a guest has nothing to block on.
 *
 * 1. At most POOL_SLOTS turns are on the pool at once; one that has run for AGED_MS no
 *    longer counts, so that loops cannot starve the rest.
 */
const PROOFS = 50;
const QUICK_MS = 1;
const POOL_SLOTS = 4;
const AGED_MS = 10;

/**
 * Longest a turn on this thread may take; then it is stopped, and so is the instance. It is time
 * on the wall: on a busy machine a quick turn may have to wait for the processor for a while.
 * Two of these and two of COPY_TIMEOUT_MS stay below the silence for which a cell is ended.
 */
export const FAST_LANE_TIMEOUT_MS = 500;
/** Longest that bytes may take between this thread and a guest. */
export const COPY_TIMEOUT_MS = 500;

export class Record {
  readonly #quick = new Map<string, number>();
  #banned = false;

  /** Whether a turn made of these handlers may run on this thread. */
  isProven(handlers: Iterable<string>): boolean {
    if (this.#banned) return false;
    for (const handler of handlers) {
      if ((this.#quick.get(handler) ?? 0) < PROOFS) return false;
    }
    return true;
  }

  /** `tookMs`: thread time of one message of the turn. */
  note(handlers: Iterable<string>, tookMs: number): void {
    for (const handler of handlers) {
      this.#quick.set(handler, tookMs > QUICK_MS ? 0 : (this.#quick.get(handler) ?? 0) + 1);
    }
  }

  ban(): void {
    this.#banned = true;
  }
}

export class PoolGate {
  #free = POOL_SLOTS;
  readonly #waiting: (() => void)[] = [];

  /** Resolves with the function that gives the place back. */
  async enter(): Promise<() => void> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free -= 1;
    let held = true;
    const leave = () => {
      if (!held) return;
      held = false;
      clearTimeout(timer);
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    };
    const timer = setTimeout(leave, AGED_MS);
    return leave;
  }
}
