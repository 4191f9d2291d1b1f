/** Replacing a running service's code: its state, its messages and its name stay. */
import { afterAll, expect, test } from "vitest";
import { holdRequest } from "../support/held-request.ts";
import { startKernel, until, type Body } from "../support/kernel.ts";

const kernel = await startKernel();
afterAll(() => kernel[Symbol.asyncDispose]());

const tenant = kernel.tenant("update");
const put = (service: string, body: Body) => tenant.request("PUT", `/services/${service}`, body);

const V1 = `export default { version: "1", init: () => ({ count: 0 }), calls: {
  add: (solo) => (solo.state.count += 1), which: () => 1 },
  async fetch(request, solo) { await request.text(); return new Response(String(solo.state.count += 1)); } };`;
const V2 = `export default { version: "2", init: () => ({ total: -1 }),
  codeChange: (old, from) => ({ total: old.count, from }),
  calls: { add: (solo) => (solo.state.total += 10), which: () => 2, from: (solo) => solo.state.from ?? null } };`;

test("migrates the state with codeChange and keeps the name", async () => {
  const first = await tenant.deploy({ service_id: "a", code: V1 });
  await tenant.call("a", "add");
  const { status, body } = await put("a", { code: V2 });
  expect(status).toBe(200);
  expect(body).toMatchObject({ service_id: "a", state: "running" });
  expect(body.revision).not.toBe(first["revision"]);
  expect(body.instance_id).not.toBe(first["instance_id"]);
  expect(await tenant.call("a", "add")).toBe(11);
  expect(await tenant.call("a", "from")).toBe("1");
  expect(await tenant.status("a")).toMatchObject({ version: "2", revision: body.revision });
  await until(async () => {
    const types = (await tenant.events({ service_id: "a" })).map(({ event_type }) => event_type);
    return types.includes("hot_swap_started") && types.includes("hot_swap_succeeded");
  }, "both events of the swap");
});

test("without codeChange keeps the state as it is", async () => {
  await tenant.deploy({ service_id: "b", code: V1 });
  await tenant.call("b", "add");
  expect((await put("b", { code: V1.replace("which: () => 1", "which: () => 3") })).status).toBe(
    200,
  );
  expect(await tenant.call("b", "which")).toBe(3);
  expect(await tenant.call("b", "add")).toBe(2);
});

test("to what is current already says so: no hand-over, and nothing in the history", async () => {
  await tenant.deploy({ service_id: "same", code: V1 });
  const before = await tenant.status("same");
  const { status, body } = await put("same", { code: V1, strategy: "blue_green" });
  expect(status).toBe(200);
  expect(body).toMatchObject({ unchanged: true, instance_id: before["instance_id"] });
  expect(body).not.toHaveProperty("pause_ms");
  expect(body).not.toHaveProperty("rollout");
  const { body: next } = await put("same", { code: V1, env: { A: "1" } });
  expect(next).not.toHaveProperty("unchanged");
});

test("loses no call: everything sent meanwhile is answered by the one or the other", async () => {
  await tenant.deploy({ service_id: "c", code: V1 });
  const held = holdRequest(tenant, "c");
  await until(async () => (await tenant.status("c"))["mailbox_length"] > 0, "work in flight");
  const done = new AbortController();
  const replies: Body[] = [];
  const callers = Array.from({ length: 4 }, async () => {
    while (!done.signal.aborted) replies.push(await tenant.ask("c", "which"));
  });
  const updating = put("c", { code: V2 });
  const started = { service_id: "c", event_type: "hot_swap_started" };
  await until(async () => (await tenant.events(started)).length > 0, "the swap to begin");
  expect(await held.finish()).toBe("1");
  expect((await updating).status).toBe(200);
  await until(() => replies.some(({ body }) => body.reply === 2), "the new revision to answer");
  done.abort();
  await Promise.all(callers);
  expect(replies.filter(({ status }) => status !== 200)).toEqual([]);
});

test("that fails leaves the old revision serving with its state, and says why", async () => {
  await tenant.deploy({ service_id: "d", code: V1 });
  await tenant.call("d", "add");
  const before = await tenant.status("d");
  const bad: [string, string, number?][] = [
    ["export default {", "compile_failed"],
    [V2.replace("total: old.count", "total: old.no.such.thing"), "startup_failed"],
    ["throw new Error('no'); export default { calls: {} };", "startup_failed"],
    ["await new Promise(() => {}); export default { init() {} };", "startup_timeout", 150],
  ];
  for (const [code, expected, startup_timeout_ms = 30_000] of bad) {
    const answer = await put("d", { code, restart_limits: { startup_timeout_ms } });
    expect(answer.body).toMatchObject({ code: expected });
    expect(await tenant.status("d")).toMatchObject({
      state: "running",
      revision: before["revision"],
      instance_id: before["instance_id"],
    });
  }
  expect(await tenant.call("d", "add")).toBe(2);
});

test("of a quarantined service is the way out, and its durable state comes along", async () => {
  const sick = V1.replace("which: () => 1", "which() { throw new Error('sick'); }");
  await tenant.deploy({
    service_id: "e",
    code: sick,
    persistence: "durable",
    restart_limits: { max_restarts: 0, max_seconds: 60 },
  });
  await tenant.call("e", "add");
  await tenant.ask("e", "which");
  await until(async () => (await tenant.status("e"))["state"] === "quarantined", "the quarantine");
  expect((await put("e", { code: V2, persistence: "durable" })).body).toMatchObject({
    state: "running",
  });
  expect(await tenant.call("e", "add")).toBe(11);
  expect((await tenant.list()).filter(({ service_id }) => service_id === "e")).toHaveLength(1);
});

test("of a service that is not restarted starts it, also with the same source", async () => {
  const code = `export default { init: () => ({ n: 1 }), calls: { n: (solo) => solo.state.n }, casts: { boom() { throw new Error("boom"); } } };`;
  await tenant.deploy({ service_id: "f", code, restart: "temporary" });
  await tenant.cast("f", "boom");
  await until(async () => (await tenant.status("f"))["state"] === "stopped", "the end");
  expect((await put("f", { code, restart: "temporary" })).body).toMatchObject({ state: "running" });
  expect(await tenant.call("f", "n")).toBe(1);
  await tenant.cast("f", "boom");
  await until(async () => (await tenant.status("f"))["state"] === "stopped", "the end");
  expect(
    (await put("f", { code: code.replace("n: 1", "n: 2"), restart: "temporary" })).body,
  ).toMatchObject({ state: "running" });
  expect(await tenant.call("f", "n")).toBe(2);
});

test("survives a kernel that is killed right after", async () => {
  await tenant.deploy({ service_id: "g", code: V1, persistence: "durable" });
  await tenant.call("g", "add");
  const { body } = await put("g", { code: V2, persistence: "durable" });
  await kernel.kill9();
  await kernel.restart();
  expect((await tenant.status("g"))["revision"]).toBe(body.revision);
  expect(await tenant.call("g", "add")).toBe(11);
});

test("is on disk with the state that it begins with, also of a service that is flushed now and then", async () => {
  await tenant.deploy({ service_id: "h", code: V1, persistence: "hybrid" });
  for (let times = 0; times < 3; times += 1) await tenant.call("h", "add");
  expect((await put("h", { code: V2, persistence: "hybrid" })).status).toBe(200);
  // Sooner than the next flush: only the hand-over itself can have stored it.
  await kernel.kill9();
  await kernel.restart();
  expect(await tenant.call("h", "add")).toBe(13);
});
