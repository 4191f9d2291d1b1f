/**
 * The Model Context Protocol on the HTTP port (SPEC G4): `POST /mcp`, Streamable HTTP.
 *
 * 1. A stranger is turned away before the body is read, with REST's problem and challenge.
 * 2. Whatever else is wrong with a request is a JSON-RPC error; its `data` is the problem.
 * 3. Nothing is kept between requests: no session, no stream beyond an answer. GET and DELETE,
 *    which are about sessions, are not there.
 * 4. The protocol's library is loaded by the first request.
 */
import type { FastifyInstance, FastifyReply } from "fastify";
import type { KernelPort } from "#api/kernel-port.ts";
import { toProblem } from "#api/problem.ts";
import type { SoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { clientSignal, JSON_TYPE, writeAnswer } from "#gateway/rest/client.ts";
import { credentialsOf } from "#gateway/rest/credentials.ts";
import type { RestLimits } from "#gateway/rest/limits.ts";
import type { KnownRoute } from "#gateway/rest/lost.ts";
import { writeProblem } from "#gateway/rest/problem.ts";
import type { ReadPage } from "#mcp/pages.ts";

export const MCP_ROUTE: KnownRoute = { method: "POST", path: "/mcp" };

export interface McpDoorOptions {
  readonly kernel: KernelPort;
  readonly log: Logger;
  readonly limits: RestLimits;
  readonly version: string;
  readonly readPage: ReadPage;
  /** Anything thrown, as a refusal; what nobody foresaw goes to the log. */
  readonly refusalOf: (thrown: unknown) => SoloError;
}

const INVALID_REQUEST = -32_600;
const PARSE_ERROR = -32_700;
/** Refused before anything of the message is looked at. */
const AT_THE_DOOR: ReadonlySet<string> = new Set([
  "unauthenticated",
  "permission_denied",
  "shutting_down",
  "unavailable",
]);

export function addMcp(app: FastifyInstance, options: McpDoorOptions): void {
  const { kernel, log, limits, version, readPage, refusalOf } = options;
  app.route({
    method: MCP_ROUTE.method,
    url: MCP_ROUTE.path,
    onRequest: async (request, reply) => {
      const signal = clientSignal(reply.raw);
      await kernel.admit({ credentials: credentialsOf(request), signal });
    },
    handler: async (request, reply) => {
      const { serveMcp } = await import("#gateway/mcp/exchange.ts");
      const response = reply.raw;
      const signal = clientSignal(response);
      const context = { credentials: credentialsOf(request), signal };
      const parts = { kernel, context, log, limits, version, readPage, report: refusalOf };
      await serveMcp({ headers: request.headers, body: request.body, response }, parts);
      reply.hijack();
    },
    errorHandler: (error, _request, reply) => refuse(refusalOf(error), reply, limits.stallMs),
  });
}

function refuse(error: SoloError, reply: FastifyReply, stallMs: number): void {
  const response = reply.raw;
  reply.hijack();
  if (response.headersSent || AT_THE_DOOR.has(error.code)) {
    writeProblem(response, error);
    return;
  }
  const problem = toProblem(error);
  const isText = error.options.fields?.some(({ field }) => field === "body") === true;
  const code = isText ? PARSE_ERROR : INVALID_REQUEST;
  const text = JSON.stringify({
    jsonrpc: "2.0",
    id: null,
    error: { code, message: error.message, data: problem },
  });
  writeAnswer(response, { status: problem.status, contentType: JSON_TYPE, text, stallMs });
}
