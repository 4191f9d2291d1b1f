/**
 * How a replica does: what its instances answered, how fast, and how often they crashed.
 *
 * 1. A fixed size, whatever passes through: durations are counted in buckets.
 * 2. A reading says what happened in the last one to two windows.
 */
import { SLOTS, bucketOf, p95Of } from "#kernel/services/replica/durations.ts";

const WINDOW_MS = 30_000;

export interface Reading {
  readonly overMs: number;
  readonly messages: number;
  readonly errors: number;
  readonly crashes: number;
  /** Of the time from the instance being given a message to its end; 0 without messages. */
  readonly p95Ms: number;
}

interface Window {
  readonly since: number;
  messages: number;
  errors: number;
  crashes: number;
  readonly durations: Uint32Array;
}

export class Vitals {
  readonly #now: () => number;
  #present: Window;
  #past: Window | undefined;

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
    this.#present = newWindow(now());
  }

  ended(tookMs: number, failed: boolean): void {
    const window = this.#current();
    window.messages += 1;
    if (failed) window.errors += 1;
    window.durations[bucketOf(tookMs)]! += 1;
  }

  crashed(): void {
    this.#current().crashes += 1;
  }

  read(): Reading {
    const present = this.#current();
    const windows = this.#past === undefined ? [present] : [this.#past, present];
    const sum = (pick: (window: Window) => number) =>
      windows.reduce((total, window) => total + pick(window), 0);
    return {
      overMs: this.#now() - windows[0]!.since,
      messages: sum(({ messages }) => messages),
      errors: sum(({ errors }) => errors),
      crashes: sum(({ crashes }) => crashes),
      p95Ms: p95Of(windows.map(({ durations }) => durations)),
    };
  }

  #current(): Window {
    const now = this.#now();
    const age = now - this.#present.since;
    if (age >= WINDOW_MS) {
      this.#past = age < 2 * WINDOW_MS ? this.#present : undefined;
      this.#present = newWindow(now);
    }
    return this.#present;
  }
}

const newWindow = (since: number): Window => ({
  since,
  messages: 0,
  errors: 0,
  crashes: 0,
  durations: new Uint32Array(SLOTS),
});

/** Several replicas as one. */
export function together(readings: readonly Reading[]): Reading {
  const sum = (pick: (reading: Reading) => number) =>
    readings.reduce((total, reading) => total + pick(reading), 0);
  return {
    overMs: Math.max(0, ...readings.map(({ overMs }) => overMs)),
    messages: sum(({ messages }) => messages),
    errors: sum(({ errors }) => errors),
    crashes: sum(({ crashes }) => crashes),
    p95Ms: Math.max(0, ...readings.map(({ p95Ms }) => p95Ms)),
  };
}
