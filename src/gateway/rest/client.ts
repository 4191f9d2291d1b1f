/**
 * The client at the other end of a response: whether it is still there, and whether it reads.
 *
 * 1. The signal fires at once when the client is gone before its answer is complete.
 * 2. A client that leaves a full send buffer unread for `stallMs` is cut off.
 */
import type { ServerResponse } from "node:http";
import { SoloError } from "#base/errors.ts";

export const clientGone = (): SoloError => new SoloError("cancelled", "The client is gone.");

export function abortWhenGone(response: ServerResponse, controller: AbortController): void {
  response.once("close", () => {
    if (!response.writableFinished) controller.abort(clientGone());
  });
}

export function clientSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  abortWhenGone(response, controller);
  return controller.signal;
}

/** Resolves once the client has read enough for more to be written, or is gone. */
export function drained(response: ServerResponse, stallMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (response.destroyed || !response.writableNeedDrain) return Promise.resolve();
  const cutOff = setTimeout(() => response.destroy(), stallMs);
  const done = () => {
    clearTimeout(cutOff);
    response.off("drain", done).off("close", done);
    resolve();
  };
  response.once("drain", done).once("close", done);
  return promise;
}

/** Writes a complete answer; a client that does not read it is cut off. */
export function writeAnswer(
  response: ServerResponse,
  options: {
    readonly status: number;
    readonly contentType: string;
    readonly text: string;
    readonly stallMs: number;
    readonly headers?: Readonly<Record<string, string>>;
  },
): void {
  const { status, contentType, text, stallMs, headers } = options;
  response.writeHead(status, {
    "content-type": contentType,
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...headers,
  });
  response.end(text);
  cutOffUnread(response, stallMs);
}

/** For a response that has ended: its client has to take what is still buffered. */
export function cutOffUnread(response: ServerResponse, stallMs: number): void {
  // One that is closed already will not say so again.
  if (response.writableLength === 0 || response.destroyed) return;
  const cutOff = setTimeout(() => response.destroy(), stallMs);
  response.once("close", () => clearTimeout(cutOff));
}

export const JSON_TYPE = "application/json; charset=utf-8";
