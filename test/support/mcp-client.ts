/** The official MCP client, connected and closed after the test. */
import { Client, StreamableHTTPClientTransport, type Tool } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

const ENTRY = fileURLToPath(new URL("../../bin/entry.js", import.meta.url));

/** What a tool answered, as the tests look at it. */
export interface ToolReply {
  readonly isError: boolean;
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: Record<string, any>;
  readonly texts: readonly string[];
}

export class McpClient {
  readonly client: Client;

  private constructor(client: Client) {
    this.client = client;
  }

  static async overHttp(
    url: string,
    headers: Readonly<Record<string, string>>,
    mode: "auto" | "legacy" = "auto",
  ): Promise<McpClient> {
    const transport = new StreamableHTTPClientTransport(new URL(`${url}/mcp`), {
      requestInit: { headers: { ...headers } },
    });
    return McpClient.#connect(transport, mode);
  }

  /** `solo mcp` in a process of its own. */
  static async overStdio(
    args: readonly string[],
    options: { readonly cwd: string; readonly mode?: "auto" | "legacy" },
  ): Promise<McpClient> {
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [ENTRY, "mcp", ...args],
      cwd: options.cwd,
      env: { PATH: process.env["PATH"] ?? "", HOME: options.cwd },
      stderr: "pipe",
    });
    return McpClient.#connect(transport, options.mode ?? "legacy");
  }

  static async #connect(
    transport: StreamableHTTPClientTransport | StdioClientTransport,
    mode: "auto" | "legacy",
  ): Promise<McpClient> {
    const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode } });
    onTestFinished(() => client.close());
    await client.connect(transport);
    return new McpClient(client);
  }

  async tools(): Promise<Tool[]> {
    return (await this.client.listTools()).tools;
  }

  async call(
    name: string,
    input: Record<string, unknown> = {},
    options: { signal?: AbortSignal } = {},
  ): Promise<ToolReply> {
    const reply = await this.client.callTool({ name, arguments: input }, options);
    return {
      isError: reply.isError === true,
      body: (reply.structuredContent ?? {}) as ToolReply["body"],
      texts: reply.content.flatMap((part) => (part.type === "text" ? [part.text] : [])),
    };
  }
}
