/**
 * A service's log at the rate and size that it may have.
 *
 * 1. What is dropped is counted, and one line says how many.
 * 2. The kept log is measured where it is: what was written since is added until then.
 */
import type { ServiceKey } from "#base/ids.ts";
import type { NewLine, ServiceLogs } from "#events/service-logs.ts";
import { overLimitText, type Killable, type ServiceLimits } from "#kernel/limits/service-limits.ts";
import { counted, NO_RATE, restOf } from "#limits/rate.ts";
import { LOG_LINES_PER_TURN } from "#wire/messages.ts";

/** Of a log that has grown beyond its size so large a part stays, so that it is rarely cut. */
const KEPT_SHARE = 7 / 8;

export interface LimitedLogOptions {
  readonly key: ServiceKey;
  readonly limits: ServiceLimits;
  readonly logs: ServiceLogs;
  readonly now: () => number;
}

export class LimitedLog {
  readonly #options: LimitedLogOptions;
  #rate = NO_RATE;
  /** Since the last line that told of it: beyond the rate, and beyond what one turn may say. */
  #dropped = { perSecond: 0, perTurn: 0 };
  #last: NewLine["instance"] | undefined;
  /** Characters kept when it was last measured; undefined: it never was. */
  #kept: number | undefined;
  /** Written since. */
  #since = 0;
  #measuring: Promise<void> | undefined;
  /** It could not be measured; `isStale` says so until it can. */
  #isAway = false;

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
    this.#dropped.perSecond += 1;
    if (act === "kill") {
      const is = `logged more than ${limits.limits.logLinesPerSecond} lines in a second`;
      instance.overLimit(overLimitText("log_lines_per_second", is));
    }
  }

  /** Lines that the service's own process dropped, since one turn said too many. */
  droppedThere(lines: number, instance: NewLine["instance"]): void {
    this.#last = instance;
    this.#dropped.perTurn += lines;
    const { meter } = this.#options.limits;
    meter.violated("log_lines", LOG_LINES_PER_TURN + lines, LOG_LINES_PER_TURN);
  }

  /** Called now and then: a flood that has ended is told of too. */
  settle(now: number): void {
    this.#readSize();
    if (restOf(this.#rate, now) > 0) return;
    this.#tellDropped();
    this.#options.limits.meter.read("log_lines", 0);
  }

  /** Its size is not known, as of a log that an earlier kernel kept, or is too much. */
  get isStale(): boolean {
    return this.#measuring === undefined && (this.#kept === undefined || this.#isFull);
  }

  /** Measures what is kept, and cuts it when that is too much. */
  async refresh(): Promise<void> {
    this.#isAway = true;
    await (this.#measuring ??= this.#measure().finally(() => (this.#measuring = undefined)));
    this.#isAway = false;
  }

  get #isFull(): boolean {
    return (this.#kept ?? 0) + this.#since > this.#options.limits.limits.logBytes;
  }

  #readSize(): void {
    const { meter } = this.#options.limits;
    meter.read("log", Math.min((this.#kept ?? 0) + this.#since, meter.limitOf("log")));
  }

  #tellDropped(): void {
    const { perSecond, perTurn } = this.#dropped;
    const { logLinesPerSecond } = this.#options.limits.limits;
    this.#dropped = { perSecond: 0, perTurn: 0 };
    this.#tell(perSecond, `${logLinesPerSecond} in a second (limits.log_lines_per_second)`);
    this.#tell(perTurn, `${LOG_LINES_PER_TURN} without an await in between`);
  }

  #tell(dropped: number, most: string): void {
    if (dropped === 0 || this.#last === undefined) return;
    const lines = dropped === 1 ? "1 line was" : `${dropped} lines were`;
    const text = `${lines} dropped: more than ${most}.`;
    this.#pass({ instance: this.#last, level: "warn", text });
  }

  #pass(line: Omit<NewLine, "key">): void {
    const { key, limits, logs } = this.#options;
    limits.meter.read("log_line", line.text.length);
    this.#since += logs.write({ key, ...line }, limits.limits.logLineBytes);
    const isDue = this.#isFull && this.#measuring === undefined && !this.#isAway;
    // What could not be cut now is tried again with the next sample.
    if (isDue) void this.refresh().catch(() => {});
  }

  async #measure(): Promise<void> {
    const { key, limits, logs } = this.#options;
    const maxChars = limits.limits.logBytes;
    const measured = this.#since;
    const keepChars = Math.floor(maxChars * KEPT_SHARE);
    const { hadChars, keptChars } = await logs.trim(key, { maxChars, keepChars });
    this.#kept = keptChars;
    this.#since -= measured;
    if (hadChars > maxChars) limits.meter.violated("log", hadChars);
    this.#readSize();
  }
}
