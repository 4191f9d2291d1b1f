/**
 * A service's log at the rate and size that it may have.
 *
 * 1. What is dropped is counted, and one line says how many.
 */
import type { ServiceKey } from "#base/ids.ts";
import type { NewLine, ServiceLogs } from "#events/service-logs.ts";
import { overLimitText, type Killable, type ServiceLimits } from "#kernel/limits/service-limits.ts";
import { counted, NO_RATE, restOf } from "#limits/rate.ts";

/** The kept log is cut after so large a part of its size was written. */
const TRIM_SHARE = 8;

export interface LimitedLogOptions {
  readonly key: ServiceKey;
  readonly limits: ServiceLimits;
  readonly logs: ServiceLogs;
  readonly now: () => number;
}

export class LimitedLog {
  readonly #options: LimitedLogOptions;
  #rate = NO_RATE;
  #dropped = 0;
  #last: NewLine["instance"] | undefined;
  #untrimmed = 0;

  constructor(options: LimitedLogOptions) {
    this.#options = options;
  }

  write(line: Omit<NewLine, "key">, instance: Killable): void {
    const { limits, now } = this.#options;
    const at = now();
    if (restOf(this.#rate, at) === 0) this.#tellDropped();
    this.#rate = counted(this.#rate, at);
    this.#last = line.instance;
    const act = limits.meter.read("log_lines", this.#rate.count);
    if (act === undefined) return this.#pass(line);
    this.#dropped += 1;
    const { logLinesPerSecond } = limits.limits;
    if (act === "kill") {
      const is = `logged more than ${logLinesPerSecond} lines in a second`;
      instance.overLimit(overLimitText("log_lines_per_second", is));
    }
  }

  /** Called now and then: a flood that has ended is told of too. */
  settle(now: number): void {
    if (restOf(this.#rate, now) > 0) return;
    this.#tellDropped();
    this.#options.limits.meter.read("log_lines", 0);
  }

  #tellDropped(): void {
    if (this.#dropped === 0 || this.#last === undefined) return;
    const { logLinesPerSecond } = this.#options.limits.limits;
    const lines = this.#dropped === 1 ? "1 line was" : `${this.#dropped} lines were`;
    this.#dropped = 0;
    const text = `${lines} dropped: more than ${logLinesPerSecond} in a second (limits.log_lines_per_second).`;
    this.#pass({ instance: this.#last, level: "warn", text });
  }

  #pass(line: Omit<NewLine, "key">): void {
    const { key, limits, logs } = this.#options;
    const { logLineBytes, logBytes } = limits.limits;
    const written = logs.write({ key, ...line }, logLineBytes);
    this.#untrimmed += written;
    if (this.#untrimmed * TRIM_SHARE < logBytes) return;
    this.#untrimmed = 0;
    logs.trim(key, logBytes);
  }
}
