/** The time behind a guest's setTimeout: bounded in number by the guest's end, and in
 *  nearness here, so that a flood of them costs the guest and not the cell. */
const LEAST_INTERVAL_MS = 1;
const MAX_DELAY_MS = 2 ** 31 - 1;
const MAX_TIMERS = 10_000;

export class GuestTimers {
  readonly #fire: (id: number) => void;
  readonly #timers = new Map<number, NodeJS.Timeout>();

  constructor(fire: (id: number) => void) {
    this.#fire = fire;
  }

  /** `rest` is `delayMs repeat`, as the guest said it. */
  start(id: number, rest: string): void {
    const [delayText, repeatText] = rest.split(" ");
    const delay = Number(delayText);
    if (!Number.isFinite(delay) || this.#timers.size >= MAX_TIMERS || this.#timers.has(id)) return;
    const ms = Math.min(MAX_DELAY_MS, Math.max(LEAST_INTERVAL_MS, delay));
    const timer =
      repeatText === "1"
        ? setInterval(() => this.#fire(id), ms)
        : setTimeout(() => {
            this.#timers.delete(id);
            this.#fire(id);
          }, ms);
    this.#timers.set(id, timer);
  }

  stop(id: number): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
  }

  stopAll(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
