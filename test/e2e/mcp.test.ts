/** The Model Context Protocol as an agent's host uses it: the official client, a real kernel. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestKernel, until, type Body } from "../support/kernel.ts";
import { McpClient } from "../support/mcp-client.ts";

const COUNTER = `export default {
  version: "1",
  init: () => ({ count: 0 }),
  calls: {
    add(solo, by = 1) { console.log("adding", by); return (solo.state.count += by); },
    fail() { throw new Error("on purpose"); },
  },
};`;

let kernel: TestKernel;
beforeAll(async () => {
  kernel = await TestKernel.start();
});
afterAll(() => kernel[Symbol.asyncDispose]());

describe.for(["auto", "legacy"] as const)("an agent over HTTP (%s)", (mode) => {
  it("deploys, calls, updates, rolls back and kills a service", async () => {
    const agent = await McpClient.overHttp(kernel.http, kernel.headers, mode);
    // From now on the client checks every answer against its tool's schema.
    await agent.tools();
    const service_id = `counter-${mode}`;
    const format = "javascript_source";
    const deployed = await agent.call("deploy", { service_id, code: COUNTER, format });
    expect(deployed.body, deployed.texts.join()).toMatchObject({ service_id, state: "running" });
    expect((await agent.call("call", { service_id, name: "add", args: [5] })).body).toEqual({
      reply: 5,
    });
    const code = COUNTER.replace("+= by", "-= by");
    const updated = await agent.call("update", { service_id, code, format });
    expect(updated.isError, updated.texts.join()).toBe(false);
    expect((await agent.call("call", { service_id, name: "add", args: [1] })).body).toEqual({
      reply: 4,
    });
    expect((await agent.call("rollback", { service_id })).isError).toBe(false);
    expect((await agent.call("call", { service_id, name: "add", args: [1] })).body).toEqual({
      reply: 5,
    });
    const { body } = await agent.call("logs", { service_id });
    expect(body["lines"].map((line: { text: string }) => line.text)).toContain("adding 5");
    expect((await agent.call("kill", { service_id })).isError).toBe(false);
  });
});

/** A token of the default tenant that may do no more than this. */
async function tokenFor(permissions: string[], resources: string[]): Promise<string> {
  const made = await kernel.client.grantCapability({ permissions, resources });
  return made.token!;
}

/** Without what differs from one time to the next. */
const stable = ({ denial, ...problem }: Body) => ({
  ...problem,
  ...(denial && { denial: { ...denial, retry_after_ms: undefined } }),
});

describe("a refusal", () => {
  const cases: readonly {
    why: string;
    tool: string;
    input: Body;
    rest: [string, string, Body?];
  }[] = [
    {
      why: "authority is missing",
      tool: "call",
      input: { service_id: "ledger", name: "pay", args: [7] },
      rest: ["POST", "/services/ledger/calls/pay", { args: [7] }],
    },
    {
      why: "fields are wrong, all of them named",
      tool: "deploy",
      input: { service_id: "no good name!", code: 7, colour: "red" },
      rest: ["POST", "/services", { service_id: "no good name!", code: 7, colour: "red" }],
    },
    {
      why: "the source does not compile",
      tool: "deploy",
      input: { service_id: "broken", code: "export default {" },
      rest: ["POST", "/services", { service_id: "broken", code: "export default {" }],
    },
    {
      why: "there is no such service",
      tool: "status",
      input: { service_id: "nobody" },
      rest: ["GET", "/services/nobody"],
    },
  ];

  it.for(cases)("is the same as REST's when $why", async ({ tool, input, rest }) => {
    const token = await tokenFor(["read", "deploy"], ["*"]);
    const headers = { authorization: `Bearer ${token}` };
    const agent = await McpClient.overHttp(kernel.http, headers);
    const reply = await agent.call(tool, input);
    const [method, path, body] = rest;
    const answer = await kernel.request(method, path, body, headers);
    expect(reply.isError).toBe(true);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(stable(reply.body)).toEqual(stable(answer.body));
    expect(JSON.parse(reply.texts[0]!)).toEqual(reply.body);
  });

  it("teaches: a denial names what is missing and who can grant it, and is on record", async () => {
    const token = await tokenFor(["read"], ["service:ledger"]);
    const agent = await McpClient.overHttp(kernel.http, { authorization: `Bearer ${token}` });
    const { body } = await agent.call("call", { service_id: "ledger", name: "pay" });
    expect(body).toMatchObject({
      code: "permission_denied",
      denial: {
        permission: "invoke",
        resource: "service:ledger",
        grantable_by: expect.arrayContaining(["owner"]),
      },
    });
    const denied = await kernel.client.listEvents({
      event_type: "capability_denied",
      newest_first: true,
      limit: 1,
    });
    expect(denied.events[0]?.payload).toMatchObject({ permission: "invoke" });
  });

  it("meets a token that was revoked meanwhile", async () => {
    const { token, capability } = await kernel.client.grantCapability({
      permissions: ["read"],
      resources: ["*"],
    });
    const agent = await McpClient.overHttp(kernel.http, { authorization: `Bearer ${token}` });
    expect((await agent.call("list")).isError).toBe(false);
    await kernel.client.revokeCapability({ id: capability.id });
    const { body } = await agent.call("list");
    expect(body).toMatchObject({ denial: { why: "revoked" } });
  });
});

it("every use is counted in the metrics and charged to the capability", async () => {
  const { token, capability } = await kernel.client.grantCapability({
    permissions: ["read"],
    resources: ["*"],
    max_uses: 2,
  });
  const agent = await McpClient.overHttp(kernel.http, { authorization: `Bearer ${token}` });
  expect((await agent.call("list")).isError).toBe(false);
  expect((await agent.call("list")).isError).toBe(false);
  expect((await agent.call("list")).body).toMatchObject({ denial: { why: "uses" } });
  const seen = await kernel.client.inspectCapability({ id: capability.id });
  expect(seen.uses).toBe(2);
  const metrics = await (await fetch(`${kernel.metrics}/metrics`)).text();
  expect(metrics).toMatch(/operation="List",code="permission_denied"/);
});

it("resources and prompts show what runs, and how to write what shall", async () => {
  await kernel.client.deploy({ service_id: "shown", code: COUNTER, format: "javascript_source" });
  await kernel.client.call({ service_id: "shown", name: "add" });
  const { client } = await McpClient.overHttp(kernel.http, kernel.headers);
  const read = async (uri: string) => {
    const { contents } = await client.readResource({ uri });
    return contents.map((part) => ("text" in part ? part.text : "")).join("");
  };
  expect(await read("solo://services")).toContain('"shown"');
  expect(JSON.parse(await read("solo://services/shown"))).toMatchObject({ state: "running" });
  expect(await read("solo://services/shown/logs")).toContain("adding");
  expect(JSON.parse(await read("solo://events")).events.length).toBeGreaterThan(0);
  expect(await read("solo://docs/services")).toContain("defineService");
  const { messages } = await client.getPrompt({
    name: "write_service",
    arguments: { purpose: "count visitors" },
  });
  expect(JSON.stringify(messages)).toContain("defineService");
});

const CANCELLED = /operation="Call",code="cancelled"\} [1-9]/;

describe("solo mcp", () => {
  it.for(["legacy", "auto"] as const)("serves the same over stdio (%s)", async (mode) => {
    const agent = await McpClient.overStdio(["--data-dir", kernel.dataDir], {
      cwd: kernel.dataDir,
      mode,
    });
    const overHttp = await McpClient.overHttp(kernel.http, kernel.headers);
    expect(await agent.tools()).toEqual(await overHttp.tools());
    const service_id = `stdio-${mode}`;
    const deployed = await agent.call("deploy", {
      service_id,
      code: COUNTER,
      format: "javascript_source",
    });
    expect(deployed.body).toMatchObject({ service_id, state: "running" });
    expect((await agent.call("call", { service_id, name: "add" })).body).toEqual({ reply: 1 });
    expect((await agent.call("logs", { service_id })).body["lines"]).toHaveLength(1);
    expect((await agent.call("call", { service_id, name: "fail" })).body).toMatchObject({
      code: "service_crashed",
      detail: expect.stringContaining("on purpose"),
    });
    const refused = await agent.call("status", { service_id: "nobody", colour: "red" });
    expect(refused.body).toMatchObject({ code: "invalid_argument", errors: [{ field: "colour" }] });
  });

  it("cancels an operation whose request is cancelled", async () => {
    const code = `export default { calls: {
      async wait(solo) { console.log("waiting"); await solo.sleep(60_000); },
    } };`;
    await kernel.client.deploy({ service_id: "slow", code, format: "javascript_source" });
    const agent = await McpClient.overStdio(["--data-dir", kernel.dataDir], {
      cwd: kernel.dataDir,
    });
    const gone = new AbortController();
    const call = agent
      .call("call", { service_id: "slow", name: "wait" }, { signal: gone.signal })
      .catch((error: unknown) => error);
    await until(async () => {
      for await (const line of kernel.client.logs({ service_id: "slow" })) return line;
      return undefined;
    }, "the call to begin");
    gone.abort();
    expect(await call).toBeInstanceOf(Error);
    await until(
      async () => CANCELLED.test(await (await fetch(`${kernel.metrics}/metrics`)).text()),
      "the call to be cancelled",
    );
    await kernel.client.kill({ service_id: "slow", force: true });
  });

  it("answers kernel_unreachable while there is no kernel, and goes on when there is one", async () => {
    const { dataDir } = kernel;
    const agent = await McpClient.overStdio(["--data-dir", dataDir], { cwd: dataDir });
    expect((await agent.call("list")).isError).toBe(false);
    await kernel.stop();
    const { body, isError } = await agent.call("list");
    expect(isError).toBe(true);
    expect(body).toMatchObject({
      code: "kernel_unreachable",
      hint: expect.stringContaining("solo start"),
    });
    // On other ports, and found again.
    await kernel.restart();
    expect((await agent.call("list")).isError).toBe(false);
  });
});
