/** The catalogue's operations over HTTP: each request is translated, handed to the kernel, answered. */
import type { ServerResponse } from "node:http";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { KernelPort } from "#api/kernel-port.ts";
import type { Logger } from "#base/log.ts";
import { clientSignal, JSON_TYPE, writeAnswer } from "#gateway/rest/client.ts";
import { credentialsOf, headerText } from "#gateway/rest/credentials.ts";
import { formatOf } from "#gateway/rest/formats.ts";
import { inputOf } from "#gateway/rest/input.ts";
import type { RestLimits } from "#gateway/rest/limits.ts";
import { reported } from "#gateway/rest/problem.ts";
import {
  chosen,
  ROUTES,
  routerPath,
  type BoundOperation,
  type Route,
} from "#gateway/rest/routes.ts";
import { writeStream, type OpenStreams } from "#gateway/rest/stream.ts";

export interface OperationsOptions {
  readonly kernel: KernelPort;
  readonly log: Logger;
  readonly limits: RestLimits;
  readonly streams: OpenStreams;
}

export function addOperations(app: FastifyInstance, options: OperationsOptions): void {
  for (const route of ROUTES) {
    app.route({
      method: route.method,
      url: routerPath(route.path),
      // A stream has no head worth asking for.
      exposeHeadRoute: route.method === "GET" && route.answer !== undefined,
      handler: (request, reply) => serve(route, request, reply, options),
    });
  }
}

async function serve(
  route: Route,
  request: FastifyRequest,
  reply: FastifyReply,
  options: OperationsOptions,
): Promise<void> {
  const bound = chosen(route, request.headers.accept);
  const input = inputOf(bound, {
    params: request.params as Record<string, string>,
    query: queryOf(request.raw.url),
    body: request.body,
    lastEventId: headerText(request.headers["last-event-id"]),
  });
  const response = reply.raw;
  if (bound.operation.streaming) await streamed(bound, input, request, response, options);
  else await answered(bound, input, request, response, options);
  reply.hijack();
}

const queryOf = (url = ""): string => {
  const mark = url.indexOf("?");
  return mark < 0 ? "" : url.slice(mark + 1);
};

async function answered(
  { name, operation }: BoundOperation,
  input: unknown,
  request: FastifyRequest,
  response: ServerResponse,
  { kernel, limits }: OperationsOptions,
): Promise<void> {
  const signal = clientSignal(response);
  const output = await kernel.call(name, input, {
    credentials: credentialsOf(request),
    signal,
  });
  const { status = 200, location } = operation.http;
  writeAnswer(response, {
    status,
    ...(location !== undefined && { headers: { location: filled(location, output) } }),
    contentType: JSON_TYPE,
    text: JSON.stringify(output),
    stallMs: limits.stallMs,
  });
}

const filled = (template: string, output: object): string =>
  template.replace(/\{(\w+)\}/g, (_, field: string) =>
    encodeURIComponent(String((output as Record<string, unknown>)[field])),
  );

const streamed = (
  { name, operation }: BoundOperation,
  input: unknown,
  request: FastifyRequest,
  response: ServerResponse,
  { kernel, log, limits, streams }: OperationsOptions,
): Promise<void> =>
  writeStream({
    response,
    format: formatOf(operation.http, limits),
    limits,
    streams,
    open: (signal) => kernel.stream(name, input, { credentials: credentialsOf(request), signal }),
    report: (thrown) => reported(thrown, log),
  });
