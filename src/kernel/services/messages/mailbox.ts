/** What waits for an instance, in arrival order and bounded (M4). */
import { SoloError } from "#base/errors.ts";
import type { MailboxPolicy } from "#deploy/limits.ts";
import type { Dispatch } from "#kernel/services/messages/dispatch.ts";

export interface MailboxOptions {
  readonly limit: number;
  readonly policy: MailboxPolicy;
  /** Takes back the oldest one-way message that the instance was given and has not begun. */
  readonly withdraw: (why: SoloError) => boolean;
  /** The policy is `kill` and the mailbox is full. */
  readonly overflow: () => void;
}

/** Whatever the limit on their number, the messages of one service hold so much of the
 *  kernel's memory at most. */
export const MAX_WAITING_CHARS = 32 * 1024 * 1024;

export class Mailbox {
  readonly #options: MailboxOptions;
  #queue: Dispatch[] = [];
  #first = 0;
  #chars = 0;

  constructor(options: MailboxOptions) {
    this.#options = options;
  }

  get length(): number {
    return this.#queue.length - this.#first;
  }

  /** Those that their senders have not given up. */
  get awaited(): number {
    let count = 0;
    for (let at = this.#first; at < this.#queue.length; at += 1) {
      if (!this.#queue[at]!.settled) count += 1;
    }
    return count;
  }

  /** Takes the dispatch, or ends it (or an older cast) as the policy says. `occupied`: how
   *  many messages the instance has already been given. */
  push(dispatch: Dispatch, occupied: number): void {
    const { limit, policy, overflow } = this.#options;
    // Those whose senders gave up take no room; senders mostly give up in order.
    while (this.#queue[this.#first]?.settled) this.#takeFirst();
    if (this.#chars + dispatch.chars > MAX_WAITING_CHARS) return dispatch.fail(heavy());
    if (this.length + occupied >= limit && !(policy === "drop_oldest" && this.#dropOldest())) {
      dispatch.fail(full(limit));
      if (policy === "kill") overflow();
      return;
    }
    this.#chars += dispatch.chars;
    this.#queue.push(dispatch);
  }

  #dropOldest(): boolean {
    const { limit, withdraw } = this.#options;
    if (withdraw(full(limit))) return true;
    const victim = this.#oldestCast();
    victim?.fail(full(limit));
    return victim !== undefined;
  }

  /** Puts back what an instance had been given and had not begun. */
  unshift(dispatches: readonly Dispatch[]): void {
    this.#queue = [...dispatches, ...this.#queue.slice(this.#first)];
    this.#first = 0;
    for (const { chars } of dispatches) this.#chars += chars;
  }

  /** The oldest that still has somebody waiting for it. */
  shift(): Dispatch | undefined {
    let dispatch = this.#takeFirst();
    while (dispatch?.settled) dispatch = this.#takeFirst();
    return dispatch;
  }

  takeAll(): Dispatch[] {
    const taken = this.#queue.slice(this.#first).filter((dispatch) => !dispatch.settled);
    this.#queue = [];
    this.#first = 0;
    this.#chars = 0;
    return taken;
  }

  failAll(error: SoloError): void {
    for (const dispatch of this.takeAll()) dispatch.fail(error);
  }

  #takeFirst(): Dispatch | undefined {
    const dispatch = this.#queue[this.#first];
    if (dispatch === undefined) return undefined;
    this.#chars -= dispatch.chars;
    this.#first += 1;
    // What has been taken is let go of, without moving the rest each time.
    if (this.#first * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#first);
      this.#first = 0;
    }
    return dispatch;
  }

  #oldestCast(): Dispatch | undefined {
    const at = this.#queue.findIndex(
      ({ kind }, index) => index >= this.#first && (kind === "cast" || kind === "info"),
    );
    if (at === -1) return undefined;
    const [oldest] = this.#queue.splice(at, 1);
    this.#chars -= oldest!.chars;
    return oldest;
  }
}

const full = (limit: number): SoloError =>
  new SoloError("mailbox_full", `${limit} messages wait for the service already.`, {
    hint: "Send more slowly, or raise limits.mailbox.",
    retryAfterMs: 100,
  });

const heavy = (): SoloError =>
  new SoloError(
    "mailbox_full",
    `The messages that wait for the service would hold more than ${MAX_WAITING_CHARS} characters.`,
    { hint: "Send more slowly, or send less at once.", retryAfterMs: 100 },
  );
