/**
 * One message on its way to an instance.
 *
 * 1. It ends exactly once; whoever sent it hears of the end at once.
 * 2. A dispatch that was given up by its sender still occupies the instance until the
 *    instance is done with it.
 */
import type { SoloError } from "#base/errors.ts";
import { TO_CELL, type ResponseHead } from "#wire/messages.ts";

export type DispatchKind = "call" | "cast" | "info" | "fetch";

export const FRAME_OF: Readonly<Record<DispatchKind, number>> = {
  call: TO_CELL.call,
  cast: TO_CELL.cast,
  info: TO_CELL.info,
  fetch: TO_CELL.fetch,
};

/** What follows the head of a fetch, in both directions; see exchange.ts. */
export interface DispatchBodies {
  /** Resolves when both bodies are over, also when there never were any. */
  readonly finished: Promise<void>;
  /** The head has arrived. */
  responded(head: ResponseHead): void;
  chunk(bytes: Buffer): void;
  ended(): void;
  broke(error: SoloError): void;
  /** The instance took so many bytes of the request's body; -1: it wants no more. */
  credit(bytes: number): void;
  /** The dispatch has been sent: the request's body may follow. */
  sent(send: (bytes: Uint8Array) => void, credit: (bytes: number) => void): void;
}

export interface Outcome {
  /** JSON text of a call's reply; empty for everything else. */
  reply(json: string): void;
  fail(error: SoloError): void;
}

export class Dispatch {
  readonly kind: DispatchKind;
  /** The handler, for reports: `calls.get`. */
  readonly handler: string;
  /** Its size; the text itself is let go of once the dispatch has ended. */
  readonly chars: number;
  readonly bodies: DispatchBodies | undefined;
  /** Set when the dispatch is given to an instance. */
  id = 0;
  sentAt = 0;
  /** The instance that has it: it is told when the sender gives up. */
  holder: { cancel(dispatch: Dispatch): void } | undefined;
  readonly #outcome: Outcome;
  readonly #over: ((failed: boolean) => void) | undefined;
  readonly #givenUp: (() => void) | undefined;
  #payload: string;
  #timer: NodeJS.Timeout | undefined;
  #settled = false;

  constructor(options: {
    kind: DispatchKind;
    handler: string;
    payload: string;
    outcome: Outcome;
    bodies?: DispatchBodies | undefined;
    /** It has ended: counted for the service's status and limits. */
    over?: ((failed: boolean) => void) | undefined;
    /** Nobody waits for it any more. */
    givenUp?: (() => void) | undefined;
  }) {
    this.kind = options.kind;
    this.handler = options.handler;
    this.#payload = options.payload;
    this.chars = options.payload.length;
    this.bodies = options.bodies;
    this.#over = options.over;
    this.#givenUp = options.givenUp;
    this.#outcome = options.outcome;
  }

  get payload(): string {
    return this.#payload;
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** Runs `late` unless the dispatch has ended within `ms`. */
  expireAfter(ms: number, late: () => void): void {
    this.#timer = setTimeout(late, ms);
  }

  reply(json: string): void {
    if (!this.#settle()) return;
    this.#over?.(false);
    this.#outcome.reply(json);
  }

  fail(error: SoloError): void {
    if (!this.#settle()) return;
    this.#over?.(true);
    this.#outcome.fail(error);
  }

  /** The sender no longer waits, or the message is given up. */
  cancel(error: SoloError): void {
    if (!this.#settled) this.#givenUp?.();
    this.fail(error);
    this.holder?.cancel(this);
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#payload = "";
    clearTimeout(this.#timer);
    return true;
  }
}
