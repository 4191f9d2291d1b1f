/**
 * `solo.after` and `solo.every`: the kernel keeps the time, the mailbox gets the message.
 *
 * 1. Timers outlive an instance that sleeps: they wake it, also after the kernel's restart.
 * 2. A repeated message is left out while the one before it waits or is handled.
 * 3. All repeated timers together fire at most MAX_PER_SECOND times a second.
 */
import type { Clock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import type { DormantTimer } from "#deploy/dormants.ts";
import type { Dispatch } from "#kernel/services/messages/dispatch.ts";

const MAX_PER_SECOND = 1000;
/** The kernel keeps the message until the time has come. */
const MAX_MESSAGE_CHARS = 16 * 1024;
const MIN_INTERVAL_MS = 10;
const MAX_DELAY_MS = 2 ** 31 - 1;

export interface MessageTimersOptions {
  readonly clock: Clock;
  readonly deliver: (messageJson: string) => Pick<Dispatch, "settled">;
  /** One more; throws when there may be no more. */
  readonly started: () => void;
  readonly ended: () => void;
}

interface Running {
  timer: NodeJS.Timeout;
  /** Monotonic; of a repeated timer, its first time. */
  readonly dueAt: number;
  readonly everyMs: number | undefined;
  readonly json: string;
}

const perSecond = (everyMs: number | undefined): number =>
  everyMs === undefined ? 0 : 1000 / everyMs;

export class MessageTimers {
  #options: MessageTimersOptions;
  readonly #timers = new Map<number, Running>();
  /** How often the repeated ones fire together. */
  #perSecond = 0;
  #last = 0;

  constructor(options: MessageTimersOptions) {
    this.#options = options;
  }

  /** The timers run on for another receiver: the service's next revision. */
  redirect(options: MessageTimersOptions): void {
    this.#options = options;
  }

  start(ms: unknown, repeat: unknown, message: unknown): number {
    const least = repeat === true ? MIN_INTERVAL_MS : 0;
    if (typeof ms !== "number" || !(ms >= least && ms <= MAX_DELAY_MS)) {
      throw new SoloError(
        "invalid_argument",
        `The time must be a number of milliseconds from ${least} to ${MAX_DELAY_MS}.`,
      );
    }
    const json = JSON.stringify(message ?? null);
    if (json.length > MAX_MESSAGE_CHARS) {
      throw new SoloError(
        "payload_too_large",
        `The message has ${json.length} characters of JSON; a timer's has at most ${MAX_MESSAGE_CHARS}.`,
        { hint: "Keep the data in solo.state or solo.kv and send its name." },
      );
    }
    const everyMs = repeat === true ? ms : undefined;
    if (this.#perSecond + perSecond(everyMs) > MAX_PER_SECOND) {
      throw new SoloError(
        "limit_exceeded",
        `The instance's timers would fire more than ${MAX_PER_SECOND} times a second.`,
        { hint: "Use longer intervals, or one timer for several things." },
      );
    }
    this.#options.started();
    const id = (this.#last += 1);
    this.#run(id, ms, everyMs, json);
    return id;
  }

  cancel(id: unknown): void {
    const running = this.#timers.get(id as number);
    if (running === undefined) return;
    clearTimeout(running.timer);
    this.#timers.delete(id as number);
    // Sums of fractions drift; without timers there is no doubt.
    this.#perSecond = this.#timers.size === 0 ? 0 : this.#perSecond - perSecond(running.everyMs);
    this.#options.ended();
  }

  clear(): void {
    for (const id of this.#timers.keys()) this.cancel(id);
  }

  /** What runs now, for the record of a replica that goes to sleep. */
  dormant(): DormantTimer[] {
    const { clock } = this.#options;
    const wallOf = (at: number) => Math.round(clock.wallMs() + at - clock.now());
    return [...this.#timers].map(([id, { dueAt, everyMs, json: message }]) => {
      if (everyMs === undefined) return { id, dueAtMs: wallOf(dueAt), message };
      const times = Math.max(0, Math.ceil((clock.now() - dueAt) / everyMs));
      return { id, dueAtMs: wallOf(dueAt + times * everyMs), everyMs, message };
    });
  }

  /** Goes on after the kernel's restart; what is overdue comes at once, once. */
  revive(timers: readonly DormantTimer[]): void {
    const { clock } = this.#options;
    for (const { id, dueAtMs, everyMs, message } of timers) {
      this.#last = Math.max(this.#last, id);
      const ms = Math.min(MAX_DELAY_MS, Math.max(0, dueAtMs - clock.wallMs()));
      this.#options.started();
      this.#run(id, ms, everyMs, message);
    }
  }

  #run(id: number, ms: number, everyMs: number | undefined, json: string): void {
    const dueAt = this.#options.clock.now() + ms;
    let last: Pick<Dispatch, "settled"> | undefined;
    const again = () => {
      if (last === undefined || last.settled) last = this.#options.deliver(json);
    };
    const first = () => {
      if (everyMs !== undefined) running.timer = setInterval(again, everyMs);
      else this.cancel(id);
      again();
    };
    const running: Running = { timer: setTimeout(first, ms), dueAt, everyMs, json };
    this.#timers.set(id, running);
    this.#perSecond += perSecond(everyMs);
  }
}
