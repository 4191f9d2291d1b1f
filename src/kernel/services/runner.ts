/**
 * What a service's supervisor supervises: the instance that runs now.
 *
 * 1. An instance whose cell died through no fault of its own is replaced here, at once and
 *    without counting against the restart intensity; every other end is the supervisor's.
 */
import type { Child, ExitReason, StopOptions } from "#supervisor/child.ts";
import type { Instance } from "#kernel/services/instance.ts";
import { InstanceCrash } from "#kernel/services/outcomes.ts";

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
  readonly relocated: (crash: InstanceCrash) => void;
  readonly stop: (instance: Instance, options: StopOptions) => Promise<void>;
}

export class Runner implements Child {
  readonly exited: Promise<ExitReason>;
  readonly #options: RunnerOptions;
  readonly #abort = new AbortController();
  #instance: Instance;

  private constructor(options: RunnerOptions, instance: Instance) {
    this.#options = options;
    this.#instance = instance;
    options.current(instance);
    this.exited = this.#run();
  }

  static async start(options: RunnerOptions, signal: AbortSignal): Promise<Runner> {
    return new Runner(options, await startOnLivingCell(options, signal));
  }

  stop(options: StopOptions): Promise<void> {
    this.#abort.abort();
    return this.#options.stop(this.#instance, options);
  }

  kill(): void {
    this.#abort.abort();
    this.#instance.kill();
  }

  async #run(): Promise<ExitReason> {
    for (let innocent = 0; ; innocent += 1) {
      const startedAt = this.#options.now();
      const reason = await this.#instance.exited;
      if (this.#options.now() - startedAt > CALM_MS) innocent = 0;
      this.#options.current(undefined);
      const crash = reason.kind === "crashed" ? reason.error : undefined;
      const relocate = crash instanceof InstanceCrash && crash.innocent && innocent < MAX_INNOCENT;
      if (!relocate || this.#abort.signal.aborted) return reason;
      this.#options.relocated(crash);
      try {
        this.#instance = await startOnLivingCell(this.#options, this.#abort.signal);
        // The end was asked for just when the new one was up.
        if (this.#abort.signal.aborted) this.#instance.kill();
        else this.#options.current(this.#instance);
      } catch (error) {
        return { kind: "crashed", error };
      }
    }
  }
}

/** A cell that dies before the instance is on it says nothing about the instance. */
async function startOnLivingCell(options: RunnerOptions, signal: AbortSignal): Promise<Instance> {
  for (let innocent = 0; ; innocent += 1) {
    try {
      return await options.start(signal);
    } catch (error) {
      const again = error instanceof InstanceCrash && error.innocent && innocent < MAX_INNOCENT;
      if (!again || signal.aborted) throw error;
    }
  }
}
