/**
 * The guest's end of its mailbox: takes messages in arrival order and runs their handlers.
 *
 * 1. One message at a time, in order; only `concurrent` services interleave.
 * 2. Every message ends exactly once: replied, failed, or with the crash of the instance.
 * 3. An exception that is not meant for the caller is a crash: nothing runs after it.
 */
import type { ServiceDefinition, Solo } from "../../sdk/index.ts";
import type { Http } from "./http.ts";
import { notJson } from "./json-value.ts";
import { IN, OUT } from "./lines.ts";
import type { Outbox } from "./outbox.ts";
import { refusalError, refusalOf } from "./requests.ts";
import { describeThrown } from "./thrown.ts";

const { stringify: toJson, parse: fromJson } = JSON;

interface Message {
  readonly op: string;
  readonly id: number;
  readonly rest: string;
  abort: AbortController | undefined;
}

export interface MailboxOptions {
  readonly outbox: Outbox;
  readonly http: Http;
  readonly definition: ServiceDefinition;
  readonly solo: Solo;
  /** Runs after a message and before its reply: durable state goes out first. */
  readonly settled: () => void;
}

export interface Mailbox {
  push(op: string, id: number, rest: string): void;
  cancel(id: number): void;
  /** The guest's code threw where nobody can catch it. */
  crash(error: unknown): void;
  readonly signal: AbortSignal;
  /** Handlers that wait for something. */
  readonly pending: number;
  /** What is being handled, and what has not begun. */
  readonly current: number;
  readonly waiting: number[];
}

const expected = (error: unknown): boolean =>
  error instanceof Error &&
  error.name === "ServiceError" &&
  typeof (error as any).code === "string";

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  value !== null && typeof value === "object" && typeof (value as any).then === "function";

function replyText(value: unknown): string {
  const why = notJson(value, "The reply");
  if (why !== undefined) throw new TypeError(why);
  return toJson(value) ?? "null";
}

/** The kernel refuses unknown names itself, but not before the first start has told it which there are. */
const noHandler = (name: string): Error =>
  refusalError({
    code: "handler_not_found",
    detail: `The service has no handler named ${toJson(name)}.`,
  });

export function createMailbox(options: MailboxOptions): Mailbox {
  const { outbox, http, definition, solo } = options;
  let queue: Message[] = [];
  /** Where in the queue the messages begin that have not been started. */
  let next = 0;
  const running = new Set<Message>();
  let current: Message | undefined;
  let dead = false;
  // Made when it is asked for: most services never touch the web's classes.
  let never: AbortController | undefined;

  const waiting = (): number[] => queue.slice(next).map((message) => message.id);

  function crash(error: unknown, message: Message | undefined = current): void {
    if (dead) return;
    dead = true;
    outbox.add(OUT.crashed, message?.id ?? 0, toJson(describeThrown(error)));
    for (const id of waiting()) outbox.add(OUT.unstarted, id);
  }

  function fail(message: Message, error: unknown): void {
    const refusal = refusalOf(error);
    if (refusal !== undefined) {
      outbox.add(OUT.failed, message.id, toJson(refusal));
    } else if (expected(error)) {
      const { message: detail } = describeThrown(error);
      const body = { code: "service_error", detail, service_code: String((error as any).code) };
      outbox.add(OUT.failed, message.id, toJson(body));
    } else if (message.op === IN.fetch) {
      // The web's convention: a request that throws is a 500, and the server lives on.
      const { name, message: detail, stack } = describeThrown(error);
      outbox.add(
        OUT.log,
        0,
        toJson({ level: "error", text: `fetch threw ${stack || `${name}: ${detail}`}` }),
      );
      const body = {
        code: "handler_failed",
        detail: `${name}: ${detail}`,
        hint: "The service's log has the stack.",
      };
      outbox.add(OUT.failed, message.id, toJson(body));
    } else {
      crash(error, message);
    }
  }

  function finish(message: Message, value: unknown): void {
    try {
      if (message.op === IN.fetch) {
        if (!(value instanceof Response)) {
          throw new TypeError("fetch must return a Response.");
        }
        options.settled();
        http.respond(message.id, value, () => abort(message));
        return;
      }
      const reply = message.op === IN.call ? replyText(value) : "";
      options.settled();
      if (!outbox.add(OUT.reply, message.id, reply)) {
        const detail = `The reply of ${reply.length} characters is more than can be said in one turn.`;
        outbox.add(OUT.failed, message.id, toJson({ code: "payload_too_large", detail }));
      }
    } catch (error) {
      fail(message, error);
    }
  }

  function handle(message: Message): unknown {
    const { op, rest } = message;
    if (op === IN.info) return definition.info?.(solo, fromJson(rest));
    if (op === IN.fetch) {
      if (!definition.fetch) throw noHandler("fetch");
      const request = http.request(message.id, fromJson(rest), signalOf(message));
      return definition.fetch(request, solo, {
        waitUntil: (promise) => void promise,
        passThroughOnException: () => {},
      });
    }
    const [name, args] = fromJson(rest) as [string, unknown[]];
    const table = op === IN.call ? definition.calls : definition.casts;
    if (table === undefined || !Object.hasOwn(table, name)) throw noHandler(name);
    return table[name]!(solo, ...args);
  }

  const abort = (message: Message): void =>
    (message.abort ??= new AbortController()).abort(
      new DOMException("The caller is gone.", "AbortError"),
    );

  const signalOf = (message: Message): AbortSignal =>
    (message.abort ??= new AbortController()).signal;

  function run(message: Message): void {
    running.add(message);
    current = message;
    let result: unknown;
    try {
      result = handle(message);
    } catch (error) {
      running.delete(message);
      fail(message, error);
      return;
    }
    if (!isThenable(result)) {
      running.delete(message);
      finish(message, result);
      return;
    }
    const done = (settle: () => void) => {
      running.delete(message);
      if (dead) return;
      current = message;
      settle();
      pump();
    };
    result.then(
      (value) => done(() => finish(message, value)),
      (error: unknown) => done(() => fail(message, error)),
    );
  }

  const mayBegin = (): boolean =>
    !dead && next < queue.length && (definition.concurrent === true || running.size === 0);

  function pump(): void {
    while (mayBegin()) {
      next += 1;
      run(queue[next - 1]!);
    }
    if (next > 0) queue = queue.slice(next);
    next = 0;
    if (!dead && running.size === 0) current = undefined;
  }

  return {
    push(op, id, rest) {
      if (dead) return void outbox.add(OUT.unstarted, id);
      queue.push({ op, id, rest, abort: undefined });
      pump();
    },
    cancel(id) {
      http.abort(id);
      const at = queue.findIndex((message) => message.id === id);
      if (at !== -1) {
        queue.splice(at, 1);
        outbox.add(OUT.failed, id, toJson({ code: "cancelled", detail: "The caller is gone." }));
        return;
      }
      for (const message of running) {
        if (message.id === id) abort(message);
      }
    },
    crash: (error) => crash(error),
    get signal() {
      return current === undefined ? (never ??= new AbortController()).signal : signalOf(current);
    },
    get pending() {
      return running.size;
    },
    get current() {
      return current?.id ?? 0;
    },
    get waiting() {
      return waiting();
    },
  };
}
