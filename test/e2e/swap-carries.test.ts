/** What a swap carries over to the new revision, what the old one still ends, and how the rest ends. */
import { Agent, request, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  startKernel,
  until,
  type Body,
  type TestKernel,
  type TestTenant,
} from "../support/kernel.ts";
import { holdRequest } from "../support/held-request.ts";

let kernel: TestKernel;
let tenant: TestTenant;
beforeAll(async () => {
  kernel = await startKernel();
  tenant = kernel.tenant("carries");
});
afterAll(() => kernel[Symbol.asyncDispose]());

const watchdog = { enabled: false };
const put = async (service: string, code: string, more: Body = {}): Promise<Body> => {
  const { status, body } = await tenant.request("PUT", `/services/${service}`, { code, ...more });
  if (status !== 200) throw new Error(`update ${service}: ${JSON.stringify(body)}`);
  return body as Body;
};
const deploy = (service_id: string, code: string, more: Body = {}) =>
  tenant.deploy({ service_id, code, watchdog, ...more });

describe("carried over", () => {
  test("an interval goes on in the new revision, and no tick is lost or doubled at the hand-over", async () => {
    const code = (version: number) => `export default { version: "${version}",
      init: () => ({ ticks: 0, by: [] }),
      info(solo) { solo.state.ticks += 1; solo.state.by.push(${version}); },
      calls: { start: (solo) => solo.every(50, "tick"), look: (solo) => solo.state } };`;
    await deploy("ticking", code(1));
    await tenant.call("ticking", "start");
    const look = () => tenant.call("ticking", "look");
    await until(async () => (await look()).ticks >= 2, "ticks of the old revision");
    await put("ticking", code(2));
    const { ticks } = await until(async () => {
      const seen = await look();
      return seen.by.includes(2) && seen;
    }, "ticks of the new revision");
    const { by } = await look();
    expect(by.indexOf(2)).toBe(by.lastIndexOf(1) + 1);
    expect(ticks).toBeGreaterThan(2);
  });

  test("the kv and what it holds, and the secrets that the service is bound to", async () => {
    await tenant.request("POST", "/secrets", { name: "KEY", value: "a secret value" });
    const secrets = [{ name: "KEY", use: "read" }];
    const code = (version: number) => `export default { version: "${version}", calls: {
      put: (solo) => solo.kv.put("by", ${version}).then(() => true),
      get: async (solo) => [await solo.kv.get("by"), (await solo.secrets.get("KEY")).length, ${version}] } };`;
    await deploy("holding", code(1), { secrets });
    await tenant.call("holding", "put");
    expect(await tenant.call("holding", "get")).toEqual([1, 14, 1]);
    await put("holding", code(2));
    expect(await tenant.call("holding", "get")).toEqual([1, 14, 2]);
    await put("holding", code(3), { secrets: [] });
    const { status, body } = await tenant.ask("holding", "get");
    expect([status, body.code]).toEqual([403, "permission_denied"]);
  });

  test("a client's connection: the same one is answered by the old revision and then by the new", async () => {
    const code = (version: number) => `export default { fetch: () => new Response("${version}") };`;
    await deploy("kept-alive", code(1));
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = async () => {
      const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
      const url = `${kernel.http}/s/carries/kept-alive/`;
      const sent = request(url, { agent, headers: tenant.headers }, resolve).on("error", reject);
      const { socket } = sent.end();
      const answer = await promise;
      return [await text(answer), sent.reusedSocket, socket] as const;
    };
    expect((await ask())[0]).toBe("1");
    await put("kept-alive", code(2));
    const [version, reused] = await ask();
    agent.destroy();
    expect([version, reused]).toEqual(["2", true]);
  });
});

describe("left to the old revision", () => {
  /** `fetch` reads a body to its end; calls are quick. */
  const slow = (version: number) => `export default { version: "${version}", concurrent: true,
    init: () => ({ n: 0 }),
    async fetch(request, solo) {
      const body = await request.text();
      solo.state.n += 1;
      return new Response("${version} " + body.length);
    },
    calls: { n: (solo) => solo.state.n, which: () => ${version} } };`;

  test("a concurrent request that needs longer than the hold is answered by it; its change of the state is lost", async () => {
    await deploy("slow", slow(1));
    const held = holdRequest(tenant, "slow");
    await until(async () => (await tenant.status("slow"))["mailbox_length"] >= 1, "the request");
    const { pause_ms } = await put("slow", slow(2));
    expect(pause_ms).toBeGreaterThan(200);
    expect(await tenant.call("slow", "which")).toBe(2);
    expect(await held.finish()).toBe("1 4");
    expect(await tenant.call("slow", "n")).toBe(0);
  });

  test("an upload that is under way is read to its end, and answered", async () => {
    await deploy("upload", slow(1));
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const sent = tenant.ingress("upload", "/", { method: "POST", body: readable, duplex: "half" });
    await writer.write(new Uint8Array(1000));
    await until(async () => (await tenant.status("upload"))["mailbox_length"] >= 1, "the upload");
    await put("upload", slow(2));
    for (let n = 0; n < 3; n += 1) await writer.write(new Uint8Array(1000));
    await writer.close();
    const answer = await sent;
    expect([answer.status, await answer.text()]).toEqual([200, "1 4000"]);
  });

  test("when more than eight revisions are leaving, the oldest is cut off: streams and requests hear why", async () => {
    const code = (version: number) => `export default { version: "${version}", concurrent: true,
      fetch(request, solo) {
        if (new URL(request.url).pathname.endsWith("/never")) return new Promise(() => {});
        let n = 0;
        return new Response(new ReadableStream({ async pull(controller) {
          await new Promise((resolve) => setTimeout(resolve, 20));
          controller.enqueue(new TextEncoder().encode("${version}"));
        } }));
      }, calls: { which: () => ${version} } };`;
    await deploy("crowd", code(0));
    const streams: Promise<string>[] = [];
    const never = tenant.ingress("crowd", "/never");
    for (let version = 0; version <= 9; version += 1) {
      if (version > 0) await put("crowd", code(version));
      const { body } = await tenant.ingress("crowd");
      const ended = text(body!).then(
        () => "ended",
        () => "cut off",
      );
      streams.push(ended);
    }
    expect(await streams[0]).toBe("cut off");
    const unanswered = await never;
    expect([unanswered.status, ((await unanswered.json()) as Body)["code"]]).toEqual([
      502,
      "outcome_unknown",
    ]);
    expect(await tenant.call("crowd", "which")).toBe(9);
    await tenant.request("DELETE", "/services/crowd?force=true");
    await Promise.all(streams);
  });
});
