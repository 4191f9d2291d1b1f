/**
 * The gateway's listening socket and the HTTP/2 sessions on it.
 *
 * 1. At most `maxConnections`; a session that floods pings, or answers none, is closed.
 * 2. `failed` resolves when the listener died without having been closed.
 * 3. After `close` no socket of the gateway is left.
 */
import { once, type EventEmitter } from "node:events";
import {
  constants,
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import type { Clock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { GrpcLimits } from "#gateway/grpc/limits.ts";
import type { Router } from "#gateway/grpc/router.ts";

export interface ConnectionsOptions {
  readonly router: Router;
  readonly host: string;
  readonly port: number;
  readonly limits: GrpcLimits;
  readonly log: Logger;
  readonly clock: Clock;
  /** How the HTTP/2 server is made; node:http2's createServer unless given. */
  readonly createHttp2Server?: typeof createServer;
}

const PING_WINDOW_MS = 1000;

/** Closes a session that pings more than `maxPingsPerSecond`. */
function limitPings(session: ServerHttp2Session, limits: GrpcLimits, clock: Clock): void {
  let windowStart = clock.now();
  let pings = 0;
  session.on("ping", () => {
    const now = clock.now();
    if (now - windowStart >= PING_WINDOW_MS) {
      windowStart = now;
      pings = 0;
    }
    pings += 1;
    if (pings > limits.maxPingsPerSecond)
      session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  });
}

/** Pings the session every `keepaliveMs`; one whose answer does not come in time is closed. */
function keepAlive(
  session: ServerHttp2Session,
  { keepaliveMs, keepaliveTimeoutMs }: GrpcLimits,
): void {
  let overdue: NodeJS.Timeout | undefined;
  const interval = setInterval(() => {
    if (overdue !== undefined || session.destroyed) return;
    overdue = setTimeout(() => session.destroy(), keepaliveTimeoutMs).unref();
    session.ping((error) => {
      clearTimeout(overdue);
      overdue = undefined;
      if (error !== null) session.destroy();
    });
  }, keepaliveMs).unref();
  session.once("close", () => {
    clearInterval(interval);
    clearTimeout(overdue);
  });
}

/** Unlike events.once, an error on the way there does not matter. */
const closeOf = (emitter: EventEmitter): Promise<void> =>
  new Promise((resolve) => emitter.once("close", () => resolve()));

function cannotListen(error: unknown, { host, port }: ConnectionsOptions): SoloError {
  const reason = (error as NodeJS.ErrnoException).code ?? "unknown";
  const taken = reason === "EADDRINUSE";
  return new SoloError("cannot_listen", `gRPC cannot listen on ${host}:${port} (${reason}).`, {
    hint: taken
      ? "Choose another listen_port, or stop what uses this one."
      : "Check listen_port and the host.",
    cause: error,
  });
}

export class Connections {
  readonly address: { readonly host: string; readonly port: number };
  readonly failed: Promise<Error>;
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();
  #closing: Promise<void> | undefined;

  static async open(options: ConnectionsOptions): Promise<Connections> {
    const { host, port, limits, createHttp2Server = createServer } = options;
    const server = createHttp2Server({
      settings: { maxConcurrentStreams: limits.maxConcurrentStreams },
      maxSessionMemory: limits.maxSessionMegabytes,
    });
    server.maxConnections = limits.maxConnections;
    try {
      server.listen({ host, port });
      await once(server, "listening");
    } catch (error) {
      throw cannotListen(error, options);
    }
    return new Connections(server, options);
  }

  private constructor(server: Http2Server, { router, limits, log, clock }: ConnectionsOptions) {
    const { address, port } = server.address() as AddressInfo;
    this.address = { host: address, port };
    this.#server = server;
    server.on("session", (session) => {
      this.#sessions.add(session);
      session.once("close", () => this.#sessions.delete(session));
      // A broken session closes, and its calls with it; there is no more to do.
      session.on("error", () => {});
      limitPings(session, limits, clock);
      keepAlive(session, limits);
    });
    server.on("stream", (stream, headers) => router.serve(stream as ServerHttp2Stream, headers));
    server.on("drop", () =>
      log.warn("A gRPC connection was dropped: there are too many.", {
        limit: limits.maxConnections,
      }),
    );
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.failed = promise;
    server.on("error", resolve);
    server.once("close", () => {
      if (this.#closing === undefined) resolve(new Error("The gRPC listener was closed."));
    });
  }

  /** Accepts no more, lets calls in flight end for `graceMs`, then cuts what is left. */
  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    const sessions = [...this.#sessions];
    const closed = sessions.map(closeOf);
    if (this.#server.listening) closed.push(closeOf(this.#server));
    this.#server.close();
    // GOAWAY: no new call on this session, and its end after the last one.
    for (const session of sessions) session.close();
    const force = setTimeout(() => {
      for (const session of sessions) session.destroy();
    }, graceMs);
    try {
      await Promise.all(closed);
    } finally {
      clearTimeout(force);
    }
  }
}
