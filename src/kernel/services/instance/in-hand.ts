/**
 * The messages that an instance has in hand, and the responses whose bodies still flow.
 *
 * 1. Each message leaves once: it is closed, or handed back because it had not begun.
 * 2. What the cell names and is not in hand is ignored.
 */
import { SoloError } from "#base/errors.ts";
import type { Dispatch } from "#kernel/services/messages/dispatch.ts";
import { outcomeOf } from "#kernel/services/instance/outcomes.ts";
import type { Down } from "#wire/messages.ts";

/** Messages that an instance may be given ahead of the one it handles. */
const WINDOW = 64;
/** One more is given while what it has been given holds less than this. */
const WINDOW_CHARS = 8 * 1024 * 1024;

export class InHand {
  readonly #open = new Map<number, Dispatch>();
  /** Fetches whose head is out and whose bodies still flow. */
  readonly #streaming = new Map<number, Dispatch>();
  #chars = 0;
  #lastId = 0;
  #headway: PromiseWithResolvers<void> | undefined;

  get count(): number {
    return this.#open.size;
  }

  /** Somebody still waits for these, or nobody ever did: what is not given up. */
  get awaited(): number {
    let count = 0;
    for (const { settled } of this.#open.values()) if (!settled) count += 1;
    return count;
  }

  /** What is not a request for a response. */
  get messages(): number {
    let count = 0;
    for (const { kind } of this.#open.values()) if (kind !== "fetch") count += 1;
    return count;
  }

  get hasRoom(): boolean {
    return this.#open.size < WINDOW && this.#chars < WINDOW_CHARS;
  }

  /** Nothing at all, not even the rest of a response. */
  get isEmpty(): boolean {
    return this.#open.size === 0 && this.#streaming.size === 0;
  }

  /** The oldest one-way message that waits behind the one that is handled. */
  get oldestWaiting(): Dispatch | undefined {
    const [, ...waiting] = this.#open.values();
    return waiting.find(({ kind, settled }) => !settled && (kind === "cast" || kind === "info"));
  }

  /** Gives the dispatch its id. */
  take(dispatch: Dispatch): number {
    const id = (this.#lastId = (this.#lastId % 0xffff_fff0) + 1);
    dispatch.id = id;
    this.#open.set(id, dispatch);
    this.#chars += dispatch.chars;
    return id;
  }

  find(id: number): Dispatch | undefined {
    return this.#open.get(id);
  }

  /** It is the one that is handled. */
  isFirst(id: number): boolean {
    const [first] = this.#open.keys();
    return id === first;
  }

  /** Whether the instance must be told that nobody waits for it any more. */
  giveUp(dispatch: Dispatch): boolean {
    return this.#open.has(dispatch.id) || this.#streaming.delete(dispatch.id);
  }

  /** False when it was closed before. */
  close(id: number, { chars }: Dispatch): boolean {
    if (!this.#open.delete(id)) return false;
    this.#chars -= chars;
    return true;
  }

  /** The head of its response is here: a body may follow. */
  beginBody(id: number, dispatch: Dispatch): void {
    this.#streaming.set(id, dispatch);
  }

  /** No body follows, or nobody is to hear of it. */
  dropBody(id: number): void {
    this.#streaming.delete(id);
  }

  /** An empty chunk is the end. */
  body(id: number, chunk: Buffer): void {
    const dispatch = this.#streaming.get(id);
    if (chunk.length > 0) return dispatch?.bodies?.chunk(Buffer.from(chunk));
    this.dropBody(id);
    this.tellHeadway();
    dispatch?.bodies?.ended();
  }

  bodyFailed(id: number): void {
    this.#streaming
      .get(id)
      ?.bodies?.broke(new SoloError("service_error", "The service's response broke off."));
    this.dropBody(id);
    this.tellHeadway();
  }

  credit(id: number, bytes: number): void {
    (this.#open.get(id) ?? this.#streaming.get(id))?.bodies?.credit(bytes);
  }

  /** Resolves at the next `tellHeadway`. */
  headway(): Promise<void> {
    this.#headway ??= Promise.withResolvers();
    return this.#headway.promise;
  }

  /** Something in hand has ended. */
  tellHeadway(): void {
    this.#headway?.resolve();
    this.#headway = undefined;
  }

  /** The instance is gone: gives everything an outcome, except what had not begun (`back`).
   *  `cutOff`: what the readers of responses hear. */
  end(report: Down, cutOff: SoloError): { back: Dispatch[]; handlers: string[] } {
    const unstarted = new Set(report.unstarted);
    const back: Dispatch[] = [];
    const handlers: string[] = [];
    for (const [id, dispatch] of this.#open) {
      if (unstarted.has(id) || isAfter(id, report.seen)) {
        dispatch.holder = undefined;
        back.push(dispatch);
      } else {
        handlers.push(dispatch.handler);
        dispatch.fail(outcomeOf(report, id));
      }
    }
    this.#open.clear();
    for (const { bodies } of this.#streaming.values()) bodies?.broke(cutOff);
    this.#streaming.clear();
    return { back, handlers };
  }
}

/** Ids come in order and begin again at 1. */
const isAfter = (id: number, seen: number | undefined): boolean =>
  seen !== undefined && id !== seen && (id - seen) >>> 0 < 2 ** 31;
