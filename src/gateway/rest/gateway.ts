/**
 * REST, event streams, MCP, documents and ingress on one port (SPEC G2, G4).
 *
 * 1. Every request passes the front door (Host, and Origin where an operation is asked
 *    for) before anything reads its content.
 * 2. `start` answers once the port listens; `stop` is idempotent, lets requests finish,
 *    ends event streams, and forces what is left after the grace.
 * 3. The gateway holds no policy: who may do what is decided behind the kernel's port.
 */
import type { FastifyInstance } from "fastify";
import type { KernelPort } from "#api/kernel-port.ts";
import type { Logger } from "#base/log.ts";
import type { ConnectionCaps } from "#gateway/connection-caps.ts";
import { buildApp } from "#gateway/rest/app.ts";
import { INGRESS_PREFIX, serveIngress } from "#gateway/rest/ingress.ts";
import { REST_LIMITS, type RestLimits } from "#gateway/rest/limits.ts";
import { HttpServer, type Listener, type ListeningAddress } from "#gateway/rest/server.ts";
import { OpenStreams } from "#gateway/rest/stream.ts";
import type { ServerTls } from "#gateway/tls/server-tls.ts";
import type { ReadPage } from "#mcp/pages.ts";

export interface RestGatewayOptions {
  readonly kernel: KernelPort;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly log: Logger;
  readonly version: string;
  /** For clients of MCP, which learn from the documentation. */
  readonly readPage: ReadPage;
  /** Values of Host that are accepted beside the loopback names, such as `solo.example:8080`. */
  readonly allowedHosts?: readonly string[];
  readonly limits?: Partial<RestLimits>;
  /** Whether a bearer token on an ingress request is Solo's own, or else the service's
   *  business and passed on. Every bearer token is Solo's unless given. */
  readonly isSoloToken?: (token: string) => boolean;
  readonly caps?: ConnectionCaps | undefined;
  /** Plain HTTP unless given. */
  readonly tls?: ServerTls | undefined;
}

export class RestGateway implements AsyncDisposable {
  readonly address: ListeningAddress;
  /** Resolves when the listener dies unasked. */
  readonly failed: Promise<Error>;
  readonly #http: HttpServer;
  readonly #streams: OpenStreams;
  readonly #app: FastifyInstance;

  private constructor(parts: { http: HttpServer; streams: OpenStreams; app: FastifyInstance }) {
    this.#http = parts.http;
    this.#streams = parts.streams;
    this.#app = parts.app;
    this.address = parts.http.address;
    this.failed = parts.http.failed;
  }

  static async start(options: RestGatewayOptions): Promise<RestGateway> {
    const { kernel, log, version, readPage } = options;
    const limits: RestLimits = { ...REST_LIMITS, ...options.limits };
    const streams = new OpenStreams();
    let toRouter: Listener = () => {};
    const ingress = { kernel, log, limits, isSoloToken: options.isSoloToken ?? (() => true) };
    const http = new HttpServer({
      limits,
      allowedHosts: options.allowedHosts ?? [],
      anyOrigin: isIngress,
      caps: options.caps,
      tls: options.tls,
      listener: (request, response) => {
        if (isIngress(request.url ?? "")) void serveIngress(request, response, ingress);
        else toRouter(request, response);
      },
    });
    const server = (handler: (...args: never[]) => void) => {
      toRouter = handler as Listener;
      return http.server;
    };
    const app = await buildApp({ kernel, log, limits, streams, version, readPage, server });
    try {
      await http.open(options);
    } catch (thrown) {
      await app.close();
      throw thrown;
    }
    return new RestGateway({ http, streams, app });
  }

  async stop(options: { readonly graceMs: number }): Promise<void> {
    const stopped = this.#http.stop(options);
    this.#streams.endAll();
    await stopped;
    await this.#app.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop({ graceMs: 0 });
  }
}

/** A service's own pages decide for themselves who may call them. */
const isIngress = (url: string): boolean => url.startsWith(INGRESS_PREFIX);
