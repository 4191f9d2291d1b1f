/**
 * Answers with a body, on their way to the guest that asked.
 *
 * 1. At most WINDOW_BYTES of a body are on the way that the guest has not taken, whatever
 *    credit it claims.
 * 2. An answer ends once: with its body, or when the guest gives it up or the instance ends;
 *    then its signal fires, and whoever makes the answer stops.
 */
import { SoloError, toSoloError } from "#base/errors.ts";
import { WINDOW_BYTES } from "#kernel/services/messages/exchange.ts";

const CHUNK_BYTES = 64 * 1024;

export interface AnswersOptions {
  readonly answer: (id: number, text: string) => void;
  readonly body: (id: number, bytes: Uint8Array | "") => void;
}

export class Answers {
  readonly #options: AnswersOptions;
  readonly #open = new Map<number, Answer>();
  #ended: SoloError | undefined;

  constructor(options: AnswersOptions) {
    this.#options = options;
  }

  get open(): number {
    return this.#open.size;
  }

  /** For the guest's request `id`. */
  begin(id: number): Answer {
    const answer: Answer = new Answer(id, this.#options, () => {
      if (this.#open.get(id) === answer) this.#open.delete(id);
    });
    // No guest of ours asks twice under one id; one that does gives the first up.
    this.#open.get(id)?.abort(new SoloError("cancelled", "Its id was used again."));
    this.#open.set(id, answer);
    if (this.#ended !== undefined) answer.abort(this.#ended);
    return answer;
  }

  /** What the guest said: bytes it took, or below zero that it wants no more. */
  credit(id: number, bytes: number): void {
    const answer = this.#open.get(id);
    if (bytes < 0) answer?.abort(new SoloError("cancelled", "The service gave its request up."));
    else answer?.credit(bytes);
  }

  /** The instance is gone. */
  end(why: SoloError): void {
    this.#ended = why;
    for (const answer of this.#open.values()) answer.abort(why);
  }
}

export class Answer {
  readonly #id: number;
  readonly #options: AnswersOptions;
  readonly #closed: () => void;
  readonly #abort = new AbortController();
  #room = WINDOW_BYTES;
  #wake: (() => void) | undefined;

  constructor(id: number, options: AnswersOptions, closed: () => void) {
    this.#id = id;
    this.#options = options;
    this.#closed = closed;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  abort(why: SoloError): void {
    this.#closed();
    this.#abort.abort(why);
    this.#wake?.();
  }

  credit(bytes: number): void {
    this.#room = Math.min(WINDOW_BYTES, this.#room + bytes);
    this.#wake?.();
  }

  refuse(error: unknown): void {
    this.#closed();
    this.#options.answer(this.#id, `-${JSON.stringify(toSoloError(error).toBody())}`);
  }

  /** Resolves when the body is out or nobody wants it; a body that breaks off is told as such. */
  async respond(
    head: Readonly<Record<string, unknown>>,
    body: AsyncIterable<Uint8Array> | undefined,
  ): Promise<void> {
    const { answer, body: send } = this.#options;
    // The head before the body: the guest drops pieces of a response it does not know yet.
    answer(this.#id, `+${JSON.stringify({ ...head, body: body !== undefined })}`);
    if (body === undefined) return this.#closed();
    try {
      for await (const bytes of body) {
        if (!(await this.#pass(bytes))) return;
      }
      this.#closed();
      send(this.#id, "");
    } catch (error) {
      if (!this.signal.aborted) this.refuse(error);
    }
  }

  /** False when nobody wants more. */
  async #pass(bytes: Uint8Array): Promise<boolean> {
    for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
      const piece = bytes.subarray(start, start + CHUNK_BYTES);
      while (this.#room < piece.length && !this.signal.aborted) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
      if (this.signal.aborted) return false;
      this.#room -= piece.length;
      this.#options.body(this.#id, piece);
    }
    return !this.signal.aborted;
  }
}
