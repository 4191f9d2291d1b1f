/**
 * Watches the kernel's own runtime and host (K4), and sheds new deploys before they fail.
 *
 * 1. Each pressure is one `runtime_pressure_high` event when it begins.
 * 2. While any lasts, new deploys are refused with `overloaded`; what runs goes on.
 * 3. A reading that the machine does not give is left out, not guessed.
 */
import { readdir, readFile, statfs } from "node:fs/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import { pause } from "#base/deadline.ts";
import { SoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { EventLog } from "#events/event-log.ts";
import {
  decidePressure,
  highOf,
  type Pressure,
  type PressureState,
  type Readings,
  type Thresholds,
  type Watched,
} from "#kernel/pressure.ts";

const SAMPLE_MS = 1000;
const LOOP_RESOLUTION_MS = 10;
const RETRY_AFTER_MS = 2000;
const MIB = 1024 * 1024;
const NS_PER_MS = 1e6;

export interface RuntimeMonitorOptions {
  readonly events: EventLog;
  readonly log: Logger;
  readonly dataDir: string;
  readonly thresholds: Thresholds;
  readonly cells: () => number;
  readonly instances: () => number;
  /** How the machine is read, instead of really. */
  readonly read?: () => Promise<Readings>;
}

export class RuntimeMonitor {
  readonly #options: RuntimeMonitorOptions;
  readonly #delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  #state: PressureState = {};
  #readings: Readings | undefined;

  constructor(options: RuntimeMonitorOptions) {
    this.#options = options;
  }

  /** What is high now. */
  get high(): readonly Watched[] {
    return highOf(this.#state);
  }

  /** As last sampled; undefined before the first sample. */
  get readings(): Readings | undefined {
    return this.#readings;
  }

  /** Why nothing new is taken now, if so. */
  refusal(): SoloError | undefined {
    const { high } = this;
    if (high.length === 0) return undefined;
    return new SoloError("overloaded", `The kernel is under pressure: ${high.join(", ")}.`, {
      hint: "What runs goes on. Try again later, or kill services that are no longer needed.",
      retryAfterMs: RETRY_AFTER_MS,
    });
  }

  /** Samples until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    this.#delay.enable();
    try {
      while (!signal.aborted) {
        await pause(SAMPLE_MS, signal);
        if (!signal.aborted) await this.sample();
      }
    } finally {
      this.#delay.disable();
      this.#state = {};
    }
  }

  async sample(): Promise<void> {
    const { events, log, thresholds, read = () => this.#read() } = this.#options;
    this.#readings = await read();
    const { state, began, ended } = decidePressure(this.#state, this.#readings, thresholds);
    this.#state = state;
    for (const pressure of began) {
      log.warn("the kernel is under pressure", { ...pressure });
      events.emit({ type: "runtime_pressure_high", payload: rounded(pressure) });
    }
    for (const what of ended) log.info("pressure has passed", { what });
  }

  async #read(): Promise<Readings> {
    const { dataDir, cells, instances } = this.#options;
    const heap = getHeapStatistics();
    const loopDelay = this.#delay.count > 0 ? this.#delay.percentile(99) / NS_PER_MS : 0;
    this.#delay.reset();
    const [descriptors, disk] = await Promise.all([descriptorsPercent(), freeOn(dataDir)]);
    return {
      heap_percent: (100 * heap.used_heap_size) / heap.heap_size_limit,
      // The histogram holds the timer's whole interval.
      loop_delay_ms: Math.max(0, loopDelay - LOOP_RESOLUTION_MS),
      descriptors_percent: descriptors,
      cells: cells(),
      instances: instances(),
      disk_free_mb: disk,
      memory_free_mb: process.availableMemory() / MIB,
    };
  }
}

const rounded = ({ what, value, threshold }: Pressure) => ({
  what,
  value: Math.round(value * 10) / 10,
  threshold,
});

/** Undefined where there is no /proc. */
async function descriptorsPercent(): Promise<number | undefined> {
  try {
    const [open, limits] = await Promise.all([
      readdir("/proc/self/fd"),
      readFile("/proc/self/limits", "utf8"),
    ]);
    const limit = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1]);
    return Number.isFinite(limit) ? (100 * open.length) / limit : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined where it cannot be told. */
async function freeOn(directory: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(directory);
    return (bavail * bsize) / MIB;
  } catch {
    return undefined;
  }
}
