/**
 * The gateway's listening socket and the HTTP/2 sessions on it.
 *
 * 1. At most `maxConnections`; a session that floods pings, settings or
 *    resets, or answers no ping, is closed.
 * 2. `failed` resolves when the listener died without having been closed.
 * 3. After `close` no socket of the gateway is left.
 */
import { once, type EventEmitter } from "node:events";
import {
  constants,
  createServer,
  createSecureServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Clock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { ConnectionCaps } from "#gateway/connection-caps.ts";
import type { GrpcLimits } from "#gateway/grpc/limits.ts";
import type { Router } from "#gateway/grpc/router.ts";
import { peerOf, type Peer } from "#gateway/tls/peer.ts";
import type { ServerTls } from "#gateway/tls/server-tls.ts";

export interface ConnectionsOptions {
  readonly router: Router;
  readonly host: string;
  readonly port: number;
  readonly limits: GrpcLimits;
  readonly log: Logger;
  readonly clock: Clock;
  /** How the HTTP/2 server is made; node:http2's createServer unless given. */
  readonly createHttp2Server?: typeof createServer;
  readonly caps?: ConnectionCaps | undefined;
  /** Plain HTTP/2 unless given. */
  readonly tls?: ServerTls | undefined;
}

const FLOOD_WINDOW_MS = 1000;

/** Returns what ends the session when it is called more than `perSecond` times. */
function floodGate(session: ServerHttp2Session, perSecond: number, clock: Clock): () => void {
  let windowStart = clock.now();
  let count = 0;
  return () => {
    const now = clock.now();
    if (now - windowStart >= FLOOD_WINDOW_MS) {
      windowStart = now;
      count = 0;
    }
    count += 1;
    if (count > perSecond) session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  };
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

/** Node's own bounds, each said; what none of them covers is counted here. */
const boundsOf = (limits: GrpcLimits) => ({
  settings: {
    maxConcurrentStreams: limits.maxConcurrentStreams,
    maxHeaderListSize: limits.maxHeaderBytes,
  },
  maxSessionMemory: limits.maxSessionMegabytes,
  maxSettings: limits.maxSettings,
  maxHeaderListPairs: limits.maxHeaders,
  maxSessionInvalidFrames: limits.maxInvalidFrames,
  maxSessionRejectedStreams: limits.maxRejectedStreams,
  streamResetBurst: limits.streamResetBurst,
  streamResetRate: limits.streamResetsPerSecond,
});

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
  readonly #server: Http2Server | Http2SecureServer;
  readonly #sessions = new Set<ServerHttp2Session>();
  #closing: Promise<void> | undefined;

  static async open(options: ConnectionsOptions): Promise<Connections> {
    const { host, port, limits, tls, createHttp2Server = createServer } = options;
    const bounds = boundsOf(limits);
    let server: Http2Server | Http2SecureServer;
    if (tls === undefined) server = createHttp2Server(bounds);
    else {
      const secure = createSecureServer({ ...bounds, ...tls.serverOptions });
      tls.attach(secure);
      server = secure;
    }
    server.maxConnections = limits.maxConnections;
    try {
      server.listen({ host, port });
      await once(server, "listening");
    } catch (error) {
      throw cannotListen(error, options);
    }
    return new Connections(server, options);
  }

  private constructor(
    server: Http2Server | Http2SecureServer,
    { router, limits, log, clock, caps }: ConnectionsOptions,
  ) {
    const { address, port } = server.address() as AddressInfo;
    this.address = { host: address, port };
    this.#server = server;
    if (caps !== undefined) server.on("connection", (socket: Socket) => void caps.admit(socket));
    const peers = new WeakMap<object, Peer>();
    server.on("session", (session: ServerHttp2Session) => {
      peers.set(session, peerOf(session.socket));
      this.#sessions.add(session);
      session.once("close", () => this.#sessions.delete(session));
      // A broken session closes, and its calls with it; there is no more to do.
      session.on("error", () => {});
      session.on("ping", floodGate(session, limits.maxPingsPerSecond, clock));
      session.on("remoteSettings", floodGate(session, limits.maxSettingsPerSecond, clock));
      keepAlive(session, limits);
    });
    server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) =>
      router.serve(stream, headers, peers.get(stream.session!)),
    );
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
