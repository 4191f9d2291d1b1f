/**
 * What is sent to a replica, until its instance has it.
 *
 * 1. Messages reach the instance in the order in which they were sent.
 * 2. While no instance runs, or the inbox is held, messages wait; their deadlines run on.
 * 3. Every message ends: with a reply, or with an error that says what became of it.
 */
import type { Clock } from "#base/clock.ts";
import type { SoloError } from "#base/errors.ts";
import type { ServiceKey } from "#base/ids.ts";
import type { Limits } from "#deploy/limits.ts";
import type { ServiceBounds } from "#kernel/limits/book.ts";
import type { Killable } from "#kernel/limits/service-limits.ts";
import {
  Dispatch,
  type DispatchBodies,
  type DispatchKind,
  type Outcome,
} from "#kernel/services/messages/dispatch.ts";
import type { Instance } from "#kernel/services/instance/instance.ts";
import { takesMessages, type ServiceState } from "#kernel/services/replica/lifecycle.ts";
import { Mailbox } from "#kernel/services/messages/mailbox.ts";
import type { ReplicaRecord } from "#kernel/services/replica/record.ts";
import { noHandler, notUp, tooLate } from "#kernel/services/messages/refusals.ts";

export interface Message {
  readonly kind: DispatchKind;
  /** `calls.get`, `casts.reset`, `info`, `fetch`. */
  readonly handler: string;
  readonly payload: string;
  readonly outcome: Outcome;
  readonly bodies?: DispatchBodies;
  readonly timeoutMs?: number | undefined;
  /** What the sender wants to be routed by; see router.ts. */
  readonly key?: string | undefined;
}

/** An instance that ends for a message given up longer ago than this ends for another one. */
const GIVEN_UP_MS = 5000;

export interface InboxOptions {
  readonly key: ServiceKey;
  /** Of the revision. */
  readonly limits: Limits;
  /** Of the service: what it may use now. */
  readonly bounds: ServiceBounds;
  readonly record: ReplicaRecord;
  readonly clock: Clock;
  /** Whom the messages are for. */
  readonly receiver: Killable & {
    readonly state: ServiceState;
    readonly instance: Instance | undefined;
  };
  /** A message came for one who sleeps. */
  readonly wake: () => void;
}

export class Inbox {
  readonly #options: InboxOptions;
  readonly #mailbox: Mailbox;
  /** Messages wait although the instance runs. */
  #held = false;
  #lastGivenUp: { readonly waitedMs: number; readonly at: number } | undefined;
  /** Whose the messages are that still come back to this one. */
  #heir: Inbox | undefined;

  constructor(options: InboxOptions) {
    this.#options = options;
    const { limits, receiver } = options;
    this.#mailbox = new Mailbox({
      limit: limits.mailbox,
      policy: limits.mailboxPolicy,
      withdraw: (why) => {
        const oldest = receiver.instance?.oldestWaiting;
        oldest?.cancel(why);
        return oldest !== undefined;
      },
      overflow: () => receiver.overLimit("Its mailbox was full and its policy is kill."),
    });
  }

  /** Nobody waits who was not given to the instance. */
  get isEmpty(): boolean {
    return this.#mailbox.length === 0;
  }

  /** What waits, and what the instance has in hand. */
  get length(): number {
    return this.#mailbox.length + (this.#options.receiver.instance?.openCount ?? 0);
  }

  /** The same without what its senders have given up. */
  get awaited(): number {
    return this.#mailbox.awaited + (this.#options.receiver.instance?.awaitedCount ?? 0);
  }

  get isHeld(): boolean {
    return this.#held;
  }

  /** How long the sender waited that gave up just now, ms. */
  get givenUpAfterMs(): number | undefined {
    const last = this.#lastGivenUp;
    if (last === undefined || this.#now - last.at > GIVEN_UP_MS) return undefined;
    return last.waitedMs;
  }

  send(message: Message): Dispatch {
    const { record, bounds, receiver, wake } = this.#options;
    const { limits } = bounds;
    const { kind, bodies } = message;
    const chars = message.payload.length;
    const sentAt = this.#now;
    record.counts.messages += 1;
    const refusal = this.#refusalOf(message) ?? limits.refusalOf(kind, chars, receiver);
    const dispatch = new Dispatch({
      ...message,
      over: (failed) => {
        if (failed) record.counts.errors += 1;
        if (refusal === undefined && bodies === undefined) limits.left(kind, chars);
      },
      givenUp: () => this.#gaveUp(this.#now - sentAt),
    });
    if (refusal !== undefined) {
      dispatch.fail(refusal);
      return dispatch;
    }
    limits.entered(kind, chars);
    limits.meter.read("mailbox", this.length + 1);
    // The bodies of a request may flow for long after its head was answered.
    void bodies?.finished.then(() => limits.left(kind, chars));
    this.#expireInTime(dispatch, message.timeoutMs);
    this.#pass(dispatch);
    if (receiver.state === "hibernated") wake();
    return dispatch;
  }

  /** From now on messages wait, until `release` or until a successor takes them. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.pump();
  }

  /** Gives the instance what waits, as far as it has room. */
  pump(): void {
    const { instance } = this.#options.receiver;
    if (instance === undefined || this.#held) return;
    while (instance.hasRoom) {
      const dispatch = this.#mailbox.shift();
      if (dispatch === undefined) return;
      instance.dispatch(dispatch);
    }
  }

  /** These were given to an instance that had not begun them. */
  takeBack(dispatches: readonly Dispatch[]): void {
    if (this.#heir !== undefined) return this.#heir.inherit(dispatches);
    this.#mailbox.unshift(dispatches);
  }

  /** What waits there was sent before anything that waits here. */
  takeOver(predecessor: Inbox): void {
    this.#mailbox.unshift(predecessor.#mailbox.takeAll());
    predecessor.#heir = this;
  }

  /** They had not begun when their instance ended, which somebody else's has replaced. */
  inherit(dispatches: readonly Dispatch[]): void {
    if (dispatches.length === 0) return;
    if (this.#heir !== undefined) return this.#heir.inherit(dispatches);
    const { key, record, receiver, wake } = this.#options;
    // The heir may have given up, or have been stopped, since it took over.
    if (!takesMessages(receiver.state)) {
      for (const each of dispatches) each.fail(notUp(key.service, receiver.state, record.heldBack));
      return;
    }
    this.#mailbox.unshift(dispatches);
    this.pump();
    if (receiver.state === "hibernated") wake();
  }

  failAll(error: SoloError): void {
    this.#mailbox.failAll(error);
  }

  #pass(dispatch: Dispatch): void {
    const { receiver, limits } = this.#options;
    const { instance } = receiver;
    const straight =
      !this.#held && instance?.hasRoom && this.isEmpty && instance.openCount < limits.mailbox;
    if (straight) instance.dispatch(dispatch);
    else this.#mailbox.push(dispatch, instance?.openCount ?? 0);
  }

  #expireInTime(dispatch: Dispatch, wishedMs: number | undefined): void {
    if (dispatch.kind !== "call" && dispatch.kind !== "fetch") return;
    const { callTimeoutMs } = this.#options.limits;
    const timeoutMs = Math.min(wishedMs ?? callTimeoutMs, callTimeoutMs);
    dispatch.expireAfter(timeoutMs, () => {
      dispatch.cancel(tooLate(dispatch.handler, timeoutMs));
      this.#gaveUp(timeoutMs);
    });
  }

  #gaveUp(waitedMs: number): void {
    this.#lastGivenUp = { waitedMs: Math.round(waitedMs), at: this.#now };
  }

  get #now(): number {
    return this.#options.clock.now();
  }

  #refusalOf({ kind, handler }: Message): SoloError | undefined {
    const { key, record, receiver } = this.#options;
    if (!takesMessages(receiver.state)) return notUp(key.service, receiver.state, record.heldBack);
    const { handlers } = record;
    // Before the first start there is nothing to check against; the guest refuses then.
    if (handlers === undefined || kind === "info" || handlers.has(handler)) return undefined;
    return noHandler(key.service, handler, handlers);
  }
}
