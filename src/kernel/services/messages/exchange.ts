/**
 * The two bodies of one HTTP request to a service.
 *
 * 1. Each direction has at most WINDOW_BYTES on the way that the reader has not taken.
 * 2. When either end dies the other hears of it at once.
 * 3. Once the response is complete, the rest of the request is no longer wanted.
 */
import { SoloError } from "#base/errors.ts";
import { Pieces } from "#base/pieces.ts";
import type { IngressResponse } from "#api/kernel-port.ts";
import type { DispatchBodies } from "#kernel/services/messages/dispatch.ts";
import type { ResponseHead } from "#wire/messages.ts";

export const WINDOW_BYTES = 256 * 1024;
const CHUNK_BYTES = 64 * 1024;
/** A cell that sends so much beyond its window does not keep to the protocol. */
const FLOOD_BYTES = 16 * WINDOW_BYTES;

export class Exchange implements DispatchBodies {
  readonly #requestBody: AsyncIterable<Uint8Array> | undefined;
  /** Ends what the instance still does for this request. */
  readonly #abort: () => void;
  readonly #over: () => void;
  readonly finished: Promise<void>;
  readonly #response = Promise.withResolvers<IngressResponse>();
  /** Of the response, what its reader has not taken. */
  readonly #queue = new Pieces();
  #ended = false;
  #broken: SoloError | undefined;
  #wakeReader: (() => void) | undefined;
  #sendCredit: (bytes: number) => void = () => {};
  #room = WINDOW_BYTES;
  #wakeSender: (() => void) | undefined;
  #unwanted = false;

  constructor(options: {
    body: AsyncIterable<Uint8Array> | undefined;
    abort: () => void;
    /** Fires when the client is gone; listened to until the exchange is over. */
    signal?: AbortSignal;
  }) {
    const { body, abort, signal } = options;
    this.#requestBody = body;
    this.#abort = abort;
    const gone = () => {
      abort();
      // Whoever waits for more of the response waits in vain.
      this.broke(new SoloError("cancelled", "The caller is gone."));
      this.#over();
    };
    const finished = Promise.withResolvers<void>();
    this.finished = finished.promise;
    this.#over = () => {
      signal?.removeEventListener("abort", gone);
      finished.resolve();
    };
    signal?.addEventListener("abort", gone, { once: true });
    if (signal?.aborted === true) queueMicrotask(gone);
    this.#response.promise.catch(() => {});
  }

  /** Resolves with the head; the body follows in it. */
  get response(): Promise<IngressResponse> {
    return this.#response.promise;
  }

  /** Nothing more of it reaches anybody, not even what has come already. */
  fail(error: SoloError): void {
    this.#queue.clear();
    this.#over();
    this.#response.reject(error);
    this.broke(error);
  }

  sent(send: (bytes: Uint8Array) => void, credit: (bytes: number) => void): void {
    this.#sendCredit = credit;
    if (this.#requestBody !== undefined) void this.#upload(this.#requestBody, send);
  }

  responded(head: ResponseHead): void {
    const { status, headers, body } = head;
    if (!Number.isInteger(status) || status < 200 || status > 599) {
      this.fail(new SoloError("service_error", "The service answered with an impossible status."));
      return this.#abort();
    }
    this.#response.resolve({ status, headers, body: body ? this.#download() : undefined });
    if (body) return;
    this.#over();
    this.#stopUpload();
  }

  chunk(bytes: Buffer): void {
    if (this.#broken !== undefined) return;
    this.#queue.add(bytes);
    if (this.#queue.bytes > FLOOD_BYTES) {
      this.broke(new SoloError("service_error", "The service's response ignored its window."));
      this.#abort();
    }
    this.#wakeReader?.();
  }

  ended(): void {
    this.#ended = true;
    this.#stopUpload();
    this.#wakeReader?.();
  }

  broke(error: SoloError): void {
    this.#broken ??= error;
    this.#stopUpload();
    this.#wakeReader?.();
  }

  credit(bytes: number): void {
    if (bytes < 0) return this.#stopUpload();
    this.#room += bytes;
    this.#wakeSender?.();
  }

  #stopUpload(): void {
    this.#unwanted = true;
    this.#wakeSender?.();
  }

  async #upload(body: AsyncIterable<Uint8Array>, send: (bytes: Uint8Array) => void): Promise<void> {
    try {
      for await (const bytes of body) {
        for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
          const piece = bytes.subarray(start, start + CHUNK_BYTES);
          while (this.#room < piece.length && !this.#unwanted) {
            await new Promise<void>((resolve) => (this.#wakeSender = resolve));
          }
          if (this.#unwanted) return;
          this.#room -= piece.length;
          send(piece);
        }
      }
      send(new Uint8Array(0));
    } catch {
      // The client broke off: the service hears of it as its request's signal.
      this.#abort();
    }
  }

  async *#download(): AsyncGenerator<Uint8Array> {
    let whole = false;
    try {
      for (;;) {
        const bytes = this.#queue.take();
        if (bytes !== undefined) {
          yield bytes;
          this.#sendCredit(bytes.length);
        } else if (this.#broken !== undefined) {
          throw this.#broken;
        } else if (this.#ended) {
          whole = true;
          return;
        } else {
          await new Promise<void>((resolve) => (this.#wakeReader = resolve));
        }
      }
    } finally {
      this.#over();
      if (!whole) this.#abort();
    }
  }
}
