/**
 * Connections to where requests go.
 *
 * 1. A socket is opened to an address that was judged for this request; its name is not
 *    looked up again. TLS and Host keep the name.
 * 2. A connection is used again only by the same service, for the same origin, while its
 *    name still stands for the same addresses.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { isIP, type LookupFunction, type Socket } from "node:net";
import type { SecureContextOptions } from "node:tls";
import { SoloError } from "#base/errors.ts";
import { keyText, type ServiceKey } from "#base/ids.ts";
import type { Header } from "#egress/headers.ts";
import {
  CONNECT_TIMEOUT_MS,
  IDLE_CONNECTION_MS,
  MAX_RESPONSE_HEADER_BYTES,
} from "#egress/limits.ts";
import type { Target } from "#egress/target.ts";

export interface Outgoing {
  readonly owner: ServiceKey;
  readonly target: Target;
  readonly addresses: readonly string[];
  readonly method: string;
  readonly headers: readonly Header[];
  readonly body: Uint8Array | undefined;
  readonly signal: AbortSignal;
}

export interface ConnectionsOptions {
  readonly maxIdle: number;
  /** Which certificates are trusted; those that Node trusts, unless given. */
  readonly tls?: SecureContextOptions;
}

/** What the agents get with each request, besides Node's own. */
interface Reuse {
  readonly reuse?: string;
}

/** May be sent twice: RFC 9110, section 9.2.2. */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);
const WANTS_LENGTH: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

export class Connections {
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;

  constructor({ maxIdle, tls = {} }: ConnectionsOptions) {
    const idle = () => countIdle(this.#http) + countIdle(this.#https);
    const keep = { keepAlive: true, timeout: IDLE_CONNECTION_MS, maxFreeSockets: maxIdle };
    this.#http = bound(new HttpAgent(keep), { idle, maxIdle });
    this.#https = bound(new HttpsAgent({ ...keep, ...tls }), { idle, maxIdle });
  }

  get idle(): number {
    return countIdle(this.#http) + countIdle(this.#https);
  }

  /** The response's head; its body flows as it is read. Rejects with Node's error. */
  async send(outgoing: Outgoing): Promise<IncomingMessage> {
    const first = await this.#once(outgoing);
    if (first.response !== undefined) return first.response;
    // The far end may have closed a kept connection in the moment in which it was taken.
    const again = first.reused && IDEMPOTENT.has(outgoing.method) && !outgoing.signal.aborted;
    const second = again ? await this.#once(outgoing) : first;
    if (second.response !== undefined) return second.response;
    throw second.error;
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  #once(outgoing: Outgoing): Promise<Attempt> {
    const { target, addresses, method, body, signal } = outgoing;
    const { promise, resolve } = Promise.withResolvers<Attempt>();
    const options = {
      agent: target.secure ? this.#https : this.#http,
      host: target.address ?? target.host,
      port: target.port,
      ...(target.secure && { servername: target.address === undefined ? target.host : "" }),
      path: target.url.pathname + target.url.search,
      method,
      headers: rawHeaders(outgoing),
      maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
      lookup: pinned(addresses),
      reuse: `${keyText(outgoing.owner)} ${target.url.origin} ${addresses.toSorted().join(" ")}`,
      signal,
    };
    const request = (target.secure ? httpsRequest : httpRequest)(options);
    const connecting = setTimeout(() => {
      request.destroy(
        new SoloError(
          "deadline_exceeded",
          `${target.host} did not take a connection within ${CONNECT_TIMEOUT_MS} ms.`,
        ),
      );
    }, CONNECT_TIMEOUT_MS);
    const connected = () => clearTimeout(connecting);
    request.once("socket", (socket: Socket) => {
      if (!socket.connecting) connected();
      else socket.once(target.secure ? "secureConnect" : "connect", connected);
    });
    request.once("response", (response) => {
      connected();
      // Once the body is done or given up nobody listens; an error then is no news.
      response.on("error", () => {});
      resolve({ response });
    });
    request.on("error", (error) => {
      connected();
      resolve({ error, reused: request.reusedSocket });
    });
    request.end(body);
    return promise;
  }
}

type Attempt =
  | { readonly response: IncomingMessage }
  | { readonly response?: undefined; readonly error: Error; readonly reused: boolean };

/** Gives the checked addresses to whoever asks for any name. */
function pinned(addresses: readonly string[]): LookupFunction {
  const all = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_host, options, done) => {
    if (options.all === true) done(null, all);
    else done(null, all[0]!.address, all[0]!.family);
  };
}

function rawHeaders({ target, method, headers, body }: Outgoing): string[] {
  const raw = ["host", target.url.host];
  for (const [name, value] of headers) raw.push(name, value);
  const length = body?.length ?? (WANTS_LENGTH.has(method) ? 0 : undefined);
  if (length !== undefined) raw.push("content-length", String(length));
  return raw;
}

const countIdle = (agent: HttpAgent): number => {
  let count = 0;
  for (const sockets of Object.values(agent.freeSockets)) count += sockets?.length ?? 0;
  return count;
};

/** An agent that tells connections apart as invariant 2 says, and keeps only so many. */
function bound<A extends HttpAgent>(
  agent: A,
  { idle, maxIdle }: { idle: () => number; maxIdle: number },
): A {
  const getName = agent.getName.bind(agent);
  const keepSocketAlive = agent.keepSocketAlive.bind(agent);
  agent.getName = (options) => `${getName(options)} ${(options as Reuse).reuse}`;
  agent.keepSocketAlive = (socket) => idle() < maxIdle && keepSocketAlive(socket);
  return agent;
}
