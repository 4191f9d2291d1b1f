/** The MCP server by itself, with the official client at the other end of a pipe in memory. */
import { Client, InMemoryTransport } from "@modelcontextprotocol/client";
import { describe, expect, it, onTestFinished } from "vitest";
import { SoloError, toSoloError } from "#base/errors.ts";
import type { Caller } from "#mcp/caller.ts";
import type { McpLimits } from "#mcp/limits.ts";
import { mcpServer } from "#mcp/server.ts";

/** What was reported, newest last. */
const unforeseen: unknown[] = [];

type Answers = Readonly<Record<string, (input: unknown, signal: AbortSignal) => unknown>>;

const missing = (name: string) => new SoloError("unimplemented", `The test has no ${name}.`);

const callerOf = (answers: Answers): Caller => ({
  async call(name, input, signal) {
    const answer = answers[name];
    if (answer === undefined) throw missing(name);
    return await answer(input, signal);
  },
  async *stream(name, input, signal) {
    const answer = answers[name];
    if (answer === undefined) throw missing(name);
    yield* (await answer(input, signal)) as Iterable<unknown>;
  },
});

async function connect(answers: Answers = {}, limits: Partial<McpLimits> = {}): Promise<Client> {
  const readPage = async (name: string) => `# ${name}`;
  const server = mcpServer({
    caller: callerOf(answers),
    version: "1",
    readPage,
    report: (thrown) => {
      unforeseen.push(thrown);
      return toSoloError(thrown);
    },
    limits,
  });
  const client = new Client({ name: "test", version: "1" });
  const [here, there] = InMemoryTransport.createLinkedPair();
  onTestFinished(() => client.close());
  await Promise.all([server.connect(there), client.connect(here)]);
  return client;
}

const line = (seq: number) => ({
  seq,
  at: "now",
  level: "info",
  text: `line ${seq}`,
  instance_id: "i",
});

it("says what it is, and promises no news", async () => {
  const client = await connect();
  expect(client.getServerVersion()).toMatchObject({ name: "solo", version: "1" });
  const fixed = { listChanged: false };
  expect(client.getServerCapabilities()).toEqual({
    tools: fixed,
    resources: fixed,
    prompts: fixed,
  });
  expect(client.getInstructions()).toContain("read_docs");
});

describe("a tool", () => {
  it("answers with the operation's output, as text and as structure", async () => {
    const client = await connect({ Call: () => ({ reply: [1, { a: null }] }) });
    const reply = await client.callTool({ name: "call", arguments: {} });
    expect(reply.structuredContent).toEqual({ reply: [1, { a: null }] });
    expect(reply.content).toEqual([{ type: "text", text: '{"reply":[1,{"a":null}]}' }]);
  });

  it("that collects a stream keeps the newest lines, or what follows a place", async () => {
    const lines = Array.from({ length: 100 }, (_, i) => line(i));
    const client = await connect({ Logs: () => lines }, { answerChars: 1_000 });
    const seqs = async (input: object) => {
      const reply = await client.callTool({
        name: "logs",
        arguments: { service_id: "a", ...input },
      });
      return (reply.structuredContent as { lines: { seq: number }[] }).lines.map(({ seq }) => seq);
    };
    expect((await seqs({})).at(-1)).toBe(99);
    expect((await seqs({ since: 5 })).at(0)).toBe(0);
  });

  it("that does not follow refuses to, by the field's name", async () => {
    const client = await connect({ Logs: () => [] });
    const reply = await client.callTool({
      name: "logs",
      arguments: { service_id: "a", follow: true },
    });
    expect(reply.isError).toBe(true);
    expect(reply.structuredContent).toMatchObject({
      code: "invalid_argument",
      errors: [{ field: "follow" }],
    });
  });

  it("tells a host that asked for it that a call is under way, and no longer than that", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const answers = { Call: () => promise.then(() => ({ reply: 1 })) };
    const client = await connect(answers, { progressMs: 10 });
    const heard: number[] = [];
    const onprogress = ({ progress }: { progress: number }) => {
      heard.push(progress);
      if (heard.length === 3) resolve();
    };
    await client.callTool({ name: "call", arguments: {} }, { onprogress });
    expect(heard.slice(0, 3)).toEqual([0.01, 0.02, 0.03]);
  });

  it("hides what nobody foresaw from the client, and reports it", async () => {
    const client = await connect({
      Status: () => {
        throw new Error("/etc/secret/path");
      },
    });
    const reply = await client.callTool({ name: "status", arguments: {} });
    expect(reply.structuredContent).toMatchObject({ code: "internal", status: 500 });
    expect(JSON.stringify(reply)).not.toContain("/etc/secret");
    expect(unforeseen.at(-1)).toMatchObject({ message: "/etc/secret/path" });
  });
});

describe("a page of the documentation", () => {
  it("is read by the tool, and as a resource", async () => {
    const client = await connect();
    const reply = await client.callTool({ name: "read_docs", arguments: { page: "services" } });
    expect(reply.content).toEqual([{ type: "text", text: "# services" }]);
    const { contents } = await client.readResource({ uri: "solo://docs/errors" });
    expect(contents).toEqual([
      { uri: "solo://docs/errors", mimeType: "text/markdown", text: "# errors" },
    ]);
  });

  it("that is none is refused, whatever path it names", async () => {
    const client = await connect();
    for (const page of ["../package", "__proto__", 7, undefined]) {
      const reply = await client.callTool({ name: "read_docs", arguments: { page } });
      expect(reply.structuredContent).toMatchObject({ code: "invalid_argument" });
    }
    for (const uri of ["solo://docs/../package", "solo://docs/%2e%2e", "file:///etc/passwd"]) {
      await expect(client.readResource({ uri })).rejects.toMatchObject({
        code: -32_602,
        data: { code: "not_found" },
      });
    }
  });
});

describe("a resource", () => {
  it("asks the operation it stands for", async () => {
    const asked: unknown[] = [];
    const answer = (name: string) => (input: unknown) => {
      asked.push([name, input]);
      return name === "Logs" ? [line(1)] : { name };
    };
    const client = await connect({
      List: answer("List"),
      Status: answer("Status"),
      Logs: answer("Logs"),
      ListEvents: answer("ListEvents"),
    });
    for (const path of ["services", "services/a%2Db", "services/a/logs", "events"]) {
      await client.readResource({ uri: `solo://${path}` });
    }
    expect(asked).toEqual([
      ["List", {}],
      ["Status", { service_id: "a-b" }],
      ["Logs", { service_id: "a" }],
      ["ListEvents", { newest_first: true }],
    ]);
  });

  it("that is refused is an error whose data is the problem", async () => {
    const client = await connect({
      Status: () => {
        throw new SoloError("permission_denied", "No.", { hint: "Ask the owner." });
      },
    });
    await expect(client.readResource({ uri: "solo://services/a" })).rejects.toMatchObject({
      code: -32_603,
      message: expect.stringContaining("No."),
      data: { code: "permission_denied", status: 403, hint: "Ask the owner." },
    });
  });
});

describe("a prompt", () => {
  it("begins with its task, and what is to be read with it", async () => {
    const client = await connect({
      Status: () => ({ state: "quarantined" }),
      Logs: () => [line(1)],
    });
    const { messages } = await client.getPrompt({
      name: "diagnose_crash",
      arguments: { service_id: "a" },
    });
    expect(messages.map(({ content }) => content.type)).toEqual(["text", "resource", "resource"]);
    expect(JSON.stringify(messages)).toContain("quarantined");
  });

  it("names the argument that is missing", async () => {
    const client = await connect();
    await expect(client.getPrompt({ name: "write_service" })).rejects.toMatchObject({
      code: -32_602,
      data: { errors: [{ field: "purpose" }] },
    });
  });

  it("names no tool that is not there", async () => {
    const client = await connect({ Status: () => ({}), Logs: () => [] });
    const names = new Set((await client.listTools()).tools.map((tool) => tool.name));
    const given = { purpose: "x", service_id: "x" };
    const { prompts } = await client.listPrompts();
    for (const { name } of prompts) {
      const { messages } = await client.getPrompt({ name, arguments: given });
      const [first] = messages;
      const text = first?.content.type === "text" ? first.content.text : "";
      const named = text.match(/\b[a-z]+_(?!id\b|first\b|crash\b)[a-z]+\b/g) ?? [];
      expect(named.filter((word) => !names.has(word))).toEqual([]);
    }
  });
});
