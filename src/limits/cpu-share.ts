/**
 * CPU time as a share of one core over the last CPU_WINDOW_MS.
 *
 * 1. Time before the first reading counts as idle: a short burst is no excess.
 * 2. A total that falls (another process, a lie) begins anew and never counts as negative.
 */
export const CPU_WINDOW_MS = 5000;

interface Sample {
  readonly at: number;
  readonly totalMs: number;
}

export class CpuShare {
  #samples: Sample[] = [];

  /** `totalMs`: CPU time since ever. Returns the percentage of one core. */
  read(totalMs: number, now: number): number {
    const last = this.#samples.at(-1);
    if (last !== undefined && totalMs < last.totalMs) this.#samples = [];
    this.#samples.push({ at: now, totalMs });
    // One sample older than the window stays: what was spent since then may lie within it.
    while (this.#samples.length > 1 && this.#samples[1]!.at <= now - CPU_WINDOW_MS) {
      this.#samples.shift();
    }
    const first = this.#samples[0]!;
    const spanMs = Math.max(CPU_WINDOW_MS, now - first.at);
    return ((totalMs - first.totalMs) / spanMs) * 100;
  }
}
