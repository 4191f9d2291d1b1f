/**
 * The gRPC gateway: the catalogue's operations, health and reflection on one port. It
 * translates; what may be done is decided behind the KernelPort.
 *
 * 1. `start` returns a gateway that listens, or throws `cannot_listen`.
 * 2. `stop` is idempotent: health says NOT_SERVING, streams end with `shutting_down`, calls in
 *    flight have `graceMs`, then everything is cut.
 * 3. Every status that leaves has a code of Solo's error table.
 */
import { systemClock, type Clock } from "#base/clock.ts";
import type { Logger } from "#base/log.ts";
import { catalogue, type OperationName } from "#api/catalogue.ts";
import type { KernelPort } from "#api/kernel-port.ts";
import { SOLO_SERVICE } from "#api/proto.ts";
import { Connections, type ConnectionsOptions } from "#gateway/grpc/connections.ts";
import { streamHandler, unaryHandler, type HandlerParts } from "#gateway/grpc/handlers.ts";
import { Health } from "#gateway/grpc/health.ts";
import { DEFAULT_GRPC_LIMITS, type GrpcLimits } from "#gateway/grpc/limits.ts";
import { serveReflection } from "#gateway/grpc/reflection.ts";
import { Router } from "#gateway/grpc/router.ts";
import { OpenStreams } from "#gateway/grpc/streams.ts";

export interface GrpcGatewayOptions {
  readonly kernel: KernelPort;
  readonly host: string;
  /** 0 picks a free one; see `address`. */
  readonly port: number;
  readonly log: Logger;
  readonly limits?: Partial<GrpcLimits>;
  readonly clock?: Clock;
  readonly createHttp2Server?: ConnectionsOptions["createHttp2Server"];
  readonly caps?: ConnectionsOptions["caps"];
  readonly tls?: ConnectionsOptions["tls"];
}

function serveOperations(router: Router, parts: HandlerParts): void {
  for (const [name, { streaming }] of Object.entries(catalogue)) {
    const handler = streaming ? streamHandler : unaryHandler;
    router.on(`/${SOLO_SERVICE}/${name}`, handler(name as OperationName, parts));
  }
}

export class GrpcGateway {
  readonly #connections: Connections;
  readonly #health: Health;
  readonly #streams: OpenStreams;

  static async start(options: GrpcGatewayOptions): Promise<GrpcGateway> {
    const { kernel, host, port, log, clock = systemClock, createHttp2Server } = options;
    const limits = { ...DEFAULT_GRPC_LIMITS, ...options.limits };
    const { caps } = options;
    const router = new Router({ limits, log, caps });
    const streams = new OpenStreams();
    serveOperations(router, { kernel, limits, streams });
    serveReflection({ router, streams });
    const health = new Health(router);
    const listening = { router, host, port, limits, log, clock, caps, tls: options.tls };
    const connections = await Connections.open(
      createHttp2Server === undefined ? listening : { ...listening, createHttp2Server },
    );
    return new GrpcGateway(connections, health, streams);
  }

  private constructor(connections: Connections, health: Health, streams: OpenStreams) {
    this.#connections = connections;
    this.#health = health;
    this.#streams = streams;
  }

  /** Where it listens. */
  get address(): { readonly host: string; readonly port: number } {
    return this.#connections.address;
  }

  /** Resolves when the listening socket has died; never for a stop. */
  get failed(): Promise<Error> {
    return this.#connections.failed;
  }

  stop({ graceMs }: { readonly graceMs: number }): Promise<void> {
    this.#health.stop();
    this.#streams.drain();
    return this.#connections.close(graceMs);
  }
}
