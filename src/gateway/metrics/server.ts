/** The listener for scrapers and health checks: `/metrics` and `/health`, nothing else (SPEC G5). */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { KernelPort } from "#api/kernel-port.ts";
import { type Logger, silentLogger } from "#base/log.ts";
import { METRICS_PATH, serveMetrics } from "#gateway/metrics/answer.ts";
import { refuseBrokenRequest } from "#gateway/rest/broken-request.ts";
import { clientSignal, JSON_TYPE, writeAnswer } from "#gateway/rest/client.ts";
import { credentialsOf } from "#gateway/rest/credentials.ts";
import { REST_LIMITS, type RestLimits } from "#gateway/rest/limits.ts";
import { lost } from "#gateway/rest/lost.ts";
import { reported, writeProblem } from "#gateway/rest/problem.ts";
import { HttpServer, type ListeningAddress } from "#gateway/rest/server.ts";
import type { ServerTls } from "#gateway/tls/server-tls.ts";

const HEALTH_PATH = "/health";
const ROUTES = [METRICS_PATH, HEALTH_PATH].map((path) => ({ method: "GET", path }));

export interface MetricsServerOptions {
  readonly kernel: KernelPort;
  readonly host: string;
  readonly port: number;
  readonly log?: Logger;
  readonly allowedHosts?: readonly string[];
  readonly limits?: Partial<RestLimits>;
  readonly tls?: ServerTls | undefined;
}

export class MetricsServer implements AsyncDisposable {
  readonly address: ListeningAddress;
  readonly failed: Promise<Error>;
  readonly #http: HttpServer;

  private constructor(http: HttpServer) {
    this.#http = http;
    this.address = http.address;
    this.failed = http.failed;
  }

  static async start(options: MetricsServerOptions): Promise<MetricsServer> {
    const { kernel, log = silentLogger, allowedHosts = [] } = options;
    const limits: RestLimits = { ...REST_LIMITS, ...options.limits };
    const http = new HttpServer({
      limits,
      allowedHosts,
      anyOrigin: () => false,
      tls: options.tls,
      listener: (request, response) => {
        serve({ kernel, request, response, stallMs: limits.stallMs }).catch((thrown: unknown) =>
          writeProblem(response, reported(thrown, log)),
        );
      },
    });
    http.server.on("clientError", refuseBrokenRequest);
    await http.open(options);
    return new MetricsServer(http);
  }

  stop(options: { readonly graceMs: number }): Promise<void> {
    return this.#http.stop(options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop({ graceMs: 0 });
  }
}

async function serve(options: {
  readonly kernel: KernelPort;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly stallMs: number;
}): Promise<void> {
  const { kernel, request, response, stallMs } = options;
  const path = request.url?.split("?", 1)[0] ?? "";
  const reading = request.method === "GET" || request.method === "HEAD";
  if (reading && path === METRICS_PATH) {
    await serveMetrics(options);
  } else if (reading && path === HEALTH_PATH) {
    const context = { credentials: credentialsOf(request), signal: clientSignal(response) };
    const health = await kernel.call("Health", {}, context);
    writeAnswer(response, {
      status: 200,
      contentType: JSON_TYPE,
      text: JSON.stringify(health),
      stallMs,
    });
  } else {
    const { error, headers } = lost(request.method ?? "", path, ROUTES);
    writeProblem(response, error, headers);
  }
}
