/**
 * Uses in the last minute.
 *
 * 1. No 60 seconds on the monotonic clock ever hold more uses than the limit: the minute is
 *    counted in whole seconds and rounded up, so it may last up to 61.
 */

const SLOT_MS = 1_000;
const SLOTS = 61;

export class LastMinute {
  readonly #slots = new Uint32Array(SLOTS);
  #newest: number;
  #count = 0;

  constructor(nowMs: number) {
    this.#newest = Math.floor(nowMs / SLOT_MS);
  }

  count(nowMs: number): number {
    this.#advance(nowMs);
    return this.#count;
  }

  take(nowMs: number): void {
    this.#advance(nowMs);
    this.#slots[this.#newest % SLOTS]! += 1;
    this.#count += 1;
  }

  /** Until the oldest uses fall out of the minute. */
  msUntilRoom(nowMs: number): number {
    this.#advance(nowMs);
    for (let slot = this.#newest - SLOTS + 1; slot <= this.#newest; slot++) {
      if (slot >= 0 && this.#slots[slot % SLOTS]! > 0)
        return Math.ceil((slot + SLOTS) * SLOT_MS - nowMs);
    }
    return 0;
  }

  #advance(nowMs: number): void {
    const slot = Math.floor(nowMs / SLOT_MS);
    const steps = Math.min(slot - this.#newest, SLOTS);
    for (let step = 0; step < steps; step++) {
      const i = (slot - step) % SLOTS;
      this.#count -= this.#slots[i]!;
      this.#slots[i] = 0;
    }
    if (steps > 0) this.#newest = slot;
  }
}
