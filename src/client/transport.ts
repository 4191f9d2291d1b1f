/**
 * One HTTP exchange with the kernel.
 *
 * 1. Every request has a deadline; it covers the answer's body too, unless that is a stream.
 * 2. What is thrown is a SoloError.
 * 3. A redirect is never followed: the token goes to the address that was named, only.
 */
import { SoloError } from "#base/errors.ts";
import { MAX_ANSWER_BYTES } from "#client/limits.ts";
import { answerError, networkError, notSolo } from "#client/problem.ts";
import type { WireRequest } from "#client/request.ts";
import { tlsFetch, type ClientTls } from "#client/tls-fetch.ts";

export interface TransportOptions {
  /** The kernel's address, such as "http://127.0.0.1:8080". */
  readonly url: string;
  readonly token?: string;
  /** The tenant to act for; the token's own unless given. */
  readonly tenant?: string;
  readonly fetch?: typeof globalThis.fetch;
  /** For https: authorities to accept, and a certificate to show. */
  readonly tls?: ClientTls;
}

export interface ExchangeOptions {
  readonly ms: number;
  readonly signal?: AbortSignal | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Transport {
  /** The answer's JSON. */
  ask(request: WireRequest, options: ExchangeOptions): Promise<unknown>;
  /** The answer's body once its head is there; `options.signal` ends it. */
  open(request: WireRequest, options: ExchangeOptions): Promise<ReadableStream<Uint8Array>>;
}

function baseUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username + url.password !== "") {
    throw new SoloError("invalid_argument", `"${text}" is not the address of a kernel.`, {
      hint: "Write it like http://127.0.0.1:8080.",
    });
  }
  return (url.origin + url.pathname).replace(/\/+$/, "");
}

function headersOf(options: TransportOptions): Record<string, string> {
  const { token, tenant } = options;
  for (const [name, value] of Object.entries({ token, tenant })) {
    if (value === undefined || /^[\x21-\x7e]+$/.test(value)) continue;
    throw new SoloError(
      "invalid_argument",
      `The ${name} holds a character that no ${name} can hold.`,
    );
  }
  return {
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(tenant !== undefined && { "x-solo-tenant": tenant }),
  };
}

async function textOf(body: ReadableStream<Uint8Array> | null): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_ANSWER_BYTES) {
      throw new SoloError(
        "payload_too_large",
        `The answer is longer than ${MAX_ANSWER_BYTES} bytes.`,
        { hint: "Ask for less: a filter, or a limit." },
      );
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

interface Scope extends Disposable {
  readonly signal: AbortSignal;
  /** Ends the deadline; the caller's signal stays. */
  settle(): void;
}

function scopeOf({ ms, signal }: ExchangeOptions): Scope {
  const late = new AbortController();
  const timer = setTimeout(
    () => late.abort(new SoloError("deadline_exceeded", `No answer within ${ms} ms.`)),
    ms,
  );
  const settle = () => clearTimeout(timer);
  const stop = () => late.abort(new SoloError("cancelled", "The request was cancelled."));
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop, { once: true });
  return {
    signal: late.signal,
    settle,
    [Symbol.dispose]: () => {
      settle();
      signal?.removeEventListener("abort", stop);
    },
  };
}

export function openTransport(options: TransportOptions): Transport {
  const url = baseUrl(options.url);
  const common = headersOf(options);
  const { tls, fetch = tls === undefined ? globalThis.fetch : tlsFetch(tls) } = options;

  async function respond(request: WireRequest, headers: object, signal: AbortSignal) {
    const { method, target, body } = request;
    const response = await fetch(url + target, {
      method,
      redirect: "manual",
      signal,
      headers: {
        ...common,
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      ...(body !== undefined && { body }),
    });
    if (!response.ok) throw answerError(response.status, await textOf(response.body));
    return response;
  }

  const failed = (thrown: unknown, request: WireRequest): SoloError =>
    networkError(thrown, { url, changes: request.method !== "GET" });

  return {
    async ask(request, asked) {
      using scope = scopeOf(asked);
      let text: string;
      try {
        const headers = { accept: "application/json", ...asked.headers };
        text = await textOf((await respond(request, headers, scope.signal)).body);
      } catch (thrown) {
        throw failed(thrown, request);
      }
      try {
        return JSON.parse(text);
      } catch {
        throw notSolo(url);
      }
    },

    async open(request, asked) {
      const scope = scopeOf(asked);
      try {
        const response = await respond(request, asked.headers ?? {}, scope.signal);
        scope.settle();
        if (response.body === null) throw notSolo(url);
        return response.body;
      } catch (thrown) {
        scope[Symbol.dispose]();
        throw failed(thrown, request);
      }
    },
  };
}
