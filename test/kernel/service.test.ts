/** Services on real cells: what they said is heard, what they kept is kept. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { flushAll } from "#kernel/upkeep.ts";
import { silentLogger } from "#base/log.ts";
import { startInProcess, type InProcessKernel } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";

let solo: InProcessKernel;
beforeAll(async () => {
  solo = await startInProcess({ env: { SOLO_MAX_TENANTS: "3" } });
});
afterAll(() => solo[Symbol.asyncDispose]());

const deploy = (tenant: string, service_id: string, code: string, more: object = {}) =>
  solo.ask("Deploy", { service_id, code, ...more }, tenant);
const statusOf = (tenant: string, service_id: string) => solo.ask("Status", { service_id }, tenant);

describe("hybrid state", () => {
  const COUNTER = `export default {
    init: () => ({ n: 0 }),
    calls: { add: (solo) => (solo.state.n += 1), die() { throw new Error("asked to") } },
  };`;

  test("that an update took and could not use is still on disk", async () => {
    await deploy("a", "counter", COUNTER, { persistence: "hybrid" });
    await solo.call("a", "counter", "add");
    const bad = `${COUNTER}\nthrow new Error("not this one");`;
    await expect(
      solo.ask("Update", { service_id: "counter", code: bad }, "a"),
    ).rejects.toMatchObject({ code: "startup_failed" });
    await flushAll(solo.kernel.tenants, silentLogger);
    await expect(solo.call("a", "counter", "die")).rejects.toMatchObject({
      code: "service_crashed",
    });
    await until(async () => (await statusOf("a", "counter")).restarts === 1, "the restart");
    expect(await solo.call("a", "counter", "add")).toBe(2);
  });
});

describe("what a guest says", () => {
  const TALKER = `export default { calls: {
    chatty() { for (let n = 0; n < 50000; n += 1) console.log("x"); return "done"; },
    wide: () => "€".repeat(12 * 1024 * 1024),
    look: async (solo) => { await solo.kv.put("k", { $streaming: true }); return solo.kv.get("k"); },
  } };`;

  test("never keeps out its reply, and a reply too large is an error that hurts nobody else", async () => {
    await deploy("a", "talker", TALKER, { limits: { memory_mb: 128 } });
    const { instance_id } = await statusOf("a", "talker");
    expect(await solo.call("a", "talker", "chatty")).toBe("done");
    await expect(solo.call("a", "talker", "wide")).rejects.toMatchObject({
      code: "payload_too_large",
    });
    expect(await solo.call("a", "talker", "look")).toEqual({ $streaming: true });
    expect((await statusOf("a", "talker")).instance_id).toBe(instance_id);
  });

  test("as the response's body goes on after a flood of logs", async () => {
    const code = `export default { async fetch() {
      const body = new ReadableStream({ async pull(controller) {
        for (let n = 0; n < 50000; n += 1) console.log("x");
        controller.enqueue(new TextEncoder().encode("late"));
        controller.close();
      } });
      return new Response(body);
    } };`;
    await deploy("a", "flooder", code);
    const { body } = await solo.ingress("a", "flooder");
    const chunks: Uint8Array[] = [];
    for await (const chunk of body!) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe("late");
  });
});

test("a tenant without services takes no other tenant's place", async () => {
  const code = "export default { calls: { a: () => 1 } };";
  for (let n = 0; n < 5; n += 1) {
    await deploy(`passing-${n}`, "s", code);
    await solo.ask("Kill", { service_id: "s" }, `passing-${n}`);
  }
  await deploy("b", "s", code);
  await deploy("c", "s", code);
  await expect(deploy("d", "s", code)).rejects.toMatchObject({ code: "limit_exceeded" });
});
