/** What a limit does to callers and neighbours, as a client of the kernel sees it; what is told of
 *  each, and what follows, is in every-limit. */
import { afterAll, describe, expect, test } from "vitest";
import { startKernel, until, type Body, type TestTenant } from "../support/kernel.ts";

const kernel = await startKernel({
  config: `[tenants.small]
max_timers = 5
max_cpu_percent = 50
tenant_open_requests = 4
`,
});
afterAll(() => kernel[Symbol.asyncDispose]());

const violations = async (tenant: TestTenant, what: string): Promise<Body[]> =>
  (await tenant.events({ event_type: "resource_violation" }))
    .map(({ payload, subject }) => ({ ...(payload as Body), subject }))
    .filter((each: Body) => each["what"] === what);

/** The approach and then the excess of one resource. */
const told = (tenant: TestTenant, what: string): Promise<Body[]> =>
  until(async () => {
    const all = await violations(tenant, what);
    return all.some(({ level }) => level === "exceeded") ? all : undefined;
  }, `${what} to be exceeded`);

const usageOf = async (tenant: TestTenant, service: string, what: string): Promise<Body> =>
  (await tenant.status(service))["usage"].find((each: Body) => each["what"] === what);

const code = `export default { concurrent: true, init: () => ({ n: 0, got: [] }), calls: {
  ok: () => 1,
  next: (solo) => (solo.state.n += 1),
  hang: (solo) => solo.sleep(60_000),
  async timers(solo, count) { let set = 0; try { for (; set < count; set += 1) await solo.after(60_000, 1); } catch (error) { return [set, error.code]; } return [set]; },
  log(solo, count) { for (let i = 0; i < count; i += 1) solo.log.info("line " + i); },
  long(solo, size) { solo.log.info("x".repeat(size)); },
  async store(solo, keys, size) { for (let i = 0; i < keys; i += 1) { try { await solo.kv.put("k" + i, "x".repeat(size)); } catch (error) { return [i, error.code, error.message]; } } return [keys]; },
  free: (solo) => solo.kv.delete("k0"),
  echo: (solo, text) => text.length,
  async ask(solo, count) { await Promise.all(Array.from({ length: count }, () => solo.kv.get("none"))); return count; },
  spin(solo, ms) { const end = Date.now() + ms; while (Date.now() < end); return 1; },
} };`;

/** A service with these limits, and a neighbour in the same tenant. */
async function deployed(name: string, limits: Body): Promise<TestTenant> {
  const tenant = kernel.tenant(name);
  await tenant.deploy({ service_id: "a", code, limits });
  await tenant.deploy({ service_id: "neighbour", code });
  expect(await tenant.call("neighbour", "next")).toBe(1);
  return tenant;
}

const neighbourIsWell = async (tenant: TestTenant) =>
  expect(await tenant.call("neighbour", "next")).toBe(2);

/** Ends it and whatever is in flight. */
const end = (tenant: TestTenant, service: string) => tenant.kill(service, "?force=true");

const crashes = async (tenant: TestTenant): Promise<Body[]> =>
  await tenant.events({ service_id: "a", event_type: "service_crashed" });

describe("a limit on", () => {
  test("timers refuses the next one", async () => {
    const tenant = await deployed("timers", { timers: 10 });
    expect(await tenant.call("a", "timers", 12)).toEqual([10, "limit_exceeded"]);
    expect((await told(tenant, "timers")).map(({ level }) => level)).toEqual([
      "approach",
      "exceeded",
    ]);
    expect(await usageOf(tenant, "a", "timers")).toMatchObject({
      value: 10,
      limit: 10,
      unit: "count",
      action: "throttle",
    });
    await neighbourIsWell(tenant);
  });

  test("open requests refuses the next one, and says when to try again", async () => {
    const tenant = await deployed("open", { open_requests: 4 });
    const open = [1, 2, 3, 4].map(() => tenant.ask("a", "hang"));
    await until(async () => (await usageOf(tenant, "a", "open_requests"))["value"] === 4, "four");
    const refused = await tenant.ask("a", "ok");
    expect(refused.status).toBe(429);
    expect(refused.body).toMatchObject({
      code: "limit_exceeded",
      detail: expect.stringContaining("limits.open_requests"),
    });
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await told(tenant, "open_requests")).map(({ level }) => level)).toEqual([
      "approach",
      "exceeded",
    ]);
    await neighbourIsWell(tenant);
    await end(tenant, "a");
    await Promise.all(open);
  });

  test("open requests counts responses whose bodies still flow", async () => {
    const tenant = kernel.tenant("bodies");
    const streaming = `export default { fetch: () => new Response(new ReadableStream({ pull(c) { c.enqueue(new TextEncoder().encode("x")); return new Promise(() => {}); } })) };`;
    await tenant.deploy({ service_id: "a", code: streaming, limits: { open_requests: 1 } });
    const abort = new AbortController();
    const first = await tenant.ingress("a", "/", { signal: abort.signal });
    expect(first.status).toBe(200);
    expect((await tenant.ingress("a")).status).toBe(429);
    abort.abort();
    await until(async () => {
      const again = new AbortController();
      const { status } = await tenant.ingress("a", "/", { signal: again.signal });
      again.abort();
      return status === 200;
    }, "room for another");
  });

  test("log lines drops the rest of the second, and says how many", async () => {
    const tenant = await deployed("logs", { log_lines_per_second: 50, log_line_bytes: 100 });
    await tenant.call("a", "log", 500);
    const texts = async () => (await tenant.logs("a")).map(({ text }) => text as string);
    const dropped = (all: string[]) =>
      all
        .map((text) => Number(/^(\d+) lines were dropped/.exec(text)?.[1] ?? 0))
        .reduce((sum, each) => sum + each, 0);
    await until(async () => {
      const all = await texts();
      return (
        dropped(all) > 0 &&
        all.filter((text) => text.startsWith("line")).length + dropped(all) === 500
      );
    }, "every line to be kept or counted");
    await told(tenant, "log_lines");
    await tenant.call("a", "long", 1000);
    await until(async () => (await texts()).at(-1)!.startsWith("xxx"), "the long line");
    expect((await texts()).at(-1)).toHaveLength(100);
    await neighbourIsWell(tenant);
  });

  test("log lines beyond what one turn may say are dropped where they are said, and counted", async () => {
    const tenant = await deployed("chatter", { log_lines_per_second: 100_000 });
    await tenant.call("a", "log", 100_000);
    const line = "98000 lines were dropped: more than 2000 without an await in between.";
    const isKept = async () => (await tenant.logs("a")).some(({ text }) => text === line);
    await until(isKept, "the line about dropped ones");
    await neighbourIsWell(tenant);
  });

  test("storage refuses what would pass it, and takes writes again when there is room", async () => {
    const tenant = await deployed("storage", { storage_bytes: 10_000, kv_value_bytes: 2000 });
    const [stored, failure, detail] = await tenant.call("a", "store", 20, 1000);
    expect([stored, failure]).toEqual([9, "limit_exceeded"]);
    expect(detail).toContain("limits.storage_bytes");
    expect((await told(tenant, "storage")).map(({ level }) => level)).toEqual([
      "approach",
      "exceeded",
    ]);
    expect((await usageOf(tenant, "a", "storage"))["value"]).toBeGreaterThan(9000);
    await tenant.call("a", "free");
    expect(await tenant.call("a", "store", 1, 1000)).toEqual([1]);
    expect((await tenant.call("a", "store", 1, 3000))[1]).toBe("payload_too_large");
    await neighbourIsWell(tenant);
  });

  test("keys refuses another key, and not another value of the same", async () => {
    const tenant = await deployed("keys", { kv_keys: 5 });
    expect((await tenant.call("a", "store", 6, 10)).slice(0, 2)).toEqual([5, "limit_exceeded"]);
    expect(await tenant.call("a", "store", 5, 20)).toEqual([5]);
    await told(tenant, "kv_keys");
  });

  test("messages refuses one that is larger", async () => {
    const tenant = await deployed("message", { message_bytes: 2000 });
    const { status, body } = await tenant.ask("a", "echo", ["x".repeat(3000)]);
    expect([status, body.code]).toEqual([413, "payload_too_large"]);
    expect(await tenant.call("a", "echo", "x".repeat(1000))).toBe(1000);
    await told(tenant, "message");
  });

  test("requests to the kernel lets the rest wait, and answers all of them", async () => {
    const tenant = await deployed("asks", { host_requests_per_second: 100 });
    expect(await tenant.call("a", "ask", 150)).toBe(150);
    await told(tenant, "host_requests");
    await neighbourIsWell(tenant);
  });
});

describe("CPU time", () => {
  test("above its share is held back: the service pauses, callers are told, and it goes on", async () => {
    const tenant = await deployed("cpu", { cpu_percent: 5, mailbox: 1000 });
    // However little of a busy machine it gets in 50 ms; and nothing waits behind it.
    const [first] = await until(async () => {
      await tenant.ask("a", "spin", [50]);
      const all = await violations(tenant, "cpu");
      return all.some(({ level }) => level === "exceeded") && all;
    }, "its share to be exceeded");
    expect(first).toMatchObject({ subject: "a", limit: 5, action: "throttle" });
    await until(async () => {
      const { status, body } = await tenant.ask("a", "ok");
      return status === 429 && String(body.detail).includes("cpu_percent");
    }, "a refusal");
    await neighbourIsWell(tenant);
    await until(async () => (await tenant.ask("a", "ok")).status === 200, "its share again");
    expect(await crashes(tenant)).toEqual([]);
  });

  test("is counted over restarts, for the service and its tenant", async () => {
    const tenant = await deployed("account", {});
    const before = await until(async () => {
      await tenant.call("a", "spin", 100);
      const { cpu_ms } = await tenant.status("a");
      // Rounded to a thousandth in the status, not in the metrics.
      return cpu_ms >= 100 ? Math.floor(cpu_ms) : undefined;
    }, "its CPU time");
    await tenant.request("POST", "/services/a/restart");
    expect((await tenant.status("a"))["cpu_ms"]).toBeGreaterThanOrEqual(before);
    const metric = async (name: string) => {
      const text = await (await fetch(`${kernel.metrics}/metrics`)).text();
      return Number(new RegExp(`^${name}\\{tenant="account"[^}]*\\} (\\S+)$`, "m").exec(text)?.[1]);
    };
    expect(await metric("solo_service_cpu_ms")).toBeGreaterThanOrEqual(before);
    await until(async () => (await metric("solo_tenant_cpu_ms")) >= before, "the tenant's");
  });
});

test("a loop whose caller has gone is ended, and told with how long that one waited", async () => {
  const tenant = await deployed("left", { call_timeout_ms: 60_000 });
  const call = tenant.fetch("/services/a/calls/spin", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ args: [60_000] }),
    signal: AbortSignal.timeout(1000),
  });
  await expect(call).rejects.toThrow("timeout");
  const [exceeded] = (await told(tenant, "call_time")).filter(({ level }) => level === "exceeded");
  expect(exceeded).toMatchObject({ action: "kill" });
  expect(exceeded!["limit"]).toBeLessThan(60_000);
  expect(exceeded!["value"]).toBeGreaterThanOrEqual(exceeded!["limit"]);
  await neighbourIsWell(tenant);
});

describe("a tenant", () => {
  const tenant = kernel.tenant("small");

  test("has ceilings: a deployment that asks for more is refused by the field's name", async () => {
    const limits = { timers: 6, cpu_percent: 60 };
    const { status, body } = await tenant.request("POST", "/services", {
      service_id: "greedy",
      code,
      limits,
    });
    expect([status, body.code]).toEqual([400, "invalid_argument"]);
    expect(body.errors.map(({ field }: Body) => field)).toEqual([
      "limits.cpu_percent",
      "limits.timers",
    ]);
    expect(body.detail).toContain("limits.max_timers");
  });

  test("gets its own ceiling where the usual default is higher", async () => {
    await tenant.deploy({ service_id: "a", code });
    await tenant.deploy({ service_id: "b", code });
    expect(await usageOf(tenant, "a", "timers")).toMatchObject({ limit: 5 });
    expect(await usageOf(tenant, "a", "cpu")).toMatchObject({ limit: 50 });
  });

  test("shares its requests in flight among its services; other tenants do not notice", async () => {
    const services = ["hangs-1", "hangs-2"];
    for (const service_id of services) await tenant.deploy({ service_id, code });
    const open = [...services, ...services].map((id) => tenant.ask(id, "hang"));
    await until(
      async () => (await usageOf(tenant, "a", "tenant_open_requests"))["value"] === 4,
      "four requests",
    );
    const { status, body } = await tenant.ask("b", "ok");
    expect([status, body.code]).toEqual([429, "limit_exceeded"]);
    expect(body.detail).toContain("tenant small");
    expect((await told(tenant, "tenant_open_requests")).at(-1)).toMatchObject({ subject: null });
    const other = kernel.tenant("beside-small");
    await other.deploy({ service_id: "a", code });
    expect(await other.call("a", "ok")).toBe(1);
    for (const service of services) await end(tenant, service);
    await Promise.all(open);
  });
});

test("a flood of violations is one event with a count", async () => {
  const tenant = await deployed("flood", { message_bytes: 1024 });
  await Promise.all(Array.from({ length: 50 }, () => tenant.ask("a", "echo", ["x".repeat(2000)])));
  expect(await told(tenant, "message")).toHaveLength(1);
});
