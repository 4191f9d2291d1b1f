/**
 * One MCP message over HTTP: between Node's request and the protocol library's web standard one.
 *
 * 1. A message is one JSON-RPC object; batches, which newer revisions dropped, are refused.
 * 2. When the client goes, its request's signal fires, and with it the operation's.
 * 3. A client that does not read what is written is cut off.
 */
import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { createMcpHandler } from "@modelcontextprotocol/server";
import type { KernelPort, RequestContext } from "#api/kernel-port.ts";
import { SoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { cutOffUnread, drained, writeAnswer } from "#gateway/rest/client.ts";
import type { RestLimits } from "#gateway/rest/limits.ts";
import type { Caller } from "#mcp/caller.ts";
import type { ReadPage } from "#mcp/pages.ts";
import { mcpServer } from "#mcp/server.ts";

export interface McpExchange {
  readonly headers: IncomingHttpHeaders;
  /** Parsed. */
  readonly body: unknown;
  readonly response: ServerResponse;
}

export interface ExchangeParts {
  readonly kernel: KernelPort;
  readonly context: RequestContext;
  readonly log: Logger;
  readonly limits: RestLimits;
  readonly version: string;
  readonly readPage: ReadPage;
  /** Anything thrown, as a refusal; what nobody foresaw goes to the log. */
  readonly report: (thrown: unknown) => SoloError;
}

/** The library routes by headers and body only. */
const ADDRESS = "http://solo/mcp";
const EVENT_STREAM = "text/event-stream";

export async function serveMcp(exchange: McpExchange, parts: ExchangeParts): Promise<void> {
  const { headers, body, response } = exchange;
  if (typeof body !== "object" || body === null || Array.isArray(body)) throw noMessage();
  const { context, log, limits, version, readPage, report } = parts;
  const caller = callerOf(parts);
  const handler = createMcpHandler(() => mcpServer({ caller, version, readPage, report }), {
    // Nothing here changes by itself: whoever listened would hear nothing.
    maxSubscriptions: 0,
    keepAliveMs: limits.heartbeatMs,
    // What a client did wrong, as a rule; it has its answer.
    onerror: ({ message }) => log.debug("an MCP message failed", { error: message.slice(0, 300) }),
  });
  try {
    const request = new Request(ADDRESS, {
      method: "POST",
      headers: protocolHeaders(headers),
      signal: context.signal,
    });
    await write(await handler.fetch(request, { parsedBody: body }), response, limits.stallMs);
  } finally {
    await handler.close();
  }
}

const callerOf = ({ kernel, context }: ExchangeParts): Caller => ({
  call: (name, input, signal) => kernel.call(name, input, { ...context, signal }),
  stream: (name, input, signal) => kernel.stream(name, input, { ...context, signal }),
});

/** Who asks is settled; the token stays here. */
const protocolHeaders = (headers: IncomingHttpHeaders): [string, string][] =>
  Object.entries(headers).flatMap(([name, value]) =>
    typeof value === "string" && /^(?:accept|content-type|mcp-.*)$/.test(name)
      ? [[name, value] as [string, string]]
      : [],
  );

async function write(answer: Response, response: ServerResponse, stallMs: number): Promise<void> {
  const { status, body } = answer;
  const contentType = answer.headers.get("content-type");
  if (body === null || contentType === null) {
    response.writeHead(status).end();
    return;
  }
  if (!contentType.startsWith(EVENT_STREAM)) {
    writeAnswer(response, { status, contentType, text: await answer.text(), stallMs });
    return;
  }
  response.writeHead(status, {
    "content-type": contentType,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-accel-buffering": "no",
  });
  for await (const chunk of body) {
    if (response.destroyed) break;
    if (!response.write(chunk)) await drained(response, stallMs);
  }
  response.end();
  cutOffUnread(response, stallMs);
}

const noMessage = (): SoloError =>
  new SoloError("invalid_argument", "The body must be one JSON-RPC message.", {
    hint: "Send each message as a request of its own; batches are not taken.",
  });
