/** Services of several instances: who takes a message, who keeps which state. */
import { afterAll, expect, test } from "vitest";
import { holdRequest } from "../support/held-request.ts";
import { startKernel, until, type Body } from "../support/kernel.ts";

const kernel = await startKernel();
afterAll(() => kernel[Symbol.asyncDispose]());

const tenant = kernel.tenant("instances");

const COUNTER = `export default { init: () => ({ n: 0 }), calls: {
  who: (solo) => solo.instance,
  add: (solo) => (solo.state.n += 1),
  put: (solo, value) => solo.kv.put("shared", value),
  get: (solo) => solo.kv.get("shared"),
  die() { throw new Error("asked to"); },
}, async fetch(request, solo) { await request.text(); return new Response(solo.instance); } };`;

const call = async (service: string, name: string, key?: string, args: unknown[] = []) => {
  const path = `/services/${service}/calls/${name}`;
  return (await tenant.request("POST", path, { args, ...(key !== undefined && { key }) })).body;
};
const instancesOf = async (service: string): Promise<Body[]> =>
  (await tenant.status(service))["instances"];

test("take turns, share the kv and keep a state each", async () => {
  await tenant.deploy({ service_id: "turns", code: COUNTER, instances: 3 });
  const replies = [];
  for (let n = 0; n < 6; n += 1) replies.push((await call("turns", "who")).reply);
  expect(new Set(replies).size).toBe(3);
  expect(replies.slice(0, 3)).toEqual(replies.slice(3));
  const counts = [];
  for (let n = 0; n < 6; n += 1) counts.push((await call("turns", "add")).reply);
  expect(counts).toEqual([1, 1, 1, 2, 2, 2]);
  await call("turns", "put", undefined, ["for all"]);
  for (let n = 0; n < 3; n += 1) expect((await call("turns", "get")).reply).toBe("for all");
  const instances = await instancesOf("turns");
  expect(instances.map(({ slot, state }) => [slot, state])).toEqual([
    [0, "running"],
    [1, "running"],
    [2, "running"],
  ]);
  expect(new Set(instances.map(({ instance_id }) => instance_id))).toEqual(new Set(replies));
});

test("of a key routing find the same state for the same key, over HTTP too", async () => {
  await tenant.deploy({ service_id: "keyed", code: COUNTER, instances: 4, routing: "key" });
  const users = ["ann", "bob", "cem", "dea", "eve"];
  for (const user of users) {
    const { reply } = await call("keyed", "who", user);
    for (let n = 0; n < 3; n += 1) expect((await call("keyed", "who", user)).reply).toBe(reply);
    const response = await tenant.ingress("keyed", "/", { headers: { "x-solo-key": user } });
    expect(await response.text()).toBe(reply);
  }
});

test("of a least busy routing pass by the one that has something to do", async () => {
  await tenant.deploy({ service_id: "busy", code: COUNTER, instances: 2, routing: "least_busy" });
  const held = holdRequest(tenant, "busy");
  await until(async () => (await tenant.status("busy"))["mailbox_length"] > 0, "work at hand");
  const quick = [await call("busy", "who"), await call("busy", "who")];
  const busy = await held.finish();
  expect(quick.map(({ reply }) => reply === busy)).toEqual([false, false]);
});

test("crash one by one: the others go on, and the service is quarantined with the last", async () => {
  await tenant.deploy({
    service_id: "frail",
    code: COUNTER,
    instances: 2,
    routing: "key",
    restart_limits: { max_restarts: 0, max_seconds: 60 },
  });
  const users = Array.from({ length: 20 }, (_, n) => `user-${n}`);
  const first = (await call("frail", "who", "user-0")).reply;
  const who = await Promise.all(
    users.map(async (user) => (await call("frail", "who", user)).reply),
  );
  const other = users[who.findIndex((reply) => reply !== first)]!;
  expect((await call("frail", "die", "user-0")).code).toBe("service_crashed");
  const states = async () => (await instancesOf("frail")).map(({ state }) => state);
  await until(async () => (await states()).includes("quarantined"), "the first quarantine");
  expect((await tenant.status("frail"))["state"]).toBe("running");
  expect((await call("frail", "who", other)).reply).toBe(who[users.indexOf(other)]);
  expect((await call("frail", "who", "user-0")).code).toBe("service_quarantined");
  expect((await call("frail", "die", other)).code).toBe("service_crashed");
  await until(
    async () => (await tenant.status("frail"))["state"] === "quarantined",
    "the quarantine of the service",
  );
});

test("get their own durable state back after kill -9, and after fewer and more of them", async () => {
  const spec = { service_id: "kept", instances: 3, routing: "key", persistence: "durable" };
  await tenant.deploy({ ...spec, code: COUNTER });
  const users = ["a", "b", "c", "d", "e", "f", "g", "h"];
  const before = new Map<string, number>();
  for (const user of users) {
    await call("kept", "add", user);
    before.set(user, (await call("kept", "add", user)).reply);
  }
  const slots = (await instancesOf("kept")).length;
  await kernel.kill9();
  await kernel.restart();
  const sum = async () => {
    let total = 0;
    const seen = new Map<string, number>();
    for (const user of users) {
      const instance = (await call("kept", "who", user)).reply as string;
      if (seen.has(instance)) continue;
      seen.set(instance, (await call("kept", "add", user)).reply - 1);
    }
    for (const n of seen.values()) total += n;
    return total;
  };
  expect(slots).toBe(3);
  expect(await sum()).toBe(users.length * 2);
  const put = (instances: number) =>
    tenant.request("PUT", "/services/kept", { ...spec, code: COUNTER, instances });
  expect((await put(1)).status).toBe(200);
  expect(await instancesOf("kept")).toHaveLength(1);
  expect((await put(3)).status).toBe(200);
  expect(await instancesOf("kept")).toHaveLength(3);
  // The one add per slot of `sum` itself is in the states too.
  expect(await sum()).toBeGreaterThanOrEqual(users.length * 2);
});
