/**
 * `solo mcp`: the Model Context Protocol on standard input and output, before a running kernel.
 *
 * 1. Standard output carries messages of the protocol and nothing else.
 * 2. The kernel is looked for anew with every request: it may start later, stop, or come back
 *    elsewhere. While there is none, tools answer `kernel_unreachable`.
 * 3. It ends when its input does; what was under way is cancelled.
 */
import { Readable, type Writable } from "node:stream";
import { EXIT, SoloError, toSoloError } from "#base/errors.ts";
import type { Client } from "#client/client.ts";
import { methodName } from "#client/operations.ts";
import type { CommandSpec } from "#cli/command-spec.ts";
import type { Session } from "#cli/session.ts";
import type { Caller } from "#mcp/caller.ts";

type Ask = (input: unknown, options: { readonly signal: AbortSignal }) => unknown;

export const mcp: CommandSpec = {
  name: "mcp",
  heading: "Kernel:",
  summary: "Serve the Model Context Protocol on standard input and output.",
  description: `Serve the Model Context Protocol on standard input and output, for agents that start
their servers themselves. It talks to the running kernel with the token it finds, as every
command does; over the network the kernel serves the same at POST /mcp.`,
  examples: [
    "solo mcp",
    "solo mcp --data-dir /var/lib/solo",
    "claude mcp add solo -- npx solo mcp",
  ],
  async run(session) {
    if (session.powers.isTTY) {
      session.powers.stderr.write("solo mcp speaks JSON-RPC on standard input; Ctrl-D ends it.\n");
    }
    const failure = await serve(session);
    if (failure !== undefined) throw failure;
    return EXIT.OK;
  },
};

/** Until the input ends; why it ended before, if it did. */
async function serve(session: Session): Promise<SoloError | undefined> {
  const [{ serveStdio, StdioServerTransport }, { mcpServer }, { MCP_LIMITS }] = await Promise.all([
    import("@modelcontextprotocol/server/stdio"),
    import("#mcp/server.ts"),
    import("#mcp/limits.ts"),
  ]);
  const { stdin, stdout, stderr, version, readPage } = session.powers;
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  class Wire extends StdioServerTransport {
    override async close(): Promise<void> {
      await super.close();
      end();
    }
  }
  const input = stdin instanceof Readable ? stdin : Readable.from(stdin);
  const bounds = { maxBufferSize: MCP_LIMITS.lineBytes };
  const wire = new Wire(input, stdout as Writable, bounds);
  // Hosts keep what comes on standard error.
  const tell = (text: string) => void stderr.write(`solo mcp: ${text.slice(0, 1_000)}\n`);
  const report = (thrown: unknown): SoloError => {
    const error = toSoloError(thrown);
    if (error !== thrown) tell(thrown instanceof Error ? String(thrown.stack) : String(thrown));
    return error;
  };
  const parts = { caller: callerOf(session), version, readPage, report };
  const server = serveStdio(() => mcpServer(parts), {
    transport: wire,
    // Nothing here changes by itself: whoever listened would hear nothing.
    maxSubscriptions: 0,
    onerror: ({ message }) => tell(message),
  });
  session.signal.addEventListener("abort", () => void server.close(), { once: true });
  await ended;
  await server.close();
  // The transport gives up by itself only on a message that outgrew its buffer.
  const gaveUp = !input.readableEnded && !input.destroyed && !session.signal.aborted;
  // A host that holds it open would hold the process.
  input.destroy();
  if (!gaveUp) return undefined;
  return new SoloError(
    "payload_too_large",
    `A message was larger than ${MCP_LIMITS.lineBytes} bytes.`,
    { hint: "Send less at once; a service takes large uploads through its fetch." },
  );
}

function callerOf(session: Session): Caller {
  const method = async (name: Parameters<typeof methodName>[0]): Promise<Ask> => {
    const client: Client = await session.client();
    return client[methodName(name)] as Ask;
  };
  return {
    async call(name, input, signal) {
      const ask = await method(name);
      return await ask(input, { signal });
    },
    async *stream(name, input, signal) {
      const ask = await method(name);
      yield* ask(input, { signal }) as AsyncIterable<unknown>;
    },
  };
}
