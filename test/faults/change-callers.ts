/**
 * Callers of one service that add and never rest, and what they hold against its answers.
 *
 * 1. Of one caller's messages none is handled before an earlier one, and no state gives a number
 *    twice: it would have gone back behind what was acknowledged.
 * 2. Every call ends with a reply or with an error that says what became of it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { SoloError } from "#base/errors.ts";
import { until } from "../support/until.ts";

const CALLERS = 3;
/** What was asked for may have been done. */
const UNKNOWN: readonly string[] = [
  "outcome_unknown",
  "service_crashed",
  "deadline_exceeded",
  "unavailable",
];
/** It was not. */
const REFUSED: readonly string[] = [
  "service_not_running",
  "service_quarantined",
  "overloaded",
  "shutting_down",
  "cancelled",
];

/** The answer to `add`. */
export interface Added {
  /** The state's own. */
  readonly id: string;
  readonly n: number;
  /** The caller's last message before this one, as the state knows it. */
  readonly before: number;
}

export interface CallersOptions {
  /** `caller`: its key, too; `at`: the number of its message. */
  readonly add: (caller: string, at: number) => Promise<Added>;
  /** A state may lose what it had not stored. */
  readonly mayGoBack: boolean;
}

export class Callers {
  acknowledged = 0;
  unknown = 0;
  readonly problems: string[] = [];
  readonly #options: CallersOptions;
  /** By state, the numbers that it gave. */
  readonly #given = new Map<string, Set<number>>();
  readonly #all: Promise<unknown>;
  #busy = 0;
  #pauses = 0;
  #isOver = false;

  constructor(options: CallersOptions) {
    this.#options = options;
    this.#all = Promise.all(Array.from({ length: CALLERS }, (_, at) => this.#call(`key-${at}`)));
  }

  /** Nobody calls while `act` runs. */
  async resting<T>(act: () => Promise<T>): Promise<T> {
    this.#pauses += 1;
    try {
      await until(() => this.#busy === 0, "callers to rest");
      return await act();
    } finally {
      this.#pauses -= 1;
    }
  }

  /** Resolves when the last call has ended. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#all;
  }

  async #call(caller: string): Promise<void> {
    for (let at = 1; !this.#isOver;) {
      if (this.#pauses === 0) {
        this.#busy += 1;
        await this.#add(caller, at);
        this.#busy -= 1;
        at += 1;
      }
      await sleep(Math.random() < 0.02 ? 250 : Math.random() * 4);
    }
  }

  async #add(caller: string, at: number): Promise<void> {
    try {
      const added = await this.#options.add(caller, at);
      this.acknowledged += 1;
      if (!this.#options.mayGoBack) this.#check(caller, at, added);
    } catch (error) {
      const { code, message } = error as SoloError;
      if (UNKNOWN.includes(code)) this.unknown += 1;
      else if (!REFUSED.includes(code)) this.problems.push(`a caller heard ${code}: ${message}`);
    }
  }

  #check(caller: string, at: number, { id, n, before }: Added): void {
    const given = this.#given.get(id) ?? new Set();
    this.#given.set(id, given);
    if (given.has(n)) this.problems.push(`the state ${id} gave ${n} twice`);
    if (before >= at) this.problems.push(`${caller}: ${at} was handled after ${before}`);
    given.add(n);
  }
}
