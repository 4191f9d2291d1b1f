/**
 * How many sleepers wake at the same time: a storm of wakes is worked off in order, and
 * those who are awake keep their share of the machine.
 *
 * 1. Who waits here holds nothing but a place in the queue; each replica waits once at most.
 */
const WAKES_AT_ONCE = 8;

export class WakeGate {
  readonly #atOnce: number;
  #inside = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(atOnce = WAKES_AT_ONCE) {
    this.#atOnce = atOnce;
  }

  /** Resolves when it is one's turn, with how to leave. */
  async enter(): Promise<() => void> {
    if (this.#inside >= this.#atOnce) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#inside += 1;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const next = this.#waiting.shift();
      // Who leaves hands the place on.
      if (next === undefined) this.#inside -= 1;
      else next();
    };
  }
}
