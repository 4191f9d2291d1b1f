/**
 * `solo.after` and `solo.every`: the kernel keeps the time, the mailbox gets the message.
 *
 * 1. Timers outlive an instance that sleeps: they wake it, also after the kernel's restart.
 */
import type { Clock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import type { DormantTimer } from "#deploy/dormants.ts";

const MAX_TIMERS = 1000;
/** The kernel keeps the message until the time has come. */
const MAX_MESSAGE_CHARS = 16 * 1024;
const MIN_INTERVAL_MS = 10;
const MAX_DELAY_MS = 2 ** 31 - 1;

interface Running {
  timer: NodeJS.Timeout;
  /** Monotonic; of a repeated timer, its first time. */
  readonly dueAt: number;
  readonly everyMs: number | undefined;
  readonly json: string;
}

export class MessageTimers {
  readonly #clock: Clock;
  #deliver: (messageJson: string) => void;
  readonly #timers = new Map<number, Running>();
  #last = 0;

  constructor(options: { clock: Clock; deliver: (messageJson: string) => void }) {
    this.#clock = options.clock;
    this.#deliver = options.deliver;
  }

  /** The timers run on for another receiver: the service's next revision. */
  redirect(deliver: (messageJson: string) => void): void {
    this.#deliver = deliver;
  }

  start(ms: unknown, repeat: unknown, message: unknown): number {
    const least = repeat === true ? MIN_INTERVAL_MS : 0;
    if (typeof ms !== "number" || !(ms >= least && ms <= MAX_DELAY_MS)) {
      throw new SoloError(
        "invalid_argument",
        `The time must be a number of milliseconds from ${least} to ${MAX_DELAY_MS}.`,
      );
    }
    if (this.#timers.size >= MAX_TIMERS) {
      throw new SoloError("limit_exceeded", `The service has ${MAX_TIMERS} timers already.`, {
        hint: "Cancel timers you no longer need.",
      });
    }
    const json = JSON.stringify(message ?? null);
    if (json.length > MAX_MESSAGE_CHARS) {
      throw new SoloError(
        "payload_too_large",
        `The message has ${json.length} characters of JSON; a timer's has at most ${MAX_MESSAGE_CHARS}.`,
        { hint: "Keep the data in solo.state or solo.kv and send its name." },
      );
    }
    const id = (this.#last += 1);
    this.#run(id, ms, repeat === true ? ms : undefined, json);
    return id;
  }

  cancel(id: unknown): void {
    clearTimeout(this.#timers.get(id as number)?.timer);
    this.#timers.delete(id as number);
  }

  clear(): void {
    for (const { timer } of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  /** What runs now, for the record of a replica that goes to sleep. */
  dormant(): DormantTimer[] {
    const wallOf = (at: number) => Math.round(this.#clock.wallMs() + at - this.#clock.now());
    return [...this.#timers].map(([id, { dueAt, everyMs, json: message }]) => {
      if (everyMs === undefined) return { id, dueAtMs: wallOf(dueAt), message };
      const times = Math.max(0, Math.ceil((this.#clock.now() - dueAt) / everyMs));
      return { id, dueAtMs: wallOf(dueAt + times * everyMs), everyMs, message };
    });
  }

  /** Goes on after the kernel's restart; what is overdue comes at once, once. */
  revive(timers: readonly DormantTimer[]): void {
    for (const { id, dueAtMs, everyMs, message } of timers) {
      this.#last = Math.max(this.#last, id);
      const ms = Math.min(MAX_DELAY_MS, Math.max(0, dueAtMs - this.#clock.wallMs()));
      this.#run(id, ms, everyMs, message);
    }
  }

  #run(id: number, ms: number, everyMs: number | undefined, json: string): void {
    const dueAt = this.#clock.now() + ms;
    const first = () => {
      if (everyMs === undefined) this.#timers.delete(id);
      else running.timer = setInterval(() => this.#deliver(json), everyMs);
      this.#deliver(json);
    };
    const running: Running = { timer: setTimeout(first, ms), dueAt, everyMs, json };
    this.#timers.set(id, running);
  }
}
