/** Time, memory and mailboxes: what a service may use, and what its callers hear at the bound. */
import { afterAll, describe, expect, test } from "vitest";
import { startKernel, until, type Body, type TestTenant } from "../support/kernel.ts";

const kernel = await startKernel();
afterAll(() => kernel[Symbol.asyncDispose]());

const crashOf = (tenant: TestTenant, service: string): Promise<Body> =>
  until(
    async () =>
      (await tenant.events({ service_id: service, event_type: "service_crashed" })).at(-1),
    `${service} to crash`,
  );

/** The crash that a call brings about; it is made again where its time was over before it began. */
const crashOfCall = (tenant: TestTenant, service: string, call: () => Promise<unknown>) =>
  until(async () => {
    const crashes = await tenant.events({ service_id: service, event_type: "service_crashed" });
    const isIdle = (await tenant.status(service))["mailbox_length"] === 0;
    if (crashes.length === 0 && isIdle) await call();
    return crashes.at(-1);
  }, `${service} to crash`);

const answersAgain = (tenant: TestTenant, service: string) =>
  until(async () => (await tenant.ask(service, "ok")).status === 200, `${service} to answer again`);

/** A deadline until which a handler has begun, also on most busy machines. */
const BEGUN_MS = 700;

describe("deadlines", () => {
  const tenant = kernel.tenant("time");
  const code = `export default { concurrent: true, calls: {
    slow: (solo, ms) => solo.sleep(ms).then(() => "done"),
    async heard(solo) { return solo.state.heard ?? null; },
    async listens(solo) { solo.signal.addEventListener("abort", () => { solo.state.heard = String(solo.signal.reason.name); }); await solo.sleep(60_000); },
    loop() { for (;;); }, ok: () => 1 } };`;

  test("a call ends at its own timeout_ms, and its handler's signal fires", async () => {
    await tenant.deploy({ service_id: "a", code });
    const late = await tenant.ask("a", "slow", [60_000], { timeout_ms: 50 });
    expect(late.status).toBe(504);
    expect(late.body).toMatchObject({
      code: "deadline_exceeded",
      detail: expect.stringContaining("50 ms"),
    });
    await until(async () => {
      // Short enough to end before it has begun, when the machine is busy.
      const { body } = await tenant.ask("a", "listens", [], { timeout_ms: 50 });
      expect(body.code).toBe("deadline_exceeded");
      return (await tenant.call("a", "heard")) === "AbortError";
    }, "the signal");
    expect(await tenant.status("a")).toMatchObject({ state: "running", restarts: 0 });
  });

  test("a call never waits longer than the service's call_timeout_ms", async () => {
    await tenant.deploy({ service_id: "b", code, limits: { call_timeout_ms: 100 } });
    const late = await tenant.ask("b", "slow", [60_000], { timeout_ms: 60_000 });
    expect(late.body).toMatchObject({
      code: "deadline_exceeded",
      detail: expect.stringContaining("100 ms"),
    });
    await answersAgain(tenant, "b");
  });

  test("an endless loop is ended after the deadline, said to be what it is, and the service answers again", async () => {
    await tenant.deploy({ service_id: "c", code });
    const event = await crashOfCall(tenant, "c", async () => {
      const { body } = await tenant.ask("c", "loop", [], { timeout_ms: BEGUN_MS });
      expect(body.code).toBe("deadline_exceeded");
    });
    expect(event["payload"]).toMatchObject({ reason: "timeout", last_messages: ["calls.loop"] });
    await answersAgain(tenant, "c");
  });

  test("while one service loops, its neighbours and other tenants answer", async () => {
    const other = kernel.tenant("elsewhere");
    await tenant.deploy({ service_id: "neighbour", code });
    await tenant.deploy({ service_id: "loops", code });
    await other.deploy({ service_id: "d", code });
    const looping = tenant.ask("loops", "loop");
    await until(async () => (await tenant.status("loops"))["mailbox_length"] === 1, "the loop");
    for (let round = 0; round < 10; round += 1) {
      expect(await tenant.call("neighbour", "ok")).toBe(1);
      expect(await other.call("d", "ok")).toBe(1);
    }
    expect((await tenant.status("loops"))["mailbox_length"]).toBe(1);
    await tenant.kill("loops", "?force=true");
    expect((await looping).body.code).toBe("outcome_unknown");
  });

  test("a loop in a cast, which nobody waits for, is ended too", async () => {
    const source = code.replace("calls: {", "casts: { loop() { for (;;); } }, calls: {");
    await tenant.deploy({ service_id: "e", code: source, limits: { call_timeout_ms: BEGUN_MS } });
    await tenant.cast("e", "loop");
    expect((await crashOf(tenant, "e"))["payload"]).toMatchObject({
      reason: "timeout",
      last_messages: ["casts.loop"],
    });
    await answersAgain(tenant, "e");
    expect((await tenant.status("e"))["restarts"]).toBe(1);
  });

  test("a handler that never settles frees its place when the service is not concurrent", async () => {
    await tenant.deploy({
      service_id: "never",
      limits: { call_timeout_ms: BEGUN_MS },
      code: `export default { calls: { never: () => new Promise(() => {}), ok: () => 1 } };`,
    });
    const crash = await crashOfCall(tenant, "never", async () => {
      expect((await tenant.ask("never", "never")).body.code).toBe("deadline_exceeded");
    });
    await answersAgain(tenant, "never");
    expect(crash["payload"]).toMatchObject({
      reason: "timeout",
      last_messages: ["calls.never"],
    });
  });
});

describe("the mailbox", () => {
  const tenant = kernel.tenant("mailbox");
  const code = `export default { init: () => ({ notes: [] }), calls: {
      hold(solo) { solo.log.info("begun"); return new Promise((resolve) => solo.signal.addEventListener("abort", () => resolve())); },
      ok: () => 1, notes: (solo) => solo.state.notes },
    casts: { note(solo, n) { solo.state.notes.push(n); } } };`;

  /** A call that occupies the service until its caller goes. */
  const occupy = async (service: string) => {
    const caller = new AbortController();
    const answer = tenant
      .fetch(`/services/${service}/calls/hold`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}",
        signal: caller.signal,
      })
      .then((response) => response.json() as Promise<Body>);
    answer.catch(() => {});
    await until(
      async () => (await tenant.logs(service)).some(({ text }) => text === "begun"),
      "the call to begin",
    );
    return { answer, release: () => caller.abort() };
  };

  test("is bounded: beyond it 429 with a time to try again, and what was taken is handled", async () => {
    await tenant.deploy({ service_id: "a", code, limits: { mailbox: 4 } });
    const { release } = await occupy("a");
    const answers = Promise.all(Array.from({ length: 8 }, () => tenant.ask("a", "ok")));
    await until(async () => (await tenant.status("a"))["errors"] === 5, "the refusals");
    release();
    const refused = (await answers).filter(({ status }) => status === 429);
    expect(refused).toHaveLength(5);
    expect(refused[0]!.body).toMatchObject({ code: "mailbox_full", hint: expect.any(String) });
    expect(refused[0]!.headers.get("retry-after")).not.toBeNull();
    expect((await answers).filter(({ status }) => status === 200)).toHaveLength(3);
    expect(await tenant.call("a", "ok")).toBe(1);
  });

  test("with drop_oldest keeps the newest casts", async () => {
    const limits = { mailbox: 3, mailbox_policy: "drop_oldest" };
    await tenant.deploy({ service_id: "b", code, limits });
    const { release } = await occupy("b");
    for (const n of [1, 2, 3, 4, 5]) await tenant.cast("b", "note", n);
    release();
    await until(async () => (await tenant.status("b"))["mailbox_length"] === 0, "an empty mailbox");
    expect(await tenant.call("b", "notes")).toEqual([4, 5]);
  });

  test("with kill restarts the service when it overflows", async () => {
    await tenant.deploy({ service_id: "c", code, limits: { mailbox: 2, mailbox_policy: "kill" } });
    const { answer } = await occupy("c");
    for (const n of [1, 2, 3]) await tenant.cast("c", "note", n).catch(() => {});
    expect((await answer)["code"]).toBe("service_crashed");
    expect((await crashOf(tenant, "c"))["payload"].message).toContain("mailbox");
    await answersAgain(tenant, "c");
  });
});

describe("memory", () => {
  const bomb = `export default { calls: { bomb() { const all = []; for (;;) all.push(new Array(10_000).fill(all.length)); }, ok: () => 1,
    string() { let s = "x"; for (;;) s += s + String(s.length); }, buffers() { const all = []; for (;;) all.push(new Uint8Array(1024 * 1024).fill(1)); } } };`;

  test.each(["bomb", "string", "buffers"])(
    "a service that takes too much (%s) ends alone and comes back",
    async (kind) => {
      const tenant = kernel.tenant(`memory-${kind}`);
      await tenant.deploy({ service_id: "bomb", code: bomb, limits: { memory_mb: 32 } });
      await tenant.deploy({
        service_id: "quiet",
        code: `export default { init: () => ({ n: 0 }), calls: { next: (solo) => (solo.state.n += 1) } };`,
      });
      const other = kernel.tenant("memory-other");
      if ((await other.request("GET", "/services/calm")).status === 404)
        await other.deploy({ service_id: "calm", code: bomb });
      await tenant.call("quiet", "next");
      const { status, body } = await tenant.ask("bomb", kind);
      expect([status, body.code]).toEqual([502, "service_crashed"]);
      expect(await other.call("calm", "ok")).toBe(1);
      await answersAgain(tenant, "bomb");
      expect(await tenant.call("quiet", "next")).toBe(2);
      expect((await crashOf(tenant, "bomb"))["payload"].reason).toMatch(/memory|exception/);
    },
  );
});
