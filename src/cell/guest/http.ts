/**
 * HTTP between frames and the guest's `fetch`: a head becomes a Request, a Response becomes
 * a head and chunks.
 *
 * 1. A response body has at most RESPONSE_WINDOW bytes on the way that the host has not
 *    taken; a request body the same, by the credit the guest gives.
 * 2. Once a response is complete, what is unread of its request is discarded.
 */
import { createInflow, type Inflow } from "./inflow.ts";
import { NO_MORE, OUT } from "./lines.ts";
import type { Outbox } from "./outbox.ts";
import { describeThrown } from "./thrown.ts";

export const RESPONSE_WINDOW = 256 * 1024;
const MAX_CHUNK = 64 * 1024;
/** More than any client takes. */
const MAX_HEAD_CHARS = 256 * 1024;

interface Head {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: boolean;
}

export interface Http {
  request(id: number, head: Head, signal: AbortSignal | undefined): Request;
  requestChunk(id: number, bytes: Uint8Array | undefined): void;
  /** Sends the head at once and the body as it comes; `gone` runs when the client leaves
   *  before its end. */
  respond(id: number, response: Response, gone: () => void): void;
  credit(id: number, bytes: number): void;
  /** The outbox has been emptied: bodies that found it full go on. */
  roomAgain(): void;
  /** The client is gone: stop reading the response, break the request's body. */
  abort(id: number): void;
  readonly streaming: number;
}

interface Sending {
  inFlight: number;
  reader: ReadableStreamDefaultReader<Uint8Array>;
  resume: (() => void) | undefined;
  readonly gone: () => void;
}

export function createHttp(outbox: Outbox): Http {
  const receiving = new Map<number, Inflow>();
  const sending = new Map<number, Sending>();

  async function pump(id: number, state: Sending): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await state.reader.read();
        if (!sending.has(id)) return;
        if (done) {
          outbox.add(OUT.end, id);
          return;
        }
        if (!ArrayBuffer.isView(value))
          throw new TypeError("A response body must be made of bytes.");
        for (let start = 0; start < value.byteLength; start += MAX_CHUNK) {
          const piece = value.slice(start, start + MAX_CHUNK);
          while (state.inFlight >= RESPONSE_WINDOW || !outbox.addBytes(OUT.chunk, id, piece)) {
            await new Promise<void>((resolve) => (state.resume = resolve));
            if (!sending.has(id)) return;
          }
          state.inFlight += piece.length;
        }
      }
    } catch (error) {
      if (sending.has(id)) outbox.add(OUT.bodyFailed, id, JSON.stringify(describeThrown(error)));
    } finally {
      if (sending.delete(id)) discard(id);
    }
  }

  function discard(id: number): void {
    receiving.get(id)?.fail(new DOMException("The exchange is over.", "AbortError"));
    receiving.delete(id);
  }

  function incoming(id: number): ReadableStream<Uint8Array> {
    const body = createInflow({
      taken: (bytes) => void outbox.add(OUT.credit, id, String(bytes)),
      unwanted: () => {
        receiving.delete(id);
        // Let the client send the rest into nothing.
        outbox.add(OUT.credit, id, NO_MORE);
      },
      over: () => void receiving.delete(id),
    });
    receiving.set(id, body);
    return body.stream;
  }

  return {
    get streaming() {
      return sending.size + receiving.size;
    },
    request(id, head, signal) {
      const init: RequestInit & { duplex?: "half" } = {
        method: head.method,
        headers: head.headers as [string, string][],
        ...(signal !== undefined && { signal }),
      };
      if (head.body) {
        init.duplex = "half";
        init.body = incoming(id);
      }
      return new Request(head.url, init);
    },
    requestChunk(id, bytes) {
      const body = receiving.get(id);
      if (body === undefined) return;
      if (bytes !== undefined) body.push(bytes);
      else body.end();
    },
    respond(id, response, gone) {
      const body = response.body as ReadableStream<Uint8Array> | null;
      const headers: [string, string][] = [];
      response.headers.forEach((value, name) => {
        if (name !== "set-cookie") headers.push([name, value]);
      });
      for (const cookie of response.headers.getSetCookie()) headers.push(["set-cookie", cookie]);
      const head = JSON.stringify({ status: response.status, headers, body: body !== null });
      if (head.length > MAX_HEAD_CHARS || !outbox.add(OUT.head, id, head)) {
        throw new RangeError("The response's headers are too large.");
      }
      if (body === null) return discard(id);
      const state: Sending = { inFlight: 0, reader: body.getReader(), resume: undefined, gone };
      sending.set(id, state);
      void pump(id, state);
    },
    credit(id, bytes) {
      const state = sending.get(id);
      if (state === undefined) return;
      state.inFlight = Math.max(0, state.inFlight - bytes);
      state.resume?.();
    },
    roomAgain() {
      for (const state of sending.values()) state.resume?.();
    },
    abort(id) {
      const state = sending.get(id);
      sending.delete(id);
      discard(id);
      if (state === undefined) return;
      state.resume?.();
      state.gone();
      state.reader.cancel().catch(() => {});
    },
  };
}
