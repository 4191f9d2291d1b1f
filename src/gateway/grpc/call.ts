/**
 * One gRPC call on one HTTP/2 stream.
 *
 * 1. A call ends exactly once: with an answer's trailers, with a status, or because the
 *    client went away. What is done to it afterwards has no effect.
 * 2. `signal` fires when the client is gone, its deadline has passed or the gateway drains;
 *    never after the call has ended.
 * 3. Reading stops while a message is being handled; `writable` says when to write on.
 */
import {
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { once } from "node:events";
import { SoloError } from "#base/errors.ts";
import {
  ACCEPTED_ENCODINGS,
  Deframer,
  decompress,
  frame,
  type Allowance,
  type Frame,
} from "#gateway/grpc/frames.ts";
import { MAX_DISCARD_MS, type GrpcLimits } from "#gateway/grpc/limits.ts";
import { timeoutOf } from "#gateway/grpc/request.ts";
import { OK_TRAILERS, statusOf } from "#gateway/grpc/status.ts";
import type { Peer } from "#gateway/tls/peer.ts";

const RESPONSE_HEADERS = {
  ":status": 200,
  "content-type": "application/grpc+proto",
  "grpc-accept-encoding": ACCEPTED_ENCODINGS,
} as const;
const WITH_TRAILERS = { waitForTrailers: true } as const;

/** Answers up to this size may wait for their reader as long as its connection stands. */
const UNREAD_BYTES = 16 * 1024;

const tooSlow = (ms: number): SoloError =>
  new SoloError("deadline_exceeded", `The request did not arrive within ${ms} ms.`);
const goneAway = (): SoloError => new SoloError("cancelled", "The client went away.");

type OnMessage = (message: Buffer) => Promise<void> | undefined;

export interface GrpcCallOptions {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly limits: GrpcLimits;
  readonly allowance: Allowance;
  /** Who is at the other end of its connection. */
  readonly peer: Peer;
}

export class GrpcCall {
  readonly headers: IncomingHttpHeaders;
  readonly peer: Peer;
  readonly #stream: ServerHttp2Stream;
  readonly #limits: GrpcLimits;
  readonly #allowance: Allowance;
  readonly #abort = new AbortController();
  #deadline: NodeJS.Timeout | undefined;
  #timeoutMs: number | undefined;
  #trailers: OutgoingHttpHeaders = OK_TRAILERS;
  #ended = false;

  constructor({ stream, headers, limits, allowance, peer }: GrpcCallOptions) {
    this.peer = peer;
    this.#stream = stream;
    this.headers = headers;
    this.#limits = limits;
    this.#allowance = allowance;
    // A stream that breaks also closes, and that is where it is dealt with.
    stream.on("error", () => {});
    stream.once("close", () => {
      if (this.#ended) return;
      this.abort(goneAway());
      this.#end();
    });
  }

  /** Holds the call to its grpc-timeout, if it has one; throws for a malformed one. */
  startDeadline(): void {
    const timeoutMs = timeoutOf(this.headers);
    if (timeoutMs === undefined) return;
    this.#timeoutMs = timeoutMs;
    this.#deadline = setTimeout(() => {
      const late = new SoloError("deadline_exceeded", `The call's ${timeoutMs} ms have passed.`);
      this.abort(late);
      this.fail(late);
    }, timeoutMs);
  }

  /** Milliseconds the client gave the call. */
  get timeoutMs(): number | undefined {
    return this.#timeoutMs;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Resolves when the signal has fired. */
  get gone(): Promise<void> {
    if (this.signal.aborted) return Promise.resolve();
    return new Promise((resolve) =>
      this.signal.addEventListener("abort", () => resolve(), { once: true }),
    );
  }

  /** Gives every message to `onMessage`, one after the other; resolves at the last one's end. */
  read(onMessage: OnMessage): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stream = this.#stream;
    const deframer = new Deframer(this.#limits.maxReceiveBytes);
    let busy: Promise<void> | undefined;
    let held = 0;
    const hold = (bytes: number) => {
      const before = held;
      held = bytes;
      if (before !== bytes) this.#allowance.change(before, bytes);
    };
    stream.on("data", (chunk: Buffer) => {
      try {
        const frames = deframer.push(chunk);
        hold(deframer.unfinished);
        busy = this.#deliver(frames, onMessage);
        if (busy === undefined) return;
        stream.pause();
        busy.then(() => stream.resume(), reject);
      } catch (thrown) {
        reject(thrown);
      }
    });
    stream.once("end", () => {
      if (held > 0) reject(new SoloError("invalid_argument", "The request ends within a message."));
      // A paused stream still says "end" when nothing is left in it.
      else resolve(busy);
    });
    stream.once("close", () => {
      hold(0);
      if (!stream.readableEnded) reject(goneAway());
    });
    return promise;
  }

  /** The request of a call that has one. */
  async readOne(): Promise<Buffer> {
    let request: Buffer | undefined;
    const { requestMs } = this.#limits;
    const late = setTimeout(() => this.fail(tooSlow(requestMs)), requestMs);
    try {
      await this.read((message) => {
        if (request !== undefined)
          throw new SoloError("invalid_argument", "The call takes one message, not several.");
        request = message;
        return undefined;
      });
    } finally {
      clearTimeout(late);
    }
    if (request === undefined) throw new SoloError("invalid_argument", "The call has no message.");
    return request;
  }

  /** Hands over one frame after the other; a promise when one of them takes time. */
  #deliver(frames: readonly Frame[], onMessage: OnMessage, from = 0): Promise<void> | undefined {
    for (let index = from; index < frames.length; index++) {
      const busy = this.#open(frames[index]!, onMessage);
      if (busy !== undefined) return busy.then(() => this.#deliver(frames, onMessage, index + 1));
    }
    return undefined;
  }

  #open({ compressed, bytes }: Frame, onMessage: OnMessage): Promise<void> | undefined {
    if (!compressed) return onMessage(bytes);
    const encoding = String(this.headers["grpc-encoding"] ?? "identity");
    return decompress(bytes, encoding, this.#limits.maxReceiveBytes).then(onMessage);
  }

  /** Writes a message; false when the client should be waited for. */
  write(message: Uint8Array): boolean {
    if (this.#over) return true;
    this.#respond();
    return this.#stream.write(frame(message));
  }

  /** Resolves when the stream takes more, or when nobody wants it any longer. */
  async writable(): Promise<void> {
    if (this.signal.aborted || !this.#stream.writableNeedDrain) return;
    const cutOff = setTimeout(() => this.#cancel(), this.#limits.stallMs);
    try {
      await once(this.#stream, "drain", { signal: this.signal });
    } catch (error) {
      if (!this.signal.aborted) throw error;
    } finally {
      clearTimeout(cutOff);
    }
  }

  /** Ends the call well, with a last message if there is one. */
  finish(message?: Uint8Array): void {
    if (this.#over) return;
    this.#end();
    this.#respond();
    if (message === undefined) this.#stream.end();
    else this.#stream.end(frame(message));
    if (this.#stream.writableLength > UNREAD_BYTES) this.#cutOffUnread();
  }

  /** What has ended has to be taken. */
  #cutOffUnread(): void {
    const cutOff = setTimeout(() => this.#cancel(), this.#limits.stallMs).unref();
    this.#stream.once("close", () => clearTimeout(cutOff));
  }

  #cancel(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  /** Ends the call with `error`, after what was written before. */
  fail(error: SoloError): void {
    if (this.#over) return;
    this.#end();
    this.#trailers = statusOf(error);
    if (this.#stream.headersSent) this.#stream.end();
    else this.#stream.respond({ ...RESPONSE_HEADERS, ...this.#trailers }, { endStream: true });
    if (!this.#stream.readableEnded) this.#discard();
  }

  /** Reads what the client still sends and throws it away, for a while: closing the stream at
   *  once could overtake the status. */
  #discard(): void {
    const stream = this.#stream;
    stream.removeAllListeners("data").resume();
    const enough = setTimeout(
      () => stream.close(constants.NGHTTP2_NO_ERROR),
      MAX_DISCARD_MS,
    ).unref();
    stream.once("close", () => clearTimeout(enough));
  }

  /** Whether nothing can be sent any longer; a stream is destroyed before it says "close". */
  get #over(): boolean {
    return this.#ended || this.#stream.destroyed || this.#stream.closed;
  }

  /** Fires the signal; whoever works on the call ends it. */
  abort(reason: SoloError): void {
    if (!this.#ended) this.#abort.abort(reason);
  }

  #respond(): void {
    if (this.#stream.headersSent) return;
    this.#stream.once("wantTrailers", () => this.#stream.sendTrailers(this.#trailers));
    this.#stream.respond(RESPONSE_HEADERS, WITH_TRAILERS);
  }

  #end(): void {
    this.#ended = true;
    clearTimeout(this.#deadline);
  }
}
