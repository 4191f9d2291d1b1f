/** What waits for an instance, in arrival order and bounded (M4). */
import { SoloError } from "#base/errors.ts";
import type { MailboxPolicy } from "#deploy/spec.ts";
import type { Dispatch } from "#kernel/services/dispatch.ts";

export interface MailboxOptions {
  readonly limit: number;
  readonly policy: MailboxPolicy;
  /** Takes back the oldest one-way message that the instance was given and has not begun. */
  readonly withdraw: (why: SoloError) => boolean;
  /** The policy is `kill` and the mailbox is full. */
  readonly overflow: () => void;
}

export class Mailbox {
  readonly #options: MailboxOptions;
  #queue: Dispatch[] = [];
  #first = 0;

  constructor(options: MailboxOptions) {
    this.#options = options;
  }

  get length(): number {
    return this.#queue.length - this.#first;
  }

  /** Takes the dispatch, or ends it (or an older cast) as the policy says. `occupied`: how
   *  many messages the instance has already been given. */
  push(dispatch: Dispatch, occupied: number): void {
    const { limit, policy, overflow } = this.#options;
    if (this.length + occupied >= limit && !(policy === "drop_oldest" && this.#dropOldest())) {
      dispatch.fail(full(limit));
      if (policy === "kill") overflow();
      return;
    }
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
  }

  /** The oldest that still has somebody waiting for it. */
  shift(): Dispatch | undefined {
    while (this.#first < this.#queue.length) {
      const dispatch = this.#queue[this.#first]!;
      this.#first += 1;
      if (this.#first > 1024 && this.#first * 2 > this.#queue.length) {
        this.#queue = this.#queue.slice(this.#first);
        this.#first = 0;
      }
      if (!dispatch.settled) return dispatch;
    }
    return undefined;
  }

  takeAll(): Dispatch[] {
    const taken = this.#queue.slice(this.#first).filter((dispatch) => !dispatch.settled);
    this.#queue = [];
    this.#first = 0;
    return taken;
  }

  failAll(error: SoloError): void {
    for (const dispatch of this.takeAll()) dispatch.fail(error);
  }

  #oldestCast(): Dispatch | undefined {
    const at = this.#queue.findIndex(
      ({ kind }, index) => index >= this.#first && (kind === "cast" || kind === "info"),
    );
    return at === -1 ? undefined : this.#queue.splice(at, 1)[0];
  }
}

const full = (limit: number): SoloError =>
  new SoloError("mailbox_full", `${limit} messages wait for the service already.`, {
    hint: "Send more slowly, or raise limits.mailbox.",
    retryAfterMs: 100,
  });
