/**
 * Requests of services to the world outside.
 *
 * 1. Every hop is judged from scratch: capability, addresses, headers, secrets.
 * 2. Everything of a request ends with its signal, its deadline, its body's end, or the
 *    kernel: whichever comes first.
 * 3. No error holds a path, a header's value, a body or an address that a name stands for.
 * 4. A secret that the service may not read is in nothing that it gets back.
 */
import type { IncomingMessage } from "node:http";
import type { SecureContextOptions } from "node:tls";
import { SoloError, toSoloError } from "#base/errors.ts";
import type { ServiceKey } from "#base/ids.ts";
import { Connections } from "#egress/connections.ts";
import { ACCEPTED_CODINGS, codingsOf, decoded } from "#egress/decode.ts";
import { redactBody, redactHeaders, redactText, type Echo } from "#egress/echo.ts";
import { checkHeaders, hasTemplate, incoming, withDefaults, type Header } from "#egress/headers.ts";
import { Flight, type Account, type Granted } from "#egress/flight.ts";
import { Lookups, type Resolve } from "#egress/lookup.ts";
import { PrivateHosts } from "#egress/private-hosts.ts";
import { nextHop, type Hop, type RedirectMode } from "#egress/redirect.ts";
import { Slots } from "#egress/slots.ts";
import type { Target } from "#egress/target.ts";

export interface EgressBounds {
  readonly timeoutMs: number;
  readonly maxRequestBytes: number;
  readonly maxResponseBytes: number;
  readonly perService: number;
  readonly perTenant: number;
  readonly maxIdle: number;
}

export interface EgressOptions {
  readonly resolve: Resolve;
  readonly privateHosts: readonly string[];
  readonly bounds: EgressBounds;
  readonly tls?: SecureContextOptions;
}

/** Whose authority a request has; both reject with a SoloError that says what is missing. */
export interface Leave {
  connect(target: Target): Promise<Granted>;
  /** Puts secrets in place of `{{secret:name}}`; asked only if there is such a template. */
  fill(url: URL, headers: readonly Header[]): Promise<Filled>;
}

export interface Filled {
  readonly headers: readonly Header[];
  /** For values that the service itself may not read. */
  readonly echo: Echo | undefined;
}

export interface EgressRequest {
  readonly owner: ServiceKey;
  readonly leave: Leave;
  readonly hop: Hop;
  readonly redirect: RedirectMode;
  readonly signal: AbortSignal;
  /** Told once, when all is over. */
  readonly over: (account: Account) => void;
}

export interface EgressResponse {
  readonly status: number;
  readonly statusText: string;
  readonly headers: readonly Header[];
  readonly url: string;
  readonly redirected: boolean;
  /** To be read to its end or returned; the request holds its slot until then. */
  readonly body: AsyncIterableIterator<Uint8Array> | undefined;
}

const BODILESS: ReadonlySet<number> = new Set([101, 103, 204, 205, 304]);

export class Egress {
  readonly #bounds: EgressBounds;
  readonly #private: PrivateHosts;
  readonly #lookups: Lookups;
  readonly #slots: Slots;
  readonly #connections: Connections;
  readonly #flights = new Set<Flight>();

  constructor({ resolve, privateHosts, bounds, tls }: EgressOptions) {
    this.#bounds = bounds;
    this.#private = new PrivateHosts(privateHosts);
    this.#lookups = new Lookups(resolve);
    this.#slots = new Slots(bounds);
    this.#connections = new Connections({ maxIdle: bounds.maxIdle, ...(tls && { tls }) });
  }

  get active(): number {
    return this.#slots.active;
  }

  close(): void {
    const why = new SoloError("shutting_down", "The kernel is shutting down.");
    for (const flight of this.#flights) flight.abort(why);
    this.#connections.close();
  }

  async fetch(request: EgressRequest): Promise<EgressResponse> {
    const { maxRequestBytes } = this.#bounds;
    const size = request.hop.body?.length ?? 0;
    if (size > maxRequestBytes) {
      throw new SoloError(
        "payload_too_large",
        `The request's body has ${size} bytes; egress.max_request_bytes allows ${maxRequestBytes}.`,
      );
    }
    const flight = this.#depart(request);
    try {
      const { signal } = flight;
      // It may end in the very moment in which it gets its slot: then it is given back at once.
      flight.atEnd(await this.#slots.enter(request.owner, { bodyBytes: size, signal }));
      signal.throwIfAborted();
      return await this.#follow(request, flight);
    } catch (error) {
      flight.end();
      throw toFailure(error, request.hop.target, flight.signal);
    }
  }

  async #follow(request: EgressRequest, flight: Flight): Promise<EgressResponse> {
    let { hop } = request;
    for (let count = 0; ; count += 1) {
      const response = await this.#ask(request, hop, flight).catch((error: unknown) => {
        throw toFailure(error, hop.target, flight.signal);
      });
      flight.atEnd(() => discard(response));
      const { statusCode: status = 0, statusMessage = "", headers, rawHeaders } = response;
      const { location } = headers;
      const next = nextHop(hop, { status, location }, { mode: request.redirect, count });
      if (next !== undefined) {
        discard(response);
        hop = next;
        continue;
      }
      const codings = codingsOf(headers["content-encoding"]);
      const hasBody = hop.method !== "HEAD" && !BODILESS.has(status);
      const { echoes } = flight;
      const decoding = { decoded: hasBody && codings !== undefined, changed: echoes.length > 0 };
      const head = {
        status,
        statusText: redactText(statusMessage, echoes),
        headers: redactHeaders(incoming(rawHeaders, decoding), echoes),
        url: redactText(hop.target.url.href, echoes),
        redirected: count > 0,
      };
      if (!hasBody) {
        flight.end();
        return { ...head, body: undefined };
      }
      const source = decoded({
        source: response,
        codings,
        maxBytes: this.#bounds.maxResponseBytes,
        onWire: (bytes) => void (flight.receivedBytes += bytes),
      });
      return { ...head, body: landed(redactBody(source, echoes), hop.target, flight) };
    }
  }

  async #ask({ owner, leave }: EgressRequest, hop: Hop, flight: Flight) {
    const { signal } = flight;
    const { target, method, body } = hop;
    const granted = await leave.connect(target);
    flight.hold(granted);
    const addresses =
      target.address === undefined
        ? await this.#lookups.addresses(target.host, signal)
        : [target.address];
    this.#private.admit(target, addresses, granted);
    const headers = await this.#filled(leave, hop, flight);
    signal.throwIfAborted();
    flight.sentBytes += body?.length ?? 0;
    return this.#connections.send({ owner, target, addresses, method, headers, body, signal });
  }

  async #filled(
    leave: Leave,
    { target, headers }: Hop,
    flight: Flight,
  ): Promise<readonly Header[]> {
    const own: readonly Header[] = [["accept-encoding", ACCEPTED_CODINGS]];
    const given = withDefaults(headers);
    if (!headers.some(hasTemplate)) return [...given, ...own];
    const filled = await leave.fill(target.url, given);
    checkHeaders(filled.headers);
    if (filled.echo !== undefined) flight.echoes.push(filled.echo);
    return [...filled.headers, ...own];
  }

  #depart({ signal: asked, hop, over }: EgressRequest): Flight {
    const { timeoutMs } = this.#bounds;
    const late = new SoloError(
      "deadline_exceeded",
      `The request to ${hop.target.host} was not over within ${timeoutMs} ms.`,
      { hint: "egress.timeout_ms bounds a request from its start to its body's last byte." },
    );
    const flight = new Flight((account) => {
      clearTimeout(timer);
      asked.removeEventListener("abort", asksToEnd);
      this.#flights.delete(flight);
      over(account);
    });
    const timer = setTimeout(() => flight.abort(late), timeoutMs);
    const asksToEnd = () => flight.abort(toSoloError(asked.reason));
    this.#flights.add(flight);
    if (asked.aborted) asksToEnd();
    else asked.addEventListener("abort", asksToEnd, { once: true });
    return flight;
  }
}

/** Of no more use. The connection lives on only if the whole answer has come already. */
function discard(response: IncomingMessage): void {
  if (response.complete) response.resume();
  else response.destroy();
}

/** The body, whose end is the flight's; also when it is returned before anybody read of it. */
function landed(
  source: AsyncIterable<Uint8Array>,
  target: Target,
  flight: Flight,
): AsyncIterableIterator<Uint8Array> {
  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      yield* source;
    } catch (error) {
      throw toFailure(error, target, flight.signal);
    } finally {
      flight.end();
    }
  }
  const reading = read();
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => reading.next(),
    return: () => {
      flight.end();
      return reading.return(undefined);
    },
  };
}

/** What went wrong, by its code alone: Node's messages hold addresses. */
function toFailure(error: unknown, { host }: Target, signal: AbortSignal): SoloError {
  if (signal.aborted) return toSoloError(signal.reason);
  if (error instanceof SoloError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
  if (code === "HPE_HEADER_OVERFLOW") {
    return new SoloError("payload_too_large", `The headers that ${host} sent are too large.`);
  }
  return new SoloError("egress_failed", `The request to ${host} failed: ${code}.`);
}
