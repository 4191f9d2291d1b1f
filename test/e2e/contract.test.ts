/** What a service's author is promised, item by item, through a real kernel. */
import { afterAll, describe, expect, test } from "vitest";
import { startKernel, until, type TestTenant } from "../support/kernel.ts";

const kernel = await startKernel();
afterAll(() => kernel[Symbol.asyncDispose]());

describe("state", () => {
  test("init makes it from args, handlers change it, and every call sees what the last one left", async () => {
    const tenant = kernel.tenant("state");
    const code = `
      import { defineService } from "solo";
      interface State { count: number; seen: Map<string, number> }
      export default defineService<State>({
        init: (_solo, args: { from: number }) => ({ count: args.from, seen: new Map() }),
        calls: {
          add(solo, by: number = 1) {
            solo.state.seen.set(String(by), (solo.state.seen.get(String(by)) ?? 0) + 1);
            return (solo.state.count += by);
          },
          seen: (solo) => Object.fromEntries(solo.state.seen),
        },
      });`;
    await tenant.deploy({ service_id: "counter", code, args: { from: 10 } });
    expect(await tenant.call("counter", "add")).toBe(11);
    expect(await tenant.call("counter", "add", 5)).toBe(16);
    expect(await tenant.call("counter", "add", 5)).toBe(21);
    expect(await tenant.call("counter", "seen")).toEqual({ "1": 1, "5": 2 });
  });

  test("a service without init starts with an empty object and may replace it", async () => {
    const tenant = kernel.tenant("state");
    const code = `export default { calls: { get: (solo) => solo.state, set(solo, value) { solo.state = value; } } };`;
    await tenant.deploy({ service_id: "plain", code });
    expect(await tenant.call("plain", "get")).toEqual({});
    expect(await tenant.call("plain", "set", { a: [1] })).toBeNull();
    expect(await tenant.call("plain", "get")).toEqual({ a: [1] });
  });

  test("init may be asynchronous; the first call waits for nothing", async () => {
    const tenant = kernel.tenant("state");
    const code = `export default { async init(solo) { await solo.sleep(5); return { ready: true }; }, calls: { get: (solo) => solo.state } };`;
    await tenant.deploy({ service_id: "slow-start", code });
    expect(await tenant.call("slow-start", "get")).toEqual({ ready: true });
  });
});

describe("calls and casts", () => {
  test("arguments and replies are JSON of any shape, and async handlers are awaited", async () => {
    const tenant = kernel.tenant("calls");
    const code = `export default { calls: {
      echo: (_solo, ...args) => args,
      later: async (solo, value) => { await solo.sleep(2); await Promise.resolve(); return value; },
      nothing() {},
    } };`;
    await tenant.deploy({ service_id: "echo", code });
    const values = [
      null,
      true,
      -0.5,
      "ü€😀\u0000\u2028",
      [],
      {},
      { nested: [{ deep: '\n\t"' }] },
      1e300,
    ];
    expect(await tenant.call("echo", "echo", ...values)).toEqual(values);
    expect(await tenant.call("echo", "later", { a: 1 })).toEqual({ a: 1 });
    expect(await tenant.call("echo", "nothing")).toBeNull();
  });

  test("messages of one sender are handled in the order in which they were sent", async () => {
    const tenant = kernel.tenant("calls");
    const code = `export default {
      init: () => ({ order: [] }),
      casts: { async note(solo, n) { if (n % 3 === 0) await solo.sleep(1); solo.state.order.push(n); } },
      calls: { order: (solo) => solo.state.order },
    };`;
    await tenant.deploy({ service_id: "order", code });
    for (let n = 0; n < 30; n += 1) await tenant.cast("order", "note", n);
    expect(await tenant.call("order", "order")).toEqual(Array.from({ length: 30 }, (_, n) => n));
  });

  test("one message at a time: a handler that waits keeps the next one out", async () => {
    const tenant = kernel.tenant("calls");
    await tenant.deploy({ service_id: "serial", code: INTERLEAVING });
    expect(await overlap(tenant, "serial", 20)).toBe(1);
  });

  test("with concurrent: true they interleave", async () => {
    const tenant = kernel.tenant("calls");
    await tenant.deploy({
      service_id: "parallel",
      code: INTERLEAVING.replace("default {", "default { concurrent: true,"),
    });
    expect(await overlap(tenant, "parallel", 20_000)).toBe(5);
  });

  test("a ServiceError is the reply service_error with its own code, and the service lives on", async () => {
    const tenant = kernel.tenant("calls");
    const code = `
      import { ServiceError } from "solo";
      export default { calls: {
        buy() { throw new ServiceError("sold_out", "There is nothing left."); },
        async later() { await null; throw new ServiceError("too_late", "The shop is closed."); },
        ok: () => "ok",
      } };`;
    await tenant.deploy({ service_id: "shop", code });
    const refused = await tenant.ask("shop", "buy");
    expect(refused.status).toBe(422);
    expect(refused.body).toMatchObject({
      code: "service_error",
      service_code: "sold_out",
      detail: "There is nothing left.",
    });
    expect((await tenant.ask("shop", "later")).body).toMatchObject({
      code: "service_error",
      service_code: "too_late",
    });
    expect(await tenant.call("shop", "ok")).toBe("ok");
    expect(await tenant.status("shop")).toMatchObject({ state: "running", restarts: 0, errors: 2 });
  });

  test("a reply that JSON cannot hold is an error of the service, said plainly", async () => {
    const tenant = kernel.tenant("calls");
    const code = `export default { calls: { big: () => 10n, loop() { const a = {}; a.a = a; return a; } } };`;
    await tenant.deploy({ service_id: "unjson", code });
    for (const name of ["big", "loop"]) {
      const answer = await tenant.ask("unjson", name);
      expect(answer.status).toBe(502);
      expect(answer.body).toMatchObject({ code: "service_crashed" });
      expect(answer.body.detail).toMatch(/BigInt|circular/i);
    }
  });
});

describe("time", () => {
  test("after and every deliver to info until they are cancelled", async () => {
    const tenant = kernel.tenant("time");
    const code = `export default {
      init: () => ({ got: [], timer: undefined }),
      calls: {
        async begin(solo) { await solo.after(5, { kind: "once" }); solo.state.ticking = true; this_timer = await solo.every(10, "tick"); },
        async end() { await this_timer.cancel(); },
        got: (solo) => solo.state.got,
      },
      info(solo, message) { solo.state.got.push(message); },
    };
    let this_timer;`;
    await tenant.deploy({ service_id: "clock", code });
    await tenant.call("clock", "begin");
    const ticks = (got: unknown[]) => got.filter((message) => message === "tick").length;
    await until(async () => ticks(await tenant.call("clock", "got")) >= 3, "three ticks");
    await tenant.call("clock", "end");
    const got = await tenant.call("clock", "got");
    expect(got.filter((message: { kind?: string }) => message.kind === "once")).toEqual([
      { kind: "once" },
    ]);
    await tenant.call("clock", "got");
    expect(ticks(await tenant.call("clock", "got"))).toBe(ticks(got));
  });

  test("setTimeout and sleep keep their order, and a service may wait in init", async () => {
    const tenant = kernel.tenant("time");
    const code = `export default { calls: { async race(solo) {
      const order = [];
      const late = new Promise((resolve) => setTimeout(resolve, 1000)).then(() => order.push("late"));
      const cleared = setTimeout(() => order.push("never"), 5);
      clearTimeout(cleared);
      queueMicrotask(() => order.push("micro"));
      await solo.sleep(10);
      order.push("slept");
      await late;
      return order;
    } } };`;
    await tenant.deploy({ service_id: "race", code });
    expect(await tenant.call("race", "race")).toEqual(["micro", "slept", "late"]);
  });
});

describe("what a service is told", () => {
  test("its names, its environment and its arguments, none of which it can change", async () => {
    const tenant = kernel.tenant("told");
    const code = `export default {
      init: (_solo, args) => ({ args }),
      calls: { who(solo) {
        try { solo.env.REGION = "elsewhere"; } catch {}
        const { tenant, service, instance, env, state } = solo;
        return { tenant, service, instance, env, args: state.args };
      } },
    };`;
    const { instance_id } = await tenant.deploy({
      service_id: "me",
      code,
      env: { REGION: "eu" },
      args: [1, { two: 2 }],
    });
    expect(await tenant.call("me", "who")).toEqual({
      tenant: "told",
      service: "me",
      instance: instance_id,
      env: { REGION: "eu" },
      args: [1, { two: 2 }],
    });
  });

  test("log and console go to its log with their levels, in order", async () => {
    const tenant = kernel.tenant("told");
    const code = `export default { calls: { speak(solo) {
      solo.log.debug("d"); solo.log.info("i", { a: 1 }); solo.log.warn("w"); solo.log.error(new Error("e"));
      console.log("out", [1, 2]); console.error("err");
    } } };`;
    const { instance_id } = await tenant.deploy({ service_id: "speaker", code });
    await tenant.call("speaker", "speak");
    const lines = await until(async () => {
      const read = await tenant.logs("speaker");
      return read.length >= 6 ? read : undefined;
    }, "six lines");
    expect(lines.map(({ level }) => level)).toEqual([
      "debug",
      "info",
      "warn",
      "error",
      "info",
      "error",
    ]);
    expect(lines[1]!["text"]).toMatch(/^i \{ ?a: 1 ?\}$/);
    expect(lines[3]!["text"]).toContain("Error: e");
    expect(lines[4]!["text"]).toBe("out [ 1, 2 ]");
    expect(lines.every((line) => line["instance_id"] === instance_id)).toBe(true);
    expect(lines.map(({ seq }) => seq)).toEqual(
      lines.map(({ seq }) => seq).toSorted((a, b) => a - b),
    );
  });

  test("terminate runs before an orderly kill and may still use its powers", async () => {
    const tenant = kernel.tenant("told");
    await tenant.deploy({
      service_id: "will",
      code: `export default { calls: { ok: () => true }, async terminate(solo, reason) { await solo.events.emit("last_words", { reason }); } };`,
    });
    expect(await tenant.kill("will")).toMatchObject({ state: "stopped", forced: false });
    const events = await tenant.events({ service_id: "will", event_type: "service.last_words" });
    expect(events).toMatchObject([{ tenant_id: "told", payload: { reason: expect.any(String) } }]);
  });

  test("events of its own get the prefix service. and its name as their subject", async () => {
    const tenant = kernel.tenant("told");
    await tenant.deploy({
      service_id: "sender",
      code: `export default { calls: { emit: (solo, type, payload) => solo.events.emit(type, payload) } };`,
    });
    await tenant.call("sender", "emit", "order_placed", { id: 7 });
    const event = await until(
      async () => (await tenant.events({ event_type: "service.order_placed" }))[0],
      "the event",
    );
    expect(event).toMatchObject({ tenant_id: "told", subject: "sender", payload: { id: 7 } });
    const refused = await tenant.ask("sender", "emit", [17]);
    expect(refused.body.code).toBe("invalid_argument");
  });
});

describe("kv", () => {
  const code = `export default { calls: {
    get: (solo, key) => solo.kv.get(key), put: (solo, key, value) => solo.kv.put(key, value),
    remove: (solo, key) => solo.kv.delete(key), list: (solo, options) => solo.kv.list(options),
    async missing(solo) { return (await solo.kv.get("nothing")) === undefined; },
  } };`;

  test("holds JSON under keys, lists them in order and by prefix, and forgets what is deleted", async () => {
    const tenant = kernel.tenant("kv");
    await tenant.deploy({ service_id: "store", code });
    expect(await tenant.call("store", "missing")).toBe(true);
    for (const key of ["user:b", "user:a", "order:1"])
      await tenant.call("store", "put", key, { key });
    expect(await tenant.call("store", "get", "user:a")).toEqual({ key: "user:a" });
    const keys = (entries: { key: string }[]) => entries.map(({ key }) => key);
    expect(keys(await tenant.call("store", "list"))).toEqual(["order:1", "user:a", "user:b"]);
    expect(keys(await tenant.call("store", "list", { prefix: "user:" }))).toEqual([
      "user:a",
      "user:b",
    ]);
    expect(keys(await tenant.call("store", "list", { prefix: "user:", after: "user:a" }))).toEqual([
      "user:b",
    ]);
    expect(keys(await tenant.call("store", "list", { limit: 1 }))).toEqual(["order:1"]);
    await tenant.call("store", "remove", "user:a");
    expect(await tenant.call("store", "get", "user:a")).toBeNull();
  });

  test("belongs to one service and survives its restart", async () => {
    const tenant = kernel.tenant("kv");
    await tenant.deploy({ service_id: "mine", code });
    await tenant.deploy({ service_id: "yours", code });
    await tenant.call("mine", "put", "k", 1);
    expect(await tenant.call("yours", "get", "k")).toBeNull();
    expect((await tenant.request("POST", "/services/mine/restart")).status).toBe(200);
    expect(await tenant.call("mine", "get", "k")).toBe(1);
  });

  test("refuses keys and values that are too large, and says the bound", async () => {
    const tenant = kernel.tenant("kv");
    await tenant.deploy({ service_id: "bounds", code });
    const longKey = await tenant.ask("bounds", "put", ["x".repeat(513), 1]);
    expect(longKey.body).toMatchObject({
      code: "invalid_argument",
      detail: expect.stringContaining("512"),
    });
    const large = await tenant.ask("bounds", "put", ["k", "x".repeat(1024 * 1024 + 1)]);
    expect(large.body).toMatchObject({ code: "payload_too_large" });
    expect(await tenant.status("bounds")).toMatchObject({ state: "running", restarts: 0 });
  });
});

describe("services of one tenant", () => {
  test("call, cast and fetch each other, and errors pass through with their codes", async () => {
    const tenant = kernel.tenant("pair");
    await tenant.deploy({
      service_id: "back",
      code: `
        import { ServiceError } from "solo";
        export default {
          init: () => ({ casts: 0 }),
          calls: {
            double: (_solo, n) => n * 2,
            casts: (solo) => solo.state.casts,
            refuse() { throw new ServiceError("no", "Not today."); },
          },
          casts: { note(solo) { solo.state.casts += 1; } },
          async fetch(request) {
            const text = await request.text();
            return new Response(request.method + " " + new URL(request.url).pathname + " " + text, { status: 202, headers: { "x-back": "yes" } });
          },
        };`,
    });
    await tenant.deploy({
      service_id: "front",
      code: `export default { calls: {
        double: (solo, n) => solo.services.call("back", "double", n),
        note: (solo) => solo.services.cast("back", "note"),
        async web(solo) {
          const response = await solo.services.fetch("back", "/path", { method: "POST", body: "hello" });
          return [response.status, response.headers.get("x-back"), await response.text()];
        },
        async refused(solo) {
          try { await solo.services.call("back", "refuse"); } catch (error) { return { code: error.code, message: error.message }; }
        },
        pass: (solo) => solo.services.call("back", "refuse"),
        missing: (solo) => solo.services.call("nobody", "x"),
        unknown: (solo) => solo.services.call("back", "x"),
      } };`,
    });
    expect(await tenant.call("front", "double", 21)).toBe(42);
    await tenant.call("front", "note");
    expect(await tenant.call("back", "casts")).toBe(1);
    expect(await tenant.call("front", "web")).toEqual([202, "yes", "POST /path hello"]);
    expect(await tenant.call("front", "refused")).toEqual({
      code: "service_error",
      message: "Not today.",
    });
    expect((await tenant.ask("front", "pass")).body).toMatchObject({
      code: "service_error",
      service_code: "no",
    });
    expect((await tenant.ask("front", "missing")).body).toMatchObject({
      code: "service_not_found",
    });
    expect((await tenant.ask("front", "unknown")).body).toMatchObject({
      code: "handler_not_found",
    });
    expect(await tenant.status("front")).toMatchObject({ state: "running", restarts: 0 });
  });

  test("are invisible to another tenant's services and requests", async () => {
    const [here, there] = [kernel.tenant("here"), kernel.tenant("there")];
    await here.deploy({
      service_id: "secret",
      code: `export default { calls: { get: () => 42 } };`,
    });
    await there.deploy({
      service_id: "spy",
      code: `export default { calls: { spy: (solo, name) => solo.services.call(name, "get") } };`,
    });
    for (const name of ["secret", "here/secret", "../here/secret"]) {
      expect((await there.ask("spy", "spy", [name])).body).toMatchObject({
        code: "service_not_found",
      });
    }
    expect((await there.ask("secret", "get")).status).toBe(404);
    expect((await there.list()).map(({ service_id }) => service_id)).toEqual(["spy"]);
    expect(await there.events({ service_id: "secret" })).toEqual([]);
  });
});

describe("source", () => {
  test("several files import each other by relative path, and JSON as data", async () => {
    const tenant = kernel.tenant("files");
    await tenant.deploy({
      service_id: "multi",
      files: {
        "main.ts": `import { area } from "./lib/shapes.ts"; import settings from "./settings.json" with { type: "json" };
                    enum Unit { Metre = 1, Kilometre = 1000 }
                    export default { calls: { area: (_solo, r: number) => area(r) * settings.scale * Unit.Metre } };`,
        "lib/shapes.ts": `import { PI } from "./numbers"; export const area = (r: number): number => r * r * PI;`,
        "lib/numbers.ts": `export const PI = 3;`,
        "settings.json": `{ "scale": 10 }`,
      },
    });
    expect(await tenant.call("multi", "area", 2)).toBe(120);
  });

  test("JavaScript and a plain object work without the import", async () => {
    const tenant = kernel.tenant("files");
    await tenant.deploy({
      service_id: "js",
      format: "javascript_source",
      code: `export default { fetch: () => new Response("plain") };`,
    });
    expect(await (await tenant.ingress("js")).text()).toBe("plain");
    expect((await tenant.status("js"))["handlers"]).toEqual(["fetch"]);
  });
});

const INTERLEAVING = `
  let inside = 0;
  export default { init: () => ({ most: 0 }), calls: {
    // Stays inside until all are, or for a while.
    async work(solo, all, ms) {
      inside += 1;
      solo.state.most = Math.max(solo.state.most, inside);
      for (let waited = 0; solo.state.most < all && waited < ms; waited += 5) await solo.sleep(5);
      inside -= 1;
    },
    most: (solo) => solo.state.most,
  } };`;

/** How many of five calls at once were inside at the same time, each for so long at most. */
async function overlap(tenant: TestTenant, service: string, ms: number): Promise<number> {
  await Promise.all(Array.from({ length: 5 }, () => tenant.call(service, "work", 5, ms)));
  return tenant.call(service, "most");
}

describe("topics and monitors", () => {
  const hearer = `export default {
    init: () => ({ heard: [] }),
    info: (solo, message) => void solo.state.heard.push(message),
    calls: {
      subscribe: (solo, topic) => solo.subscribe(topic).then(() => null),
      monitor: (solo, service) => solo.monitor(service).then(() => null),
      async once(solo, topic) { const handle = await solo.subscribe(topic); await handle.cancel(); },
      publish: (solo, topic, message) => solo.publish(topic, message),
      heard: (solo) => solo.state.heard,
      fail() { throw new Error("oops"); },
    },
  };`;

  test("what is published reaches who has subscribed, of the same tenant and nobody else", async () => {
    const tenant = kernel.tenant("topics");
    const stranger = kernel.tenant("topics-stranger");
    await tenant.deploy({ service_id: "ann", code: hearer });
    await tenant.deploy({ service_id: "bob", code: hearer });
    await stranger.deploy({ service_id: "eve", code: hearer });
    for (const [who, name] of [
      [tenant, "ann"],
      [stranger, "eve"],
    ] as const)
      await who.call(name, "subscribe", "news");
    await tenant.call("ann", "subscribe", "news");
    await tenant.call("bob", "once", "news");
    expect(await tenant.call("bob", "publish", "news", { hello: [1] })).toBe(1);
    expect(await tenant.call("ann", "heard")).toEqual([{ hello: [1] }]);
    expect(await tenant.call("bob", "heard")).toEqual([]);
    expect(await stranger.call("eve", "heard")).toEqual([]);
  });

  test("subscriptions go on through an update and through sleep, and end with the instance", async () => {
    const tenant = kernel.tenant("topics-life");
    await tenant.deploy({ service_id: "say", code: hearer });
    await tenant.deploy({
      service_id: "hear",
      code: hearer,
      hibernation: { after_idle_ms: 100 },
    });
    await tenant.call("hear", "subscribe", "news");
    await tenant.request("PUT", "/services/hear", { code: `${hearer} // 2` });
    await until(async () => (await tenant.status("hear"))["state"] === "hibernated", "its sleep");
    expect(await tenant.call("say", "publish", "news", 1)).toBe(1);
    expect(await tenant.call("hear", "heard")).toEqual([1]);
    await tenant.request("POST", "/services/hear/restart");
    expect(await tenant.call("say", "publish", "news", 2)).toBe(0);
  });

  test("a monitor hears of a crash and of a kill", async () => {
    const tenant = kernel.tenant("monitors");
    await tenant.deploy({ service_id: "watch", code: hearer });
    await tenant.deploy({ service_id: "frail", code: hearer });
    await tenant.call("watch", "monitor", "frail");
    const told = (count: number) =>
      until(async () => {
        const heard = (await tenant.call("watch", "heard")) as object[];
        return heard.length === count && heard.at(-1);
      }, `message ${count}`);
    await tenant.request("POST", "/services/frail/calls/fail", {});
    const down = { kind: "down", service: "frail" };
    expect(await told(1)).toEqual({ ...down, reason: "crashed", message: "Error: oops" });
    await tenant.request("DELETE", "/services/frail");
    expect(await told(2)).toMatchObject({ ...down, reason: "killed" });
    const none = await tenant.request("POST", "/services/watch/calls/monitor", { args: ["none"] });
    expect(none.body).toMatchObject({ code: "service_not_found" });
  });

  test("what was not granted is refused with what is missing, also of what was subscribed to", async () => {
    const tenant = kernel.tenant("topics-denied");
    await tenant.deploy({ service_id: "poor", code: hearer, capabilities: ["topic:news"] });
    expect(await tenant.call("poor", "subscribe", "news")).toBeNull();
    const refused = await Promise.all(
      (["subscribe", "monitor"] as const).map((name) =>
        tenant.request("POST", `/services/poor/calls/${name}`, { args: ["poor"] }),
      ),
    );
    expect(refused.map(({ body }) => body)).toMatchObject([
      { code: "permission_denied", hint: expect.stringContaining('"topic:poor"') },
      { code: "permission_denied", hint: expect.stringContaining('"service:poor"') },
    ]);
    await tenant.request("PUT", "/services/poor", {
      code: hearer,
      capabilities: [{ resources: ["topic:news"], permissions: ["publish"] }],
    });
    expect(await tenant.call("poor", "publish", "news", 1)).toBe(0);
  });
});

describe("over REST", () => {
  const code = "export default {};";
  const tenant = kernel.tenant("rest");

  test("every part is optional, and what is deployed says where it is and how it is", async () => {
    const made = await tenant.request("POST", "/services", { service_id: "empty", code });
    expect(made.status).toBe(201);
    expect(made.headers.get("location")).toBe("/services/empty");
    const { body } = await tenant.request("GET", "/services/empty");
    expect(body).toMatchObject({ state: "running", restarts: 0, last_crash: null });
  });

  test("text stands for a secret's name, a resource and a strategy", async () => {
    await tenant.request("POST", "/secrets", { name: "short", value: "a-value" });
    const reader = `export default { calls: { get: (solo) => solo.secrets.get("short") } };`;
    const settings = { secrets: ["short"], capabilities: ["service:empty"] };
    const made = await tenant.request("POST", "/services", {
      service_id: "short",
      code: reader,
      ...settings,
    });
    expect(made.status).toBe(201);
    const { body } = await tenant.request("POST", "/services/short/calls/get", {});
    expect(body).toEqual({ reply: "a-value" });
    const same = await tenant.request("PUT", "/services/empty", { limits: { mailbox: 7 } });
    expect(same.body).toMatchObject({ state: "running" });
    const begun = await tenant.request("PUT", "/services/empty", {
      code: 'export default { version: "2" };',
      strategy: "blue-green",
    });
    expect(begun.body).toMatchObject({ rollout: { strategy: "blue_green" } });
  });

  test("every refusal says what to do next", async () => {
    const refused = await Promise.all([
      tenant.request("POST", "/services/empty/calls/x", [1]),
      tenant.request("POST", "/services", { service_id: "a", code, memory_mb: 64 }),
      tenant.request("POST", "/services", { service_id: "a", files: { "./index.ts": code } }),
      tenant.request("GET", "/services/empty/logs?limit=many"),
      tenant.request("GET", "/"),
    ]);
    expect(refused.map(({ body }) => (body as { hint: string }).hint)).toEqual([
      expect.stringContaining('{"args": [1, 2]}'),
      expect.stringContaining("The request takes: tenant_id, service_id, code"),
      expect.any(String),
      expect.stringContaining("limit: "),
      expect.stringContaining("/openapi.json"),
    ]);
    expect(refused[1].body).toMatchObject({ detail: expect.stringContaining("limits.memory_mb") });
    expect(refused[2].body).toMatchObject({
      detail: expect.stringContaining("must be written as index.ts"),
    });
  });
});
