/**
 * The guest's requests to its host: an id, a promise, and an answer in a later turn.
 *
 * 1. Of an answer's body the host sends no more than the guest has given credit for.
 * 2. A request that the guest gives up is given up by the host as well.
 */
import { createInflow, type Inflow } from "./inflow.ts";
import { NO_MORE, OUT } from "./lines.ts";
import type { Outbox } from "./outbox.ts";

const MAX_OPEN = 4096;
/** Their answer is the head of an HTTP response; its body follows in pieces. */
const STREAMING: ReadonlySet<string> = new Set(["fetch", "services.fetch"]);

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
  readonly streams: boolean;
  body?: Inflow;
  /** Stops listening to the signal that may end it. */
  readonly forget: () => void;
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

/** The ErrorBody behind an error that Solo gave to the guest, also as the cause of another:
 *  the web's `fetch` throws a TypeError around it. */
export function refusalOf(error: unknown): object | undefined {
  if (!(error instanceof Error)) return undefined;
  return ours.get(error) ?? (error.cause instanceof Error ? ours.get(error.cause) : undefined);
}

export interface Requests {
  /** `signal` gives it up: the promise or the answer's body fails with its reason. */
  send(method: string, args: unknown, signal?: AbortSignal): Promise<any>;
  answer(id: number, text: string): void;
  refuse(id: number, text: string): void;
  answerChunk(id: number, bytes: Uint8Array | undefined): void;
  readonly open: number;
}

const { stringify: toJson, parse: fromJson } = JSON;

export function createRequests(outbox: Outbox): Requests {
  const waiting = new Map<number, Waiting>();
  let last = 0;

  function close(id: number): Waiting | undefined {
    const entry = waiting.get(id);
    waiting.delete(id);
    entry?.forget();
    return entry;
  }

  /** Tells the host that nobody waits any more. */
  function giveUp(id: number): Waiting | undefined {
    const entry = close(id);
    if (entry !== undefined) outbox.add(OUT.answerCredit, id, NO_MORE);
    return entry;
  }

  function fail(entry: Waiting | undefined, error: any): void {
    if (entry?.body === undefined) entry?.reject(error);
    else entry.body.fail(error);
  }

  return {
    get open() {
      return waiting.size;
    },
    send(method, args, signal) {
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
        const abort = () => fail(giveUp(id), signal!.reason);
        signal?.addEventListener("abort", abort);
        const forget = () => signal?.removeEventListener("abort", abort);
        waiting.set(id, { resolve, reject, streams: STREAMING.has(method), forget });
      });
    },
    answer(id, text) {
      const entry = waiting.get(id);
      if (entry === undefined) return;
      const value: any = text === "" ? undefined : fromJson(text);
      if (!entry.streams || value.body === false) {
        close(id);
        entry.resolve(entry.streams ? { ...value, body: null } : value);
        return;
      }
      entry.body = createInflow({
        taken: (bytes) => void outbox.add(OUT.answerCredit, id, String(bytes)),
        unwanted: () => void giveUp(id),
        over: () => {},
      });
      entry.resolve({ ...value, body: entry.body.stream });
    },
    refuse(id, text) {
      fail(close(id), refusalError(fromJson(text) as RefusalBody));
    },
    answerChunk(id, bytes) {
      if (bytes !== undefined) waiting.get(id)?.body?.push(bytes);
      else if (waiting.get(id)?.body !== undefined) close(id)!.body!.end();
    },
  };
}
