/** The MCP door by itself: what it lets in, what it refuses and how, before a kernel in memory. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SoloError } from "#base/errors.ts";
import { aborted, event, signalled } from "../support/fake-rest-kernel.ts";
import { McpClient } from "../support/mcp-client.ts";
import { AUTH, RawClient, startGateway, type Harness } from "../support/rest-harness.ts";

const MODERN = "2026-07-28";

const message = (method: string, params: object = {}) => ({
  jsonrpc: "2.0",
  id: 1,
  method,
  params: {
    ...params,
    _meta: {
      "io.modelcontextprotocol/protocolVersion": MODERN,
      "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
      "io.modelcontextprotocol/clientCapabilities": {},
    },
  },
});

interface Sent {
  readonly headers?: Record<string, string>;
  readonly method?: string;
}

/** As a client of the newest revision sends it. */
function post({ url }: Harness, body: unknown, { headers = {}, method = "POST" }: Sent = {}) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const named = body as { method?: string; params?: { name?: string } };
  return fetch(`${url}/mcp`, {
    method,
    headers: {
      ...AUTH,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": MODERN,
      ...(typeof named.method === "string" && { "mcp-method": named.method }),
      ...(typeof named.params?.name === "string" && { "mcp-name": named.params.name }),
      ...headers,
    },
    ...(method === "POST" && { body: text }),
  });
}

const json = async (response: Response) => (await response.json()) as Record<string, never>;

describe("who may knock", () => {
  it("a request without a token is turned away with a challenge, whatever it asks", async () => {
    const gateway = await startGateway();
    for (const method of ["server/discover", "tools/list", "initialize"]) {
      const response = await post(gateway, message(method), { headers: { authorization: "" } });
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toBe('Bearer realm="solo"');
      expect(await json(response)).toMatchObject({ code: "unauthenticated" });
    }
  });

  it("a stranger's body is not read: what is wrong with it is not told", async () => {
    const gateway = await startGateway();
    const response = await post(gateway, "{not json", { headers: { authorization: "Bearer no" } });
    expect(response.status).toBe(401);
  });

  it("a page of another site is refused", async () => {
    const gateway = await startGateway();
    const headers = { origin: "https://evil.example" };
    const response = await post(gateway, message("tools/list"), { headers });
    expect(response.status).toBe(403);
  });

  it("a name that was rebound to this address is refused", async () => {
    const { port } = await startGateway();
    const client = new RawClient(port);
    const text = await client.request(
      [
        "POST /mcp HTTP/1.1",
        `Host: evil.example:${port}`,
        `Authorization: ${AUTH.authorization}`,
        "Content-Type: application/json",
        "Content-Length: 2",
      ],
      "{}",
    );
    expect(text).toContain("HTTP/1.1 403");
  });
});

describe("a message", () => {
  it("that is not JSON is a parse error that says where it stops", async () => {
    const response = await post(await startGateway(), '{"jsonrpc": "2.0",,}');
    expect(response.status).toBe(400);
    expect(await json(response)).toMatchObject({
      jsonrpc: "2.0",
      id: null,
      error: {
        code: -32_700,
        data: { code: "invalid_argument", detail: expect.stringContaining("column 19") },
      },
    });
  });

  it("that is a batch, or nothing, is an invalid request", async () => {
    const gateway = await startGateway();
    for (const body of [[message("tools/list")], "", "7"]) {
      const response = await post(gateway, body);
      expect(response.status).toBe(400);
      expect(await json(response)).toMatchObject({ error: { code: -32_600 } });
    }
  });

  it("that is too large is refused unread", async () => {
    const gateway = await startGateway({}, { limits: { bodyBytes: 1_000 } });
    const response = await post(gateway, message("tools/call", { pad: "x".repeat(2_000) }));
    expect(response.status).toBe(413);
    expect(await json(response)).toMatchObject({ error: { data: { code: "payload_too_large" } } });
  });

  it("that is not called JSON is refused with its status", async () => {
    const headers = { "content-type": "text/plain" };
    const response = await post(await startGateway(), message("tools/list"), { headers });
    expect(response.status).toBe(415);
    expect(await json(response)).toMatchObject({
      error: { data: { code: "unsupported_media_type" } },
    });
  });

  it("of an unknown revision is told which there are", async () => {
    const unknown = JSON.parse(
      JSON.stringify(message("tools/list")).replaceAll(MODERN, "1999-01-01"),
    );
    const headers = { "mcp-protocol-version": "1999-01-01" };
    const response = await post(await startGateway(), unknown, { headers });
    expect(response.status).toBe(400);
    expect(await json(response)).toMatchObject({ error: { data: { supported: [MODERN] } } });
  });

  it("with a method that is not there is method not found", async () => {
    const response = await post(await startGateway(), message("no/such"));
    expect(response.status).toBe(404);
    expect(await json(response)).toMatchObject({ error: { code: -32_601 } });
  });

  it("that wants to listen is refused: no stream stays open", async () => {
    const body = message("subscriptions/listen", { notifications: { toolsListChanged: true } });
    const response = await post(await startGateway(), body);
    expect(await json(response)).toMatchObject({
      error: { message: expect.stringMatching(/limit/i) },
    });
  });
});

/** As far as a header can carry it. */
const methodOf = (sent: unknown): string => {
  const method = (sent as { method?: unknown } | null)?.method;
  return typeof method === "string" && /^[\x21-\x7e]+$/.test(method) ? method : "none";
};

it("whatever is sent, the answer is the client's to understand: never a failure of ours", async () => {
  const gateway = await startGateway({ calls: { List: () => ({ services: [] }) } });
  const methods = [
    "tools/call",
    "tools/list",
    "resources/read",
    "prompts/get",
    "initialize",
    "ping",
  ];
  const { _meta } = message("").params;
  const params = fc.record(
    {
      name: fc.oneof(fc.constantFrom("list", "read_docs", "write_service"), fc.jsonValue()),
      uri: fc.oneof(fc.constantFrom("solo://services", "solo://docs/errors"), fc.jsonValue()),
      arguments: fc.jsonValue(),
      _meta: fc.oneof(fc.constant(_meta), fc.jsonValue()),
    },
    { requiredKeys: [] },
  );
  const body = fc.oneof(
    fc.jsonValue(),
    fc.record({
      jsonrpc: fc.constantFrom<unknown>("2.0", "1.0", null),
      id: fc.oneof(fc.jsonValue(), fc.integer()),
      method: fc.oneof(fc.constantFrom(...methods), fc.string()),
      params: fc.oneof(params, fc.jsonValue()),
    }),
  );
  await fc.assert(
    fc.asyncProperty(body, fc.boolean(), async (sent, modern) => {
      const headers = { "mcp-protocol-version": modern ? MODERN : "2025-06-18" };
      const response = await post(gateway, JSON.stringify(sent), {
        headers: { ...headers, ...(modern && { "mcp-method": methodOf(sent) }) },
      });
      expect(response.status, JSON.stringify(sent)).toBeLessThan(500);
      await response.arrayBuffer();
    }),
    { numRuns: 150 },
  );
});

it("GET and DELETE are not there, and the answer says what is", async () => {
  const gateway = await startGateway();
  for (const method of ["GET", "DELETE"]) {
    const response = await post(gateway, {}, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("POST");
  }
});

describe("a tool", () => {
  it("that is not there is an invalid request of the client", async () => {
    const agent = await connect(await startGateway());
    await expect(agent.call("no_such_tool")).rejects.toMatchObject({ code: -32_602 });
  });

  it("gets the caller's token and tenant, and a signal", async () => {
    const gateway = await startGateway({ calls: { List: () => ({ services: [] }) } });
    const agent = await connect(gateway, { "x-solo-tenant": "acme" });
    expect((await agent.call("list")).body).toEqual({ services: [] });
    expect(gateway.kernel.seen[0]?.context.credentials).toEqual({
      token: "solo_test",
      tenant: "acme",
    });
  });

  it.for(["auto", "legacy"] as const)("is cancelled when its client goes (%s)", async (mode) => {
    const begun = signalled("the call to begin");
    const ended = signalled("the operation to be cancelled");
    const gateway = await startGateway({
      calls: {
        Call: async (_input, { signal }) => {
          begun.resolve();
          await aborted(signal);
          ended.resolve();
          throw new SoloError("cancelled", "The caller is gone.");
        },
      },
    });
    const agent = await McpClient.overHttp(gateway.url, AUTH, mode);
    const gone = new AbortController();
    const call = agent.call("call", { service_id: "a", name: "b" }, { signal: gone.signal });
    const outcome = call.catch((error: unknown) => error);
    await begun.promise;
    if (mode === "auto") gone.abort();
    else await agent.client.close();
    await ended.promise;
    expect(await outcome).toBeInstanceOf(Error);
  });

  it("whose answer is too long keeps its shape, and says what is missing and how to get it", async () => {
    const events = Array.from({ length: 2_000 }, (_, id) => ({ ...event(id), boot_id: "b" }));
    const calls = {
      ListEvents: () => ({ events, last_id: 2_000 }),
      Call: () => ({ reply: "x".repeat(100_000) }),
    };
    const agent = await connect(await startGateway({ calls }));
    // From now on the client checks answers against the tools' schemas.
    await agent.tools();
    const listed = await agent.call("list_events");
    expect(listed.body["last_id"]).toBe(2_000);
    expect(listed.body["events"]).toEqual(events.slice(0, listed.body["events"].length));
    expect(listed.texts[1]).toMatch(
      /^Cut to fit: events: \d+ of 2000 items\. Ask for a part with limit, since_id.*GET \/events over REST/,
    );
    const reply = await agent.call("call", { service_id: "a", name: "b" });
    expect(reply.texts[0]!.length).toBeLessThanOrEqual(48_000);
    expect(reply.texts[1]).toMatch(/^Cut to fit: reply: \d+ of 100000 characters\. It was done/);
  });
});

const connect = ({ url }: Harness, headers: Record<string, string> = {}) =>
  McpClient.overHttp(url, { ...AUTH, ...headers });
