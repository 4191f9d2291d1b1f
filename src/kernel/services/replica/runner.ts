/**
 * What a replica's supervisor supervises: the instance that runs now, or the sleep between
 * two instances.
 *
 * 1. An instance whose cell died through no fault of its own is replaced here, at once and
 *    without counting against the restart intensity; every other end is the supervisor's.
 * 2. Sleep is no end: who is asleep has no instance and waits for `wake`. A wake that fails
 *    is an end like any other.
 */
import type { Child, ExitReason, StopOptions } from "#supervisor/child.ts";
import type { Instance } from "#kernel/services/instance/instance.ts";
import { InstanceCrash } from "#kernel/services/instance/outcomes.ts";

/** So many innocent ends in a row are a problem of the host, which the supervisor must see. */
const MAX_INNOCENT = 5;
/** After a life of so long, earlier ends say nothing any more. */
const CALM_MS = 10_000;

export interface RunnerOptions {
  readonly start: (signal: AbortSignal) => Promise<Instance>;
  /** The instance that runs has changed; undefined while there is none. */
  readonly current: (instance: Instance | undefined) => void;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Its cell ended, and nothing says that it was the cause; another instance is started. */
  readonly learn: (crash: InstanceCrash) => void;
  /** And one that had been up. */
  readonly relocated: (crash: InstanceCrash) => void;
  readonly stop: (instance: Instance, options: StopOptions) => Promise<void>;
  /** Its turn to wake has come; resolves with how to give the turn back. */
  readonly turn: () => Promise<() => void>;
  readonly wakeFailed: () => void;
}

export class Runner implements Child {
  readonly exited: Promise<ExitReason>;
  readonly #options: RunnerOptions;
  readonly #abort = new AbortController();
  /** Undefined while it sleeps. */
  #instance: Instance | undefined;
  #call = Promise.withResolvers<void>();

  private constructor(options: RunnerOptions, instance: Instance | undefined) {
    this.#options = options;
    this.#instance = instance;
    if (instance !== undefined) options.current(instance);
    this.exited = this.#run();
  }

  static async start(options: RunnerOptions, signal: AbortSignal): Promise<Runner> {
    return new Runner(options, await startOnLivingCell(options, signal));
  }

  static asleep(options: RunnerOptions): Runner {
    return new Runner(options, undefined);
  }

  /** The instance goes, and the runner waits for `wake`. */
  sleep(): void {
    const instance = this.#instance;
    this.#call = Promise.withResolvers();
    this.#instance = undefined;
    instance?.kill();
  }

  wake(): void {
    this.#call.resolve();
  }

  async stop(options: StopOptions): Promise<void> {
    this.#abort.abort();
    this.wake();
    if (this.#instance !== undefined) await this.#options.stop(this.#instance, options);
  }

  kill(): void {
    this.#abort.abort();
    this.wake();
    this.#instance?.kill();
  }

  async #run(): Promise<ExitReason> {
    for (let innocent = 0; ; innocent += 1) {
      const ended = this.#instance === undefined ? await this.#woken() : undefined;
      if (ended !== undefined) {
        // A wake that failed is tried again, with the timers of the sleep.
        if (ended.kind === "shutdown") this.#options.current(undefined);
        return ended;
      }
      const startedAt = this.#options.now();
      // Not held in a variable here: who sleeps for a year must not hold on to it for so long.
      const reason = await this.#instance!.exited;
      if (this.#instance === undefined) continue;
      if (this.#options.now() - startedAt > CALM_MS) innocent = 0;
      this.#options.current(undefined);
      const crash = reason.kind === "crashed" ? reason.error : undefined;
      const relocate = crash instanceof InstanceCrash && crash.innocent && innocent < MAX_INNOCENT;
      if (!relocate || this.#abort.signal.aborted) return reason;
      this.#options.learn(crash);
      this.#options.relocated(crash);
      try {
        this.#begin(await startOnLivingCell(this.#options, this.#abort.signal));
      } catch (error) {
        return { kind: "crashed", error };
      }
    }
  }

  /** Sleeps until it is woken; the reason when that was the end. */
  async #woken(): Promise<ExitReason | undefined> {
    await this.#call.promise;
    if (this.#abort.signal.aborted) return { kind: "shutdown" };
    const leave = await this.#options.turn();
    try {
      if (this.#abort.signal.aborted) return { kind: "shutdown" };
      this.#begin(await startOnLivingCell(this.#options, this.#abort.signal));
      return undefined;
    } catch (error) {
      if (this.#abort.signal.aborted) return { kind: "shutdown" };
      this.#options.wakeFailed();
      return { kind: "crashed", error };
    } finally {
      leave();
    }
  }

  #begin(instance: Instance): void {
    this.#instance = instance;
    // The end was asked for just when the new one was up.
    if (this.#abort.signal.aborted) instance.kill();
    else this.#options.current(instance);
  }
}

/** A cell that dies while the instance starts on it is nobody's crash while nobody is named: the
 *  start is tried again, as its end has taught. */
async function startOnLivingCell(options: RunnerOptions, signal: AbortSignal): Promise<Instance> {
  for (let innocent = 0; ; innocent += 1) {
    try {
      return await options.start(signal);
    } catch (error) {
      const again = error instanceof InstanceCrash && error.innocent && innocent < MAX_INNOCENT;
      if (!again || signal.aborted) throw error;
      options.learn(error);
    }
  }
}
