/** The Model Context Protocol as an agent's host uses it: the official client, a real kernel. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestKernel } from "../support/kernel.ts";
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
