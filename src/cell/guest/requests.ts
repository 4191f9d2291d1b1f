/** The guest's requests to its host: an id, a promise, and an answer in a later turn. */
import { OUT } from "./lines.ts";
import type { Outbox } from "./outbox.ts";

const MAX_OPEN = 4096;
const STREAMING_METHOD = "services.fetch";

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
  /** The answer is the head of an HTTP response; its body follows as chunks. */
  readonly streams: boolean;
  body?: ReadableStreamDefaultController<Uint8Array>;
}

/** Errors that Solo itself gave to the guest: thrown on, they are replies, not crashes. */
const ours = new WeakMap<Error, object>();

interface RefusalBody {
  readonly code: string;
  readonly detail: string;
  readonly hint?: string;
}

export function refusalError(body: RefusalBody): Error {
  const error = new Error(body.detail);
  error.name = "SoloError";
  Object.assign(error, { code: body.code, ...(body.hint !== undefined && { hint: body.hint }) });
  ours.set(error, body);
  return error;
}

/** The ErrorBody behind an error that Solo gave to the guest. */
export const refusalOf = (error: unknown): object | undefined =>
  error instanceof Error ? ours.get(error) : undefined;

export interface Requests {
  send(method: string, args: unknown): Promise<any>;
  answer(id: number, text: string): void;
  refuse(id: number, text: string): void;
  answerChunk(id: number, bytes: Uint8Array | undefined): void;
  readonly open: number;
}

const { stringify: toJson, parse: fromJson } = JSON;

export function createRequests(outbox: Outbox): Requests {
  const waiting = new Map<number, Waiting>();
  let last = 0;

  return {
    get open() {
      return waiting.size;
    },
    send(method, args) {
      return new Promise((resolve, reject) => {
        if (waiting.size >= MAX_OPEN) {
          reject(
            refusalError({
              code: "limit_exceeded",
              detail: `${MAX_OPEN} requests of this service are open already.`,
              hint: "Await requests before you make more.",
            }),
          );
          return;
        }
        const id = (last = (last % 0xffff_fff0) + 1);
        if (!outbox.add(OUT.request, id, toJson([method, args]))) {
          reject(
            refusalError({
              code: "limit_exceeded",
              detail: "This service said more in one turn than its outbox holds.",
              hint: "Send less at once, or await in between.",
            }),
          );
          return;
        }
        waiting.set(id, { resolve, reject, streams: method === STREAMING_METHOD });
      });
    },
    answer(id, text) {
      const entry = waiting.get(id);
      if (entry === undefined) return;
      const value: any = text === "" ? undefined : fromJson(text);
      if (entry.streams) {
        const body = new ReadableStream<Uint8Array>({
          start: (controller) => {
            entry.body = controller;
          },
          cancel: () => {
            waiting.delete(id);
          },
        });
        entry.resolve({ ...value, body });
        return;
      }
      waiting.delete(id);
      entry.resolve(value);
    },
    refuse(id, text) {
      const entry = waiting.get(id);
      waiting.delete(id);
      const error = refusalError(fromJson(text) as RefusalBody);
      if (entry?.body === undefined) entry?.reject(error);
      else entry.body.error(error);
    },
    answerChunk(id, bytes) {
      const entry = waiting.get(id);
      if (entry?.body === undefined) return;
      if (bytes !== undefined) {
        entry.body.enqueue(bytes);
        return;
      }
      waiting.delete(id);
      entry.body.close();
    },
  };
}
