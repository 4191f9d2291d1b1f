/**
 * An operation's stream as an HTTP body: server-sent events or JSON lines.
 *
 * 1. Nothing is taken from the source before the client has read what was written.
 * 2. A refusal before the first message, within `streamOpenMs`, is an ordinary problem
 *    response; a later failure is a last frame that holds the problem.
 * 3. The client's going aborts the source's signal at once; the gateway's stop ends the
 *    body with a farewell.
 */
import type { ServerResponse } from "node:http";
import { SoloError } from "#base/errors.ts";
import { abortWhenGone, cutOffUnread, drained } from "#gateway/rest/client.ts";
import type { RestLimits } from "#gateway/rest/limits.ts";

export interface StreamFormat {
  readonly contentType: string;
  /** Written when the stream opens. */
  readonly opening: string;
  encode(message: unknown): string;
  failure(error: SoloError): string;
  readonly farewell: string;
  /** Written in silence, where the format has something that means nothing. */
  readonly heartbeat: string | undefined;
}

/** The streams that a stopping gateway has to end. */
export class OpenStreams {
  readonly #ends = new Set<() => void>();

  /** Returns what takes it out again. */
  add(end: () => void): () => void {
    this.#ends.add(end);
    return () => this.#ends.delete(end);
  }

  endAll(): void {
    for (const end of this.#ends) end();
  }
}

export interface StreamOptions {
  readonly response: ServerResponse;
  readonly format: StreamFormat;
  readonly limits: RestLimits;
  readonly streams: OpenStreams;
  open(signal: AbortSignal): AsyncIterable<unknown>;
  /** Turns what the source threw into an error, and logs what nobody foresaw. */
  report(thrown: unknown): SoloError;
}

/** Throws only before the response has begun. */
export async function writeStream(options: StreamOptions): Promise<void> {
  const { response, format, limits, streams, report } = options;
  const controller = new AbortController();
  abortWhenGone(response, controller);
  const forget = streams.add(() => {
    if (response.headersSent) response.end(format.farewell);
    controller.abort(new SoloError("shutting_down", "The kernel is stopping."));
  });
  const iterator = options.open(controller.signal)[Symbol.asyncIterator]();
  let heart: NodeJS.Timeout | undefined;
  try {
    let next = iterator.next();
    await settledWithin(next, limits.streamOpenMs);
    if (response.destroyed) return;
    begin(response, format);
    heart = beat(response, format, limits);
    for (;;) {
      const item = await next;
      if (item.done === true || ended(response)) break;
      if (!response.write(format.encode(item.value))) await drained(response, limits.stallMs);
      next = iterator.next();
    }
    if (!ended(response)) response.end();
    cutOffUnread(response, limits.stallMs);
  } catch (thrown) {
    if (!response.headersSent) throw thrown;
    if (!ended(response)) response.end(format.failure(report(thrown)));
  } finally {
    clearInterval(heart);
    forget();
    await iterator.return?.().then(undefined, () => {});
  }
}

const ended = (response: ServerResponse): boolean => response.writableEnded || response.destroyed;

function begin(response: ServerResponse, format: StreamFormat): void {
  response.writeHead(200, {
    "content-type": format.contentType,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-accel-buffering": "no",
  });
  response.flushHeaders();
  if (format.opening !== "") response.write(format.opening);
}

function beat(
  response: ServerResponse,
  format: StreamFormat,
  limits: RestLimits,
): NodeJS.Timeout | undefined {
  const { heartbeat } = format;
  if (heartbeat === undefined) return undefined;
  return setInterval(() => {
    if (!ended(response) && !response.writableNeedDrain) response.write(heartbeat);
  }, limits.heartbeatMs);
}

/** Waits for `promise`, but no longer than `ms`; throws if it fails within that time. */
async function settledWithin(promise: Promise<unknown>, ms: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
