/** A new revision on probation: what brings the old one back, and with which state. */
import { afterAll, describe, expect, test } from "vitest";
import { startKernel, until, type Body } from "../support/kernel.ts";

const kernel = await startKernel();
afterAll(() => kernel[Symbol.asyncDispose]());

const tenant = kernel.tenant("probation");
const put = async (service: string, body: Body): Promise<Body> =>
  (await tenant.request("PUT", `/services/${service}`, body)).body;
const revisionOf = async (service: string) => (await tenant.status(service))["revision"] as string;
const eventsOf = async (service: string, type: string) =>
  tenant.events({ service_id: service, event_type: type });

const OLD = `export default { version: "1", init: () => ({ n: 0 }), calls: {
  add: (solo) => (solo.state.n += 1), get: (solo) => solo.state.n } };`;
const revised = (calls: string, more = "") =>
  `export default { version: "2", codeChange: (old) => old, ${more} calls: {
    get: (solo) => solo.state.n, ${calls} } };`;

/** For tests of something else: a busy machine is no regression. */
const PATIENT = { watchdog: { max_latency_factor: 1_000_000 } };

async function warmUp(service: string, more: Body = {}): Promise<string> {
  await tenant.deploy({ service_id: service, code: OLD, ...more });
  for (let n = 0; n < 30; n += 1) await tenant.call(service, "add");
  return revisionOf(service);
}

const rolledBack = async (service: string, to: string): Promise<Body> => {
  await until(async () => (await revisionOf(service)) === to, "the rollback");
  return until(async () => (await eventsOf(service, "hot_swap_rolled_back"))[0], "its event");
};

describe("is rolled back", () => {
  test("when it crashes on the first call, with the state from before; the events name their causes", async () => {
    const before = await warmUp("first");
    const update = await put("first", { code: revised("add() { throw new Error('no'); }") });
    expect(update).toMatchObject({ state: "running", probation_ms: 30_000 });
    expect((await tenant.status("first"))["probation_ms"]).toBeGreaterThan(0);
    expect((await tenant.ask("first", "add")).body.code).toBe("service_crashed");
    const event = await rolledBack("first", before);
    expect(event["payload"]).toMatchObject({
      from_revision: update["revision"],
      revision: before,
      state: "restore_old",
      regressions: [{ what: "crashes", value: 1, limit: 0 }],
    });
    const [succeeded] = await eventsOf("first", "hot_swap_succeeded");
    const [started] = await eventsOf("first", "hot_swap_started");
    expect(event["causation_id"]).toBe(succeeded!["id"]);
    expect(succeeded!["causation_id"]).toBe(started!["id"]);
    expect(await tenant.call("first", "get")).toBe(30);
    expect(await tenant.status("first")).toMatchObject({ state: "running", version: "1" });
  });

  test("when it crashes on the hundredth call", async () => {
    const before = await warmUp("hundredth");
    await put("hundredth", {
      code: revised("add(solo) { if ((solo.state.n += 1) >= 130) throw new Error('full'); }"),
      ...PATIENT,
    });
    let calls = 0;
    while ((await tenant.ask("hundredth", "add")).status === 200) calls += 1;
    expect(calls).toBe(99);
    const { payload } = await rolledBack("hundredth", before);
    expect(payload["crash"]).toBe("Error: full");
    const { body } = await tenant.request("GET", "/services/hundredth/revisions");
    expect(body.revisions[0].message).toBe("Regression: crashes 1, at most 0 allowed; Error: full");
    expect((await tenant.status("hundredth"))["last_crash"]).toMatchObject({
      message: "Error: full",
    });
    expect(await tenant.call("hundredth", "get")).toBe(30);
  });

  test("when it fails more often than the old one", async () => {
    const before = await warmUp("errors");
    const code = revised(
      "add() { throw Object.assign(new Error('no'), { name: 'ServiceError', code: 'no' }); }",
    );
    await put("errors", { code });
    for (let n = 0; n < 25 && (await revisionOf("errors")) !== before; n += 1) {
      await tenant.ask("errors", "add");
    }
    const { payload } = await rolledBack("errors", before);
    expect(payload.regressions[0]).toMatchObject({ what: "error_rate", baseline: 0 });
  });

  test("when it is slower", async () => {
    const before = await warmUp("slow");
    await put("slow", {
      code: revised("async add(solo) { await solo.sleep(1000); }", "concurrent: true,"),
      watchdog: { max_latency_factor: 1 },
    });
    await Promise.all(Array.from({ length: 21 }, () => tenant.ask("slow", "add")));
    const { payload } = await rolledBack("slow", before);
    expect(payload.regressions[0]).toMatchObject({ what: "latency_p95_ms" });
  });

  test("when it leaks", async () => {
    const before = await warmUp("leak");
    await until(
      async () => (await tenant.status("leak"))["memory_bytes"] > 0,
      "a measure of the old revision",
    );
    const leak = "add() { (globalThis.kept ??= []).push(new Array(3e6).fill(1.5)); return 1; }";
    await put("leak", { code: revised(leak) });
    await tenant.ask("leak", "add");
    await tenant.ask("leak", "add");
    const { payload } = await rolledBack("leak", before);
    expect(payload.regressions[0].what).toMatch(/memory_bytes|crashes/);
  });
});

describe("on rollback the state is", () => {
  const BAD = "add(solo) { solo.state.n += 1; }, boom() { throw new Error('boom'); }";
  const watchdog = (state_on_rollback: string) => ({ watchdog: { state_on_rollback } });
  /** Crashes by being slow to answer would lose the state: fails instead. */
  const FAILS =
    "add(solo) { solo.state.n += 1; }, fail() { throw Object.assign(new Error('no'), { name: 'ServiceError', code: 'no' }); }";

  async function failUntilBack(service: string, before: string): Promise<Body> {
    for (let n = 0; n < 30 && (await revisionOf(service)) !== before; n += 1) {
      await tenant.ask(service, "fail");
    }
    return rolledBack(service, before);
  }

  test("the new one, with keep_new", async () => {
    const before = await warmUp("keep");
    await put("keep", { code: revised(FAILS), ...watchdog("keep_new") });
    await tenant.call("keep", "add");
    expect((await failUntilBack("keep", before))["payload"]).toMatchObject({ state: "keep_new" });
    expect(await tenant.call("keep", "get")).toBe(31);
  });

  test("the durable one of the new revision, when it has crashed", async () => {
    const before = await warmUp("kept", { persistence: "durable" });
    await put("kept", { code: revised(BAD), ...watchdog("keep_new") });
    await tenant.call("kept", "add");
    await tenant.ask("kept", "boom");
    await rolledBack("kept", before);
    expect(await tenant.call("kept", "get")).toBe(31);
  });

  test("what downgrade makes of the new one", async () => {
    const before = await warmUp("down");
    const more = "downgrade: (state, to) => ({ n: state.n * 10 + Number(to) }),";
    await put("down", { code: revised(FAILS, more), ...watchdog("downgrade") });
    await tenant.call("down", "add");
    expect((await failUntilBack("down", before))["payload"]).toMatchObject({ state: "downgrade" });
    expect(await tenant.call("down", "get")).toBe(311);
  });

  test.each([
    ["throws", "downgrade() { throw new Error('no way'); },"],
    ["never ends", "downgrade() { for (;;); },"],
    ["returns what cannot be kept", "downgrade: (state) => ({ ...state, f() {} }),"],
  ])("the old one when downgrade %s", async (what, more) => {
    const service = `downgrade-${what.replaceAll(" ", "-")}`;
    const before = await warmUp(service);
    // Long enough for the way there, which is under the same limit.
    const restart_limits = { code_change_timeout_ms: what === "never ends" ? 2000 : 30_000 };
    await put(service, { code: revised(FAILS, more), ...watchdog("downgrade"), restart_limits });
    await tenant.call(service, "add");
    const { payload } = await failUntilBack(service, before);
    expect(payload).toMatchObject({ state: "restore_old" });
    expect(await tenant.call(service, "get")).toBe(30);
  });

  test("the old one when the old code refuses the new one", async () => {
    const picky = OLD.replace("calls:", "checkState: (state) => state.extra === undefined, calls:");
    await tenant.deploy({ service_id: "picky", code: picky });
    await tenant.call("picky", "add");
    const before = await revisionOf("picky");
    const code = revised(FAILS).replace("(old) => old", "(old) => ({ ...old, extra: 1 })");
    await put("picky", { code, ...watchdog("keep_new") });
    await tenant.call("picky", "add");
    const { payload } = await failUntilBack("picky", before);
    expect(payload).toMatchObject({ state: "restore_old" });
    expect(await tenant.call("picky", "get")).toBe(1);
  });
});

test("passes when it does well, and crashes afterwards are the supervisor's again", async () => {
  await warmUp("well");
  const { revision } = await put("well", {
    code: revised("add: (solo) => (solo.state.n += 1), die() { throw new Error('x'); }"),
    watchdog: { max_messages: 5 },
  });
  for (let n = 0; n < 6; n += 1) await tenant.call("well", "add");
  await until(
    async () => (await tenant.status("well"))["probation_ms"] === undefined,
    "the end of the probation",
  );
  await tenant.ask("well", "die");
  await until(async () => (await tenant.status("well"))["restarts"] === 1, "the restart");
  expect(await revisionOf("well")).toBe(revision);
});

test("without a watchdog nothing is rolled back", async () => {
  await warmUp("free");
  const { revision, probation_ms } = await put("free", {
    code: revised("die() { throw new Error('x'); }"),
    watchdog: { enabled: false },
  });
  expect(probation_ms).toBeUndefined();
  await tenant.ask("free", "die");
  await until(async () => (await tenant.status("free"))["restarts"] === 1, "the restart");
  expect(await revisionOf("free")).toBe(revision);
});

test("a service that was killed on probation does not come back", async () => {
  const code = revised("die() { throw new Error('x'); }");
  const before = new Map<string, string>();
  for (const service of ["gone", "stays"]) {
    before.set(service, await warmUp(service));
    await put(service, { code });
  }
  await Promise.all([
    tenant.ask("gone", "die"),
    tenant.request("DELETE", "/services/gone?force=true"),
  ]);
  await until(async () => {
    const { status } = await tenant.request("DELETE", "/services/gone?force=true");
    return status === 404;
  }, "the kill");
  // One that crashes later is back: so would be the other.
  await tenant.ask("stays", "die");
  await rolledBack("stays", before.get("stays")!);
  expect((await tenant.request("GET", "/services/gone")).status).toBe(404);
});
