/**
 * An MCP server before a kernel, for one caller: tools, resources and prompts. The transports
 * (`gateway/mcp` over HTTP, `solo mcp` over stdio) connect it.
 *
 * 1. It holds no policy and keeps nothing between requests: who may do what is decided by
 *    what the caller's operations answer.
 * 2. An operation's refusal is a tool's answer with `isError`; of a resource or a prompt it is
 *    a JSON-RPC error whose `data` is the problem document.
 * 3. A cancelled request cancels its operation.
 */
import { McpServer, ProtocolError, ProtocolErrorCode } from "@modelcontextprotocol/server";
import type { ServerContext } from "@modelcontextprotocol/server";
import { toProblem } from "#api/problem.ts";
import type { SoloError } from "#base/errors.ts";
import type { Caller } from "#mcp/caller.ts";
import { MCP_LIMITS, type McpLimits } from "#mcp/limits.ts";
import type { ReadPage } from "#mcp/pages.ts";
import { progressOf } from "#mcp/progress.ts";
import { PROMPTS, promptMessages } from "#mcp/prompts.ts";
import { readResource, RESOURCES, TEMPLATES } from "#mcp/resources.ts";
import { callTool, listTools } from "#mcp/tool-box.ts";

export interface McpServerParts {
  readonly caller: Caller;
  readonly version: string;
  readonly readPage: ReadPage;
  /** Anything thrown, as a refusal; what nobody foresaw is kept where the operator looks. */
  readonly report: (thrown: unknown) => SoloError;
  readonly limits?: Partial<McpLimits>;
}

/** Newest first; older clients negotiate one with `initialize`. */
const PROTOCOL_VERSIONS = ["2026-07-28", "2025-11-25", "2025-06-18"];

/** The catalogue does not change while the process runs, so nobody need listen for it. */
const FIXED = { listChanged: false };

const INSTRUCTIONS = `Solo runs source code as supervised, isolated services. Read the page "services" (read_docs) before you write one; then validate, deploy, call. When something fails, its code, detail and hint say what to do; logs, list_events and status say what happened.`;

export function mcpServer({
  caller,
  version,
  readPage,
  report,
  ...parts
}: McpServerParts): McpServer {
  const limits: McpLimits = { ...MCP_LIMITS, ...parts.limits };
  const mcp = new McpServer(
    { name: "solo", title: "Solo", version },
    {
      capabilities: { tools: FIXED, resources: FIXED, prompts: FIXED },
      instructions: INSTRUCTIONS,
      supportedProtocolVersions: PROTOCOL_VERSIONS,
    },
  );
  const { server } = mcp;
  const reading = ({ mcpReq }: ServerContext) => ({
    caller,
    readPage,
    maxChars: limits.answerChars,
    signal: mcpReq.signal,
  });

  server.setRequestHandler("tools/list", () => ({ tools: listTools() }));
  server.setRequestHandler("tools/call", async ({ params }, context) => {
    const { signal } = context.mcpReq;
    const input = params.arguments ?? {};
    using _ = progressOf(context, limits.progressMs);
    const answer = await callTool(params.name, { input, caller, readPage, limits, signal, report });
    if (answer !== undefined) return answer;
    throw new ProtocolError(
      ProtocolErrorCode.InvalidParams,
      `There is no tool ${params.name.slice(0, 100)}; tools/list has them all.`,
    );
  });
  server.setRequestHandler("resources/list", () => ({ resources: RESOURCES }));
  server.setRequestHandler("resources/templates/list", () => ({ resourceTemplates: TEMPLATES }));
  server.setRequestHandler("resources/read", async ({ params }, context) => ({
    contents: [await refusedAsError(readResource(params.uri, reading(context)), report)],
  }));
  server.setRequestHandler("prompts/list", () => ({
    prompts: PROMPTS.map(({ name, description, arguments: needed }) => ({
      name,
      description,
      arguments: [...needed],
    })),
  }));
  server.setRequestHandler("prompts/get", async ({ params }, context) => ({
    messages: await refusedAsError(
      promptMessages(params.name, params.arguments ?? {}, reading(context)),
      report,
    ),
  }));
  return mcp;
}

const CALLERS_FAULT = new Set(["invalid_argument", "not_found", "service_not_found"]);

async function refusedAsError<T>(work: Promise<T>, report: McpServerParts["report"]): Promise<T> {
  try {
    return await work;
  } catch (thrown) {
    const error = report(thrown);
    const code = CALLERS_FAULT.has(error.code)
      ? ProtocolErrorCode.InvalidParams
      : ProtocolErrorCode.InternalError;
    throw new ProtocolError(code, error.message, toProblem(error));
  }
}
