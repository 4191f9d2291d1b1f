/**
 * A listening HTTP server with explicit limits, and its orderly end.
 *
 * 1. Every request passes the front door (Host, Origin, URL) before the listener sees it.
 * 2. `open` answers once the socket listens, or fails with `cannot_listen`.
 * 3. `stop` takes no new work, lets what is in flight finish, and forces after the grace;
 *    calling it again is allowed, and the shortest grace wins.
 * 4. An upload that was answered before its end is read on for `lingerMs`, so that the
 *    client sees the answer instead of a reset; then it is cut off.
 * 5. `failed` resolves, never rejects, when the server stops listening unasked.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { SoloError } from "#base/errors.ts";
import {
  hostPolicy,
  hostText,
  refusal,
  type Arrival,
  type HostPolicy,
} from "#gateway/rest/front-door.ts";
import type { RestLimits } from "#gateway/rest/limits.ts";
import { writeProblem } from "#gateway/rest/problem.ts";
import { peerOf } from "#gateway/tls/peer.ts";
import type { ConnectionCaps } from "#gateway/connection-caps.ts";
import { bearerOf } from "#gateway/rest/credentials.ts";
import type { ServerTls } from "#gateway/tls/server-tls.ts";

/** How often Node looks for clients that are late with their headers. */
const LATE_CHECK_MS = 1_000;

/** Silence after which the system probes whether the client's machine is still there. */
const PROBE_AFTER_MS = 60_000;

export interface ListeningAddress {
  readonly host: string;
  readonly port: number;
  /** `http://127.0.0.1:8080`, or https. */
  readonly url: string;
}

export type Listener = (request: IncomingMessage, response: ServerResponse) => void;

export interface HttpServerOptions {
  readonly limits: RestLimits;
  /** Values of Host that are accepted beside the loopback names and the address itself. */
  readonly allowedHosts: readonly string[];
  /** Paths that pages of any origin may ask for. */
  readonly anyOrigin: (url: string) => boolean;
  readonly listener: Listener;
  /** Shared with other gateways. */
  readonly caps?: ConnectionCaps | undefined;
  /** Plain HTTP unless given. */
  readonly tls?: ServerTls | undefined;
}

export class HttpServer {
  readonly server: Server;
  readonly failed: Promise<Error>;
  readonly #options: HttpServerOptions;
  #address: ListeningAddress | undefined;
  #policy: HostPolicy | undefined;
  #inFlight = 0;
  #stopped: Promise<void> | undefined;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    const { limits, tls } = options;
    const bounds = {
      keepAlive: true,
      keepAliveInitialDelay: PROBE_AFTER_MS,
      noDelay: true,
      headersTimeout: limits.headerTimeoutMs,
      // Uploads to services may last; bodies of operations have their own deadline.
      requestTimeout: 0,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: Math.min(LATE_CHECK_MS, limits.headerTimeoutMs),
      maxHeaderSize: limits.headerBytes,
    };
    const serve: Listener = (request, response) => this.#serve(request, response);
    if (tls === undefined) this.server = createServer(bounds, serve);
    else {
      const server = createSecureServer({ ...bounds, ...tls.serverOptions }, serve);
      tls.attach(server);
      this.server = server;
    }
    this.server.maxConnections = limits.connections;
    const { caps } = options;
    if (caps !== undefined) this.server.on("connection", (socket) => void caps.admit(socket));
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.failed = promise;
    this.server.on("error", resolve);
    this.server.once("close", () => {
      if (!this.stopping) resolve(new SoloError("unavailable", "The HTTP listener closed."));
    });
  }

  get stopping(): boolean {
    return this.#stopped !== undefined;
  }

  get address(): ListeningAddress {
    if (this.#address === undefined) throw new SoloError("unavailable", "Not listening yet.");
    return this.#address;
  }

  async open(options: { readonly host: string; readonly port: number }): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const refuse = (cause: Error) => reject(cannotListen(options, cause));
    this.server.once("error", refuse);
    this.server.listen({ host: options.host, port: options.port }, resolve);
    await promise;
    this.server.off("error", refuse);
    const { port } = this.server.address() as AddressInfo;
    const { host } = options;
    const { allowedHosts, tls } = this.#options;
    const scheme = tls === undefined ? "http" : "https";
    this.#policy = hostPolicy({ host, port, scheme, allowedHosts });
    this.#address = { host, port, url: `${scheme}://${hostText(host)}:${port}` };
  }

  async stop({ graceMs }: { readonly graceMs: number }): Promise<void> {
    this.#stopped ??= this.#drain();
    const force = setTimeout(() => this.server.closeAllConnections(), graceMs);
    try {
      await this.#stopped;
    } finally {
      clearTimeout(force);
    }
  }

  #drain(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.server.close(() => resolve());
    if (this.#inFlight === 0) this.server.closeAllConnections();
    return promise;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    if (this.stopping || this.#policy === undefined) {
      writeProblem(response, shuttingDown(), { connection: "close" });
      return;
    }
    this.#inFlight += 1;
    response.once("close", () => {
      this.#inFlight -= 1;
      if (this.stopping && this.#inFlight === 0) this.server.closeAllConnections();
      else if (!request.complete) linger(request, this.#options.limits.lingerMs);
    });
    const { anyOrigin, caps, limits, listener } = this.#options;
    const url = request.url ?? "";
    const open = anyOrigin(url);
    const refused = refusal(arrivalOf(request, url), {
      policy: this.#policy,
      anyOrigin: open,
      urlBytes: limits.urlBytes,
    });
    const peer = peerOf(request.socket);
    if (refused !== undefined) writeProblem(response, refused);
    else if (peer instanceof SoloError) writeProblem(response, peer);
    else {
      const token = open ? undefined : bearerOf(request.headers.authorization);
      const tooMany = caps?.refusal(request.socket, token);
      if (tooMany === undefined) listener(request, response);
      else writeProblem(response, tooMany, { connection: "close" });
    }
  }
}

/** Node takes the first of several. */
const ONCE = ["Host", "Authorization"] as const;

function repeatedHeader(rawHeaders: readonly string[]): string | undefined {
  return ONCE.find((name) => {
    let times = 0;
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const header = rawHeaders[i]!;
      if (header.length === name.length && header.toLowerCase() === name.toLowerCase()) times += 1;
    }
    return times > 1;
  });
}

const arrivalOf = (request: IncomingMessage, url: string): Arrival => ({
  host: request.headers.host,
  repeated: repeatedHeader(request.rawHeaders),
  origin: request.headers.origin,
  url,
  localAddress: request.socket.localAddress,
});

function linger(request: IncomingMessage, lingerMs: number): void {
  const { socket } = request;
  if (socket.destroyed) return;
  const cutOff = setTimeout(() => socket.destroy(), lingerMs);
  const done = () => clearTimeout(cutOff);
  request.once("end", done).once("close", done);
  socket.once("close", done);
  request.resume();
}

const shuttingDown = () =>
  new SoloError("shutting_down", "The kernel is stopping and takes no new requests.", {
    hint: "Try again when it is back.",
    retryAfterMs: 1_000,
  });

function cannotListen(options: { host: string; port: number }, cause: Error): SoloError {
  const { code } = cause as NodeJS.ErrnoException;
  const where = `${hostText(options.host)}:${options.port}`;
  const why = code === "EADDRINUSE" ? "another program listens there" : (code ?? cause.message);
  return new SoloError("cannot_listen", `Cannot listen on ${where}: ${why}.`, {
    hint: "Stop the other program or choose another port; port 0 takes a free one.",
    cause,
  });
}
