/** `solo.after` and `solo.every`: the kernel keeps the time, the mailbox gets the message. */
import { SoloError } from "#base/errors.ts";

const MAX_TIMERS = 1000;
/** The kernel keeps the message until the time has come. */
const MAX_MESSAGE_CHARS = 16 * 1024;
const MIN_INTERVAL_MS = 10;
const MAX_DELAY_MS = 2 ** 31 - 1;

export class MessageTimers {
  #deliver: (messageJson: string) => void;
  readonly #timers = new Map<number, NodeJS.Timeout>();
  #last = 0;

  constructor(deliver: (messageJson: string) => void) {
    this.#deliver = deliver;
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
    const timer =
      repeat === true
        ? setInterval(() => this.#deliver(json), ms)
        : setTimeout(() => {
            this.#timers.delete(id);
            this.#deliver(json);
          }, ms);
    this.#timers.set(id, timer);
    return id;
  }

  cancel(id: unknown): void {
    clearTimeout(this.#timers.get(id as number));
    this.#timers.delete(id as number);
  }

  clear(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
