/** The router: the catalogue's operations, the documents beside them, and what is none of these. */
import type { IncomingMessage, Server } from "node:http";
import {
  fastify,
  type FastifyError,
  type FastifyInstance,
  type FastifyRequest,
  type FastifyServerOptions,
} from "fastify";
import type { KernelPort } from "#api/kernel-port.ts";
import { SoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { addMcp, MCP_ROUTE } from "#gateway/mcp/door.ts";
import { METRICS_PATH, serveMetrics } from "#gateway/metrics/answer.ts";
import { addDocs, DOC_ROUTES } from "#gateway/rest/docs.ts";
import { readJson } from "#gateway/rest/json-body.ts";
import type { RestLimits } from "#gateway/rest/limits.ts";
import { lost } from "#gateway/rest/lost.ts";
import { addOperations } from "#gateway/rest/operations.ts";
import { reported, writeProblem } from "#gateway/rest/problem.ts";
import { ROUTES } from "#gateway/rest/routes.ts";
import { refuseBrokenRequest } from "#gateway/rest/broken-request.ts";
import type { OpenStreams } from "#gateway/rest/stream.ts";
import type { ReadPage } from "#mcp/pages.ts";

export interface AppOptions {
  readonly kernel: KernelPort;
  readonly log: Logger;
  readonly limits: RestLimits;
  readonly streams: OpenStreams;
  readonly version: string;
  readonly readPage: ReadPage;
  /** Takes the router's handler; the listener is the gateway's own. */
  readonly server: (handler: Parameters<Server["on"]>[1]) => Server;
}

const JSON_BODY = /^application\/(?:[\w.!#$&^-]+\+)?json(?:\s*;|$)/i;
const KNOWN = [...ROUTES, ...DOC_ROUTES, MCP_ROUTE, { method: "GET", path: METRICS_PATH }];

export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { kernel, log, limits, version } = options;
  const app = newRouter(options, { serverFactory: (handler) => options.server(handler) });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(JSON_BODY, (_request: FastifyRequest, payload: IncomingMessage) =>
    readJson(payload, limits),
  );
  addOperations(app, options);
  addMcp(app, { ...options, refusalOf: (error) => reported(fromRouter(error), log) });
  app.get(METRICS_PATH, async (request, reply) => {
    await serveMetrics({
      kernel,
      request: request.raw,
      response: reply.raw,
      stallMs: limits.stallMs,
    });
    reply.hijack();
  });
  addDocs(app, { version, newRouter: () => newRouter(options) });
  await app.ready();
  return app;
}

/** The catalogue checks what comes in. Unless told so, the router loads a JSON Schema validator and
 *  a serializer at every start, which are a tenth of all that a kernel loads. */
const noSchemas = (): never => {
  throw new Error("A route has a schema; the catalogue is where input is checked.");
};

/** A router that refuses in our words. */
function newRouter({ log, limits }: AppOptions, more: FastifyServerOptions = {}): FastifyInstance {
  const router = fastify({
    ...more,
    routerOptions: { maxParamLength: limits.urlBytes },
    schemaController: {
      compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas },
    },
    clientErrorHandler: refuseBrokenRequest,
    frameworkErrors: (error, _request, reply) => {
      reply.hijack();
      writeProblem(reply.raw, reported(fromRouter(error), log));
    },
  });
  router.setErrorHandler((error, _request, reply) => {
    reply.hijack();
    writeProblem(reply.raw, reported(fromRouter(error), log));
  });
  router.setNotFoundHandler((request, reply) => {
    const { error, headers } = lost(request.method, pathOf(request.url), KNOWN);
    reply.hijack();
    writeProblem(reply.raw, error, headers);
  });
  return router;
}

const pathOf = (url: string): string => url.split("?", 1)[0] ?? "";

/** The router's own refusals in our words; everything else stays what it is. */
function fromRouter(error: unknown): unknown {
  switch ((error as FastifyError).code) {
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new SoloError("unsupported_media_type", "The body must be JSON.", {
        hint: "Send it with `content-type: application/json`.",
      });
    case "FST_ERR_BAD_URL":
      return new SoloError("invalid_argument", "The path holds a malformed percent-encoding.");
    default:
      return error;
  }
}
