/** Somebody who has nothing to do with an attack, and asks all the while whether all is well. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "#base/clock.ts";

export interface Sighting {
  readonly answers: number;
  readonly worstMs: number;
  /** What went wrong, each kind once. */
  readonly failures: readonly string[];
}

export interface WatcherOptions {
  /** Rejects when all is not well. */
  readonly ask: () => Promise<void>;
  readonly clock: Clock;
}

const PAUSE_MS = 20;

export class Watcher {
  readonly #options: WatcherOptions;
  readonly #failures = new Set<string>();
  readonly #done: Promise<void>;
  #stopped = false;
  #answers = 0;
  #worstMs = 0;

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  /** Resolves after its last answer. */
  async stop(): Promise<Sighting> {
    this.#stopped = true;
    await this.#done;
    return { answers: this.#answers, worstMs: this.#worstMs, failures: [...this.#failures] };
  }

  async #run(): Promise<void> {
    const { ask, clock } = this.#options;
    do {
      const asked = clock.now();
      try {
        await ask();
        this.#answers += 1;
      } catch (error) {
        this.#failures.add(error instanceof Error ? error.message : String(error));
      }
      this.#worstMs = Math.max(this.#worstMs, clock.now() - asked);
      await sleep(PAUSE_MS);
    } while (!this.#stopped);
  }
}
