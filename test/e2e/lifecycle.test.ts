/** A service's life: deployed, looked at, restarted, crashed, quarantined, killed. */
import { afterAll, describe, expect, test } from "vitest";
import { holdRequest } from "../support/held-request.ts";
import { startKernel, until, type Body, type TestTenant } from "../support/kernel.ts";

const kernel = await startKernel();
afterAll(() => kernel[Symbol.asyncDispose]());

const COUNTER = `export default { version: "7", init: () => ({ n: 0 }),
  calls: { add: (solo) => (solo.state.n += 1), get: (solo) => solo.state.n, put: (solo, v) => solo.kv.put("k", v), kept: (solo) => solo.kv.get("k") },
  casts: { reset(solo) { solo.state.n = 0; } } };`;

const types = async (tenant: TestTenant, service: string) =>
  (await tenant.events({ service_id: service })).map(({ event_type }) => event_type as string);

const eventOf = (tenant: TestTenant, service: string, type: string): Promise<Body> =>
  until(
    async () => (await tenant.events({ service_id: service, event_type: type })).at(-1),
    `${type} of ${service}`,
  );

const running = (tenant: TestTenant, service: string) =>
  until(async () => (await tenant.status(service))["state"] === "running", `${service} to run`);

describe("deploy", () => {
  const tenant = kernel.tenant("deploy");

  test("answers 201 with everything a client needs, and is on record when it does", async () => {
    const answer = await tenant.request("POST", "/services", {
      service_id: "a",
      code: COUNTER,
      metadata: { team: "x" },
    });
    expect(answer.status).toBe(201);
    expect(answer.body).toEqual({
      tenant_id: "deploy",
      service_id: "a",
      revision: expect.stringMatching(/^r_[0-9a-f]{16}$/),
      state: "running",
      instance_id: expect.stringMatching(/^i_/),
      started_in_ms: expect.any(Number),
    });
    expect(await types(tenant, "a")).toEqual(["service_started", "service_deployed"]);
    const [deployed] = await tenant.events({ service_id: "a", event_type: "service_deployed" });
    expect(deployed!["payload"]).toMatchObject({
      revision: answer.body.revision,
      instance_id: answer.body.instance_id,
    });
  });

  test("equal source and settings are the same revision, anything else is another", async () => {
    const first = await tenant.deploy({ service_id: "same-1", code: COUNTER });
    const second = await tenant.deploy({ service_id: "same-2", code: COUNTER });
    const other = await tenant.deploy({ service_id: "other", code: COUNTER, env: { A: "1" } });
    expect(second["revision"]).toBe(first["revision"]);
    expect(other["revision"]).not.toBe(first["revision"]);
    expect(second["instance_id"]).not.toBe(first["instance_id"]);
  });

  test("of an existing id is refused with 409 and changes nothing", async () => {
    const { instance_id } = await tenant.deploy({ service_id: "taken", code: COUNTER });
    await tenant.call("taken", "add");
    const again = await tenant.request("POST", "/services", {
      service_id: "taken",
      code: `export default { calls: {} , init() {} };`,
    });
    expect(again.status).toBe(409);
    expect(again.body).toMatchObject({
      code: "already_exists",
      hint: expect.stringContaining("Update it"),
    });
    expect(await tenant.call("taken", "get")).toBe(1);
    expect(await tenant.status("taken")).toMatchObject({ instance_id, state: "running" });
  });

  test("of one id many times at once deploys it once", async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, () =>
        tenant.request("POST", "/services", { service_id: "race", code: COUNTER }),
      ),
    );
    const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b);
    expect(statuses).toEqual([201, 409, 409, 409, 409, 409, 409, 409]);
    expect(await tenant.call("race", "add")).toBe(1);
  });

  test("the same id in another tenant is another service", async () => {
    const other = kernel.tenant("deploy-2");
    await tenant.deploy({ service_id: "twin", code: COUNTER });
    await other.deploy({ service_id: "twin", code: COUNTER });
    await tenant.call("twin", "add");
    expect(await other.call("twin", "get")).toBe(0);
  });
});

describe("status and list", () => {
  const tenant = kernel.tenant("status");

  test("status says how the service is", async () => {
    const { revision, instance_id } = await tenant.deploy({
      service_id: "a",
      code: COUNTER,
      metadata: { team: "x" },
      persistence: "hybrid",
    });
    await tenant.call("a", "add");
    await tenant.call("a", "add");
    await tenant.ask("a", "missing");
    const status = await tenant.status("a");
    expect(status).toMatchObject({
      tenant_id: "status",
      service_id: "a",
      state: "running",
      revision,
      instance_id,
      version: "7",
      restarts: 0,
      mailbox_length: 0,
      calls: 3,
      errors: 1,
      persistence: "hybrid",
      isolation: "shared",
      metadata: { team: "x" },
      handlers: ["calls.add", "calls.get", "calls.put", "calls.kept", "casts.reset"],
    });
    expect(Math.abs(Date.parse(status["deployed_at"]) - Date.now())).toBeLessThan(60_000);
    await until(
      async () => (await tenant.status("a"))["memory_bytes"] > 100_000,
      "its memory to be measured",
    );
    // Linux counts in hundredths of a second: a quick machine needs more calls than these.
    await until(async () => {
      await tenant.call("a", "add");
      return (await tenant.status("a"))["cpu_ms"] > 0;
    }, "its CPU time to be measured");
    expect((await tenant.status("a"))["uptime_ms"]).toBeGreaterThan(0);
  });

  test("list pages through all of them in order, each once", async () => {
    const paged = kernel.tenant("paged");
    const ids = ["b", "a", "d", "c", "e"];
    for (const service_id of ids) await paged.deploy({ service_id, code: COUNTER });
    const seen: string[] = [];
    let after = "";
    for (;;) {
      const { body } = await paged.request("GET", `/services?limit=2${after}`);
      expect(body.services.length).toBeLessThanOrEqual(2);
      seen.push(...body.services.map(({ service_id }: Body) => service_id));
      if (body.next === undefined) break;
      after = `&after=${body.next}`;
    }
    expect(seen).toEqual(["a", "b", "c", "d", "e"]);
  });
});

describe("restart", () => {
  const tenant = kernel.tenant("restart");

  test("is a new instance of the same revision; state follows its persistence", async () => {
    for (const persistence of ["stateless", "hybrid", "durable"]) {
      const first = await tenant.deploy({ service_id: persistence, code: COUNTER, persistence });
      await tenant.call(persistence, "add");
      const { status, body } = await tenant.request("POST", `/services/${persistence}/restart`);
      expect(status).toBe(200);
      expect(body).toMatchObject({ revision: first["revision"], state: "running" });
      expect(body.instance_id).not.toBe(first["instance_id"]);
      expect(await tenant.call(persistence, "get")).toBe(persistence === "stateless" ? 0 : 1);
    }
    expect((await tenant.request("POST", "/services/nobody/restart")).body).toMatchObject({
      code: "service_not_found",
    });
  });

  test("that does not get up again says why, and leaves the service quarantined, not lost", async () => {
    const code = `export default {
      async init(solo) { if (await solo.kv.get("poison")) throw new Error("poisoned"); return {}; },
      calls: { poison: (solo) => solo.kv.put("poison", true), ok: () => 1 } };`;
    await tenant.deploy({ service_id: "poisoned", code });
    await tenant.call("poisoned", "poison");
    const { status, body } = await tenant.request("POST", "/services/poisoned/restart");
    expect(status).toBe(422);
    expect(body).toMatchObject({
      code: "startup_failed",
      detail: expect.stringContaining("poisoned"),
    });
    expect((await tenant.status("poisoned"))["state"]).toBe("quarantined");
    expect((await tenant.ask("poisoned", "ok")).body.code).toBe("service_quarantined");
    const cured = await tenant.request("PUT", "/services/poisoned", {
      code: code.replace("throw", "return {}; throw"),
    });
    expect(cured.body).toMatchObject({ state: "running" });
    expect(await tenant.call("poisoned", "ok")).toBe(1);
  });
});

describe("a crash", () => {
  const tenant = kernel.tenant("crash");
  const code = `import { defineService } from "solo";

interface Order { readonly id: number }

function price(order: Order | undefined): number {
  return order!.id * 2;
}

export default defineService({
  init: () => ({ calls: 0 }),
  calls: {
    explode(solo) {
      solo.state.calls += 1;
      return price(undefined);
    },
    ok: (solo) => (solo.state.calls += 1),
  },
});
`;

  test("is a typed answer, an event with the stack in the author's own lines, and a fresh instance", async () => {
    const { instance_id, revision } = await tenant.deploy({ service_id: "a", code });
    await tenant.call("a", "ok");
    const answer = await tenant.ask("a", "explode");
    expect(answer.status).toBe(502);
    expect(answer.body).toMatchObject({
      code: "service_crashed",
      detail: expect.stringContaining("TypeError"),
      hint: expect.stringContaining("last_crash"),
    });
    const event = await eventOf(tenant, "a", "service_crashed");
    expect(event["payload"]).toMatchObject({
      reason: "exception",
      instance_id,
      revision,
      restarts: 0,
      last_messages: ["calls.explode"],
    });
    expect(event["payload"].message).toContain("TypeError");
    expect(event["payload"].stack).toMatch(/price \(.*index\.ts:6:\d+\)/);
    expect(event["payload"].stack).toMatch(/explode \(.*index\.ts:14:\d+\)/);
    expect(event["payload"].stack).not.toMatch(/node_modules|\/work\/|isolated-vm/);

    await running(tenant, "a");
    expect(await tenant.call("a", "ok")).toBe(1);
    const restarted = await eventOf(tenant, "a", "service_restarted");
    expect(restarted).toMatchObject({ causation_id: event["id"], payload: { restarts: 1 } });
    const status = await tenant.status("a");
    expect(status).toMatchObject({
      state: "running",
      restarts: 1,
      last_crash: { reason: "exception", event_id: event["id"] },
    });
    expect(status["last_crash"].stack).toBe(event["payload"].stack);
    expect(status["instance_id"]).not.toBe(instance_id);
    expect(status["instance_id"]).toBe(restarted["payload"].instance_id);
  });

  test("in an earlier file of several names that file", async () => {
    await tenant.deploy({
      service_id: "files",
      files: {
        "index.ts": `import { boom } from "./lib/boom.ts";\nexport default { calls: { go: () => boom({}) } };`,
        "lib/boom.ts": `type Anything = any;\n\nexport const boom = (thing: Anything): string =>\n  thing.not.there;\n`,
      },
    });
    await tenant.ask("files", "go");
    expect((await eventOf(tenant, "files", "service_crashed"))["payload"].stack).toMatch(
      /lib\/boom\.ts:4:\d+/,
    );
  });

  const ways: Record<string, string> = {
    "a cast": `export default { casts: { go() { throw new Error("from cast"); } }, calls: { ok: () => 1 } };`,
    info: `export default { info() { throw new Error("from info"); }, casts: { async go(solo) { await solo.after(0, 1); } }, calls: { ok: () => 1 } };`,
    "a timer's callback": `export default { casts: { go() { setTimeout(() => { throw new Error("from timer"); }, 1); } }, calls: { ok: () => 1 } };`,
    "a promise nobody waits for": `export default { casts: { go() { void Promise.reject(new Error("from promise")); } }, calls: { ok: () => 1 } };`,
    "a promise that fails later": `export default { casts: { go(solo) { void (async () => { await solo.sleep(2); throw new Error("from later"); })(); } }, calls: { ok: () => 1 } };`,
    "something that is not an Error": `export default { casts: { go() { throw "from text"; } }, calls: { ok: () => 1 } };`,
  };
  for (const [where, source] of Object.entries(ways)) {
    test(`is what a throw in ${where} is`, async () => {
      const service_id = where.replaceAll(/\W/g, "-");
      await tenant.deploy({ service_id, code: source });
      await tenant.cast(service_id, "go");
      const event = await eventOf(tenant, service_id, "service_crashed");
      expect(event["payload"].message).toContain("from ");
      await eventOf(tenant, service_id, "service_restarted");
      expect(await tenant.call(service_id, "ok")).toBe(1);
    });
  }

  test("ends every message the instance was handling, and those behind it are handled by the next one", async () => {
    await tenant.deploy({
      service_id: "fuse",
      code: `const { promise, resolve } = Promise.withResolvers();
      export default { concurrent: true, calls: { burns: () => promise, light: () => resolve() } };`,
    });
    await tenant.deploy({
      service_id: "queue",
      code: `export default { calls: { async explode(solo) { await solo.services.call("fuse", "burns"); throw new Error("boom"); }, ok: (_solo, n) => n } };`,
    });
    const waiting = (count: number) =>
      until(
        async () => (await tenant.status("queue"))["mailbox_length"] === count,
        `${count} messages`,
      );
    const exploding = tenant.ask("queue", "explode");
    await waiting(1);
    const behind = [1, 2, 3].map((n) => tenant.ask("queue", "ok", [n]));
    await waiting(4);
    await tenant.call("fuse", "light");
    expect((await exploding).body).toMatchObject({ code: "service_crashed" });
    expect((await Promise.all(behind)).map(({ body }) => body.reply)).toEqual([1, 2, 3]);
  });

  test("of one service leaves its tenant's other services and their state alone", async () => {
    await tenant.deploy({ service_id: "neighbour", code: COUNTER });
    await tenant.call("neighbour", "add");
    const before = await tenant.status("neighbour");
    await tenant.ask("a", "explode");
    await running(tenant, "a");
    expect(await tenant.call("neighbour", "get")).toBe(1);
    expect((await tenant.status("neighbour"))["instance_id"]).toBe(before["instance_id"]);
  });

  test("keeps durable state", async () => {
    const source = COUNTER.replace("casts: {", "casts: { boom() { throw new Error('x'); },");
    await tenant.deploy({ service_id: "durable", code: source, persistence: "durable" });
    await tenant.call("durable", "add");
    await tenant.call("durable", "add");
    await tenant.cast("durable", "boom");
    await eventOf(tenant, "durable", "service_restarted");
    expect(await tenant.call("durable", "get")).toBe(2);
  });
});

describe("restart kinds and intensity", () => {
  const tenant = kernel.tenant("intensity");
  const code = `export default { calls: { ok: () => 1 }, casts: { boom() { throw new Error("boom"); } } };`;

  test("a temporary service is not restarted, and says so until it is restarted by hand", async () => {
    await tenant.deploy({ service_id: "once", code, restart: "temporary" });
    await tenant.cast("once", "boom");
    await eventOf(tenant, "once", "service_crashed");
    const refused = await until(async () => {
      const answer = await tenant.ask("once", "ok");
      return answer.status === 409 ? answer : undefined;
    }, "the service to be down");
    expect(refused.body).toMatchObject({ code: "service_not_running" });
    expect((await tenant.request("POST", "/services/once/restart")).status).toBe(200);
    expect(await tenant.call("once", "ok")).toBe(1);
  });

  test("a transient service is restarted after a crash", async () => {
    await tenant.deploy({ service_id: "transient", code, restart: "transient" });
    await tenant.cast("transient", "boom");
    await eventOf(tenant, "transient", "service_restarted");
    expect(await tenant.call("transient", "ok")).toBe(1);
  });

  test("too many crashes quarantine it: an event, 503 for everybody, and a restart brings it back", async () => {
    await tenant.deploy({
      service_id: "sick",
      code,
      restart_limits: { max_restarts: 2, max_seconds: 60 },
    });
    await until(async () => {
      await tenant.cast("sick", "boom").catch(() => {});
      return (await tenant.status("sick"))["state"] === "quarantined";
    }, "the quarantine");
    const event = await eventOf(tenant, "sick", "service_quarantined");
    expect(event["payload"]).toMatchObject({ crashes: 3 });
    for (const answer of [
      await tenant.ask("sick", "ok"),
      await tenant.request("POST", "/services/sick/casts/boom", {}),
    ]) {
      expect(answer.status).toBe(503);
      expect(answer.body).toMatchObject({
        code: "service_quarantined",
        hint: expect.stringContaining("last_crash"),
      });
    }
    expect((await tenant.status("sick"))["last_crash"].message).toContain("boom");
    expect(
      (await tenant.events({ service_id: "sick", event_type: "service_crashed" })).length,
    ).toBe(3);
    expect((await tenant.request("POST", "/services/sick/restart")).status).toBe(200);
    expect(await tenant.call("sick", "ok")).toBe(1);
    expect((await tenant.status("sick"))["state"]).toBe("running");
    await tenant.cast("sick", "boom");
    await until(
      async () => (await tenant.status("sick"))["restarts"] >= 3,
      "a supervised restart again",
    );
  });

  test("a quarantined service can be killed and deployed anew", async () => {
    await tenant.deploy({
      service_id: "gone",
      code,
      restart_limits: { max_restarts: 0, max_seconds: 60 },
    });
    await tenant.cast("gone", "boom");
    await until(
      async () => (await tenant.status("gone"))["state"] === "quarantined",
      "the quarantine",
    );
    await tenant.kill("gone");
    await tenant.deploy({ service_id: "gone", code });
    expect(await tenant.call("gone", "ok")).toBe(1);
  });
});

describe("kill", () => {
  const tenant = kernel.tenant("kill");

  test("removes the service, its state, its kv and its logs; the id is free again", async () => {
    const code = COUNTER.replace("add: (solo)", "say(solo) { solo.log.info('old'); }, add: (solo)");
    await tenant.deploy({ service_id: "a", code, persistence: "durable" });
    await tenant.call("a", "add");
    await tenant.call("a", "put", 1);
    await tenant.call("a", "say");
    const answer = await tenant.request("DELETE", "/services/a");
    expect(answer.status).toBe(202);
    expect(answer.body).toEqual({
      tenant_id: "kill",
      service_id: "a",
      state: "stopped",
      forced: false,
    });
    expect((await tenant.request("GET", "/services/a")).status).toBe(404);
    expect((await tenant.ask("a", "get")).body).toMatchObject({ code: "service_not_found" });
    expect(await tenant.list()).toEqual([]);
    expect((await types(tenant, "a")).at(-1)).toBe("service_killed");

    await tenant.deploy({ service_id: "a", code, persistence: "durable" });
    expect(await tenant.call("a", "get")).toBe(0);
    expect(await tenant.call("a", "kept")).toBeNull();
    expect(await tenant.logs("a")).toEqual([]);
    expect((await tenant.request("DELETE", "/services/nobody")).body).toMatchObject({
      code: "service_not_found",
    });
  });

  test("finishes what is in flight first", async () => {
    await tenant.deploy({
      service_id: "polite",
      code: `const { promise, resolve } = Promise.withResolvers();
      export default { concurrent: true, calls: { wait: () => promise },
        async fetch(request) { resolve(await request.text()); return new Response("done"); } };`,
    });
    const waits = tenant.ask("polite", "wait");
    const held = holdRequest(tenant, "polite");
    await until(
      async () => (await tenant.status("polite"))["mailbox_length"] === 2,
      "the call and the request to begin",
    );
    const killing = tenant.kill("polite", "?timeout_ms=60000");
    await until(
      async () => (await tenant.status("polite"))["state"] === "draining",
      "the kill to wait",
    );
    expect(await held.finish()).toBe("done");
    expect((await waits).body).toEqual({ reply: "held" });
    expect((await killing)["forced"]).toBe(false);
  });

  test("with force ends it at once: in-flight calls get an outcome, terminate does not run", async () => {
    await tenant.deploy({
      service_id: "forced",
      code: `export default { calls: { slow: (solo) => solo.sleep(60_000) }, terminate: (solo) => solo.events.emit("terminated") };`,
    });
    const slow = tenant.ask("forced", "slow");
    await until(
      async () => (await tenant.status("forced"))["mailbox_length"] === 1,
      "the call to begin",
    );
    const killed = await tenant.kill("forced", "?force=true");
    expect(killed["forced"]).toBe(true);
    const { status, body } = await slow;
    expect([status, body.code]).toEqual([502, "outcome_unknown"]);
    expect(await tenant.events({ event_type: "service.terminated" })).toEqual([]);
  });

  test("with a timeout forces it when that has passed", async () => {
    await tenant.deploy({
      service_id: "stubborn",
      code: `export default { calls: { slow: (solo) => solo.sleep(60_000) } };`,
    });
    const slow = tenant.ask("stubborn", "slow");
    await until(
      async () => (await tenant.status("stubborn"))["mailbox_length"] === 1,
      "the call to begin",
    );
    const killed = await tenant.kill("stubborn", "?timeout_ms=100");
    expect(killed["forced"]).toBe(true);
    expect((await slow).body.code).toBe("outcome_unknown");
  });

  test("ends a service that loops, and the id can be used at once", async () => {
    await tenant.deploy({
      service_id: "loop",
      code: `export default { calls: { loop() { for (;;); }, ok: () => 1 } };`,
    });
    const looping = tenant.ask("loop", "loop");
    await until(
      async () => (await tenant.status("loop"))["mailbox_length"] === 1,
      "the loop to begin",
    );
    await tenant.kill("loop", "?force=true");
    expect((await looping).body.code).toBe("outcome_unknown");
    await tenant.deploy({ service_id: "loop", code: `export default { calls: { ok: () => 2 } };` });
    expect(await tenant.call("loop", "ok")).toBe(2);
  });
});
