/** Swaps that fail at every step, under load, and beside everything else that can happen. */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import type { Faults, FaultStep } from "#kernel/faults.ts";
import { startInProcess, type InProcessKernel } from "../support/kernel-in-process.ts";
import { swapUnderLoad } from "../faults/swap-load.ts";
import { until } from "../support/until.ts";

let solo: InProcessKernel;
let between: Faults = () => {};
beforeAll(async () => {
  solo = await startInProcess({ faults: (step) => between(step) });
});
afterAll(() => solo[Symbol.asyncDispose]());

const tenant = "swap";
const deploy = (service_id: string, code: string, more: object = {}) =>
  solo.ask("Deploy", { service_id, code, watchdog: { enabled: false }, ...more }, tenant);
const update = (service_id: string, code: string, more: object = {}) =>
  solo.ask("Update", { service_id, code, ...more }, tenant);
const call = (service: string, name: string, ...args: unknown[]) =>
  solo.call(tenant, service, name, ...args);
const statusOf = (service_id: string) => solo.ask("Status", { service_id }, tenant);

/** A counter that also remembers the way that its state has come. */
const counter = (version: number, more = "") => `export default { version: "${version}",
  init: () => ({ n: 0, v: ${version} }), ${more}
  codeChange: (old, from) => ({ ...old, v: ${version}, from }),
  calls: { add: (solo) => (solo.state.n += 1), look: (solo) => solo.state,
    async slow(solo, ms) { await solo.sleep(ms); return solo.state.v; },
    die() { throw new Error("asked to"); } },
};`;

describe("a revision that cannot take over leaves the old one serving, with its state", () => {
  const bad: [string, string, { code: string; message?: unknown }][] = [
    [
      "codeChange throws",
      counter(2, "checkState() {},").replace("({ ...old", "(no.such, { ...old"),
      { code: "startup_failed" },
    ],
    [
      "codeChange never ends",
      counter(2).replace("({ ...old, v: 2, from })", "{ for (;;); }"),
      { code: "startup_timeout" },
    ],
    [
      "codeChange waits for ever",
      counter(2).replace("({ ...old, v: 2, from })", "new Promise(() => {})"),
      { code: "startup_timeout" },
    ],
    [
      "codeChange returns what cannot be kept",
      counter(2).replace("...old,", "...old, f: () => 1,"),
      { code: "startup_failed" },
    ],
    [
      "codeChange returns too much",
      counter(2).replace("...old,", "...old, big: 'x'.repeat(70000),"),
      { code: "startup_failed" },
    ],
    [
      "codeChange returns what fails when it is looked at",
      counter(2).replace(
        "({ ...old, v: 2, from })",
        "new Proxy({}, { ownKeys() { throw new Error('trap'); } })",
      ),
      { code: "startup_failed" },
    ],
    [
      "codeChange returns what is nested too deep",
      counter(2).replace(
        "({ ...old, v: 2, from })",
        "{ let s = {}; for (let n = 0; n < 1e5; n += 1) s = { s }; return s; }",
      ),
      { code: "startup_failed" },
    ],
    [
      "codeChange forgets to return",
      counter(2).replace("({ ...old, v: 2, from })", "{ old.v = 2; }"),
      {
        code: "startup_failed",
        message: expect.stringContaining("codeChange returned nothing; return the new state"),
      },
    ],
    [
      "codeChange throws an object",
      counter(2).replace("({ ...old, v: 2, from })", "{ throw { why: 'no ledger' }; }"),
      { code: "startup_failed", message: expect.stringContaining('{"why":"no ledger"}') },
    ],
    [
      "codeChange throws what is no error",
      counter(2).replace(
        "({ ...old, v: 2, from })",
        "{ throw new Proxy({}, { get() { throw 1; } }); }",
      ),
      { code: "startup_failed" },
    ],
    [
      "codeChange takes all memory",
      counter(2).replace(
        "({ ...old, v: 2, from })",
        "{ const all = []; for (;;) all.push(new Array(1e6).fill(all.length)); }",
      ),
      { code: "startup_failed" },
    ],
    [
      "checkState says no",
      counter(2, "checkState: (state) => state.n > 5,"),
      { code: "startup_failed" },
    ],
    [
      "checkState throws",
      counter(2, "checkState() { throw new Error('no'); },"),
      { code: "startup_failed" },
    ],
    [
      "selfTest fails",
      counter(2, "selfTest(solo) { if (solo.state.v !== 3) throw new Error('v'); },"),
      { code: "startup_failed" },
    ],
    [
      "selfTest reaches outside",
      counter(2, "selfTest: (solo) => solo.kv.put('a', 1),"),
      { code: "startup_failed" },
    ],
    ["the module throws", `throw new Error("no"); ${counter(2)}`, { code: "startup_failed" }],
  ];
  const limits = { state_bytes: 65_536 };
  test.each(bad)("%s", async (what, code, refusal) => {
    const id = what.replaceAll(" ", "-");
    await deploy(id, counter(1), { limits });
    await call(id, "add");
    const before = await statusOf(id);
    const waits = refusal.code === "startup_timeout";
    const restart_limits = { code_change_timeout_ms: waits ? 300 : 30_000 };
    await expect(update(id, code, { restart_limits })).rejects.toMatchObject(refusal);
    expect(await call(id, "look")).toEqual({ n: 1, v: 1 });
    const { revision, instance_id } = await statusOf(id);
    expect([revision, instance_id]).toEqual([before.revision, before.instance_id]);
    expect(await call(id, "add")).toBe(2);
    await expect(update(id, counter(3))).resolves.toMatchObject({ state: "running" });
    expect(await call(id, "look")).toEqual({ n: 2, v: 3, from: "1" });
  });

  test("what structured cloning keeps, codeChange may return", async () => {
    const id = "kept";
    await deploy(id, counter(1));
    const made = `{ const s = { n: 1n, at: new Date(5), m: new Map([["k", new Set([1])]]),
      bytes: new Uint8Array([1, 2]), none: undefined, text: "\\u0000\\ud800" }; s.self = s; return s; }`;
    const look = `look({ state: s }) { return [typeof s.n, s.at.getTime(), s.m.get("k").has(1),
      [...s.bytes], "none" in s, s.text.length, s.self.self === s]; }`;
    const code = counter(2)
      .replace("({ ...old, v: 2, from })", made)
      .replace("look: (solo) => solo.state", look);
    await update(id, code);
    expect(await call(id, "look")).toEqual(["bigint", 5, true, [1, 2], true, 2, true]);
  });

  test("the old state cannot be told", async () => {
    const id = "untold";
    await deploy(id, counter(1).replace("v: 1 })", "v: 1, f: () => 1 })"));
    const refusal = await update(id, counter(2)).catch((error: unknown) => error);
    expect((refusal as SoloError).toBody()).toMatchObject({
      code: "service_error",
      detail: expect.stringContaining("state.f cannot be kept: state holds data, not a function."),
      hint: expect.stringContaining("kill it and deploy it anew"),
    });
    expect(await call(id, "add")).toBe(1);
  });

  test("an update of settings alone, and the way back, leave the state to the same source as it is", async () => {
    const id = "settings-only";
    await deploy(id, counter(1));
    await update(id, counter(2, "downgrade: () => ({ n: -1 }),"));
    await call(id, "add");
    const state = { n: 1, v: 2, from: "1" };
    const plan = await solo.ask("Update", { service_id: id, instances: 2, dry_run: true }, tenant);
    expect(plan["plan"]).toMatchObject({ problems: [], state: [] });
    await solo.ask("Update", { service_id: id, env: { A: "1" } }, tenant);
    expect(await call(id, "look")).toEqual(state);
    await solo.ask("Rollback", { service_id: id }, tenant);
    expect(await call(id, "look")).toEqual(state);
  });

  test("self_test asks for a selfTest that is not there; one that passes sees a copy", async () => {
    const id = "tested";
    await deploy(id, counter(1));
    await call(id, "add");
    await expect(update(id, counter(2), { self_test: true })).rejects.toMatchObject({
      code: "invalid_argument",
    });
    const selfTest =
      "async selfTest(solo) { solo.state.n = 99; return (await solo.kv.get('x')) === undefined; },";
    await update(id, counter(3, selfTest), { self_test: true });
    expect(await call(id, "look")).toMatchObject({ n: 1, v: 3 });
  });
});

describe("meanwhile", () => {
  test("an update during an update is refused, and a kill waits for neither", async () => {
    await deploy("two", counter(1));
    const held = Promise.withResolvers<void>();
    between = (step) => (step === "told" ? held.promise : undefined);
    const first = update("two", counter(2));
    await expect(update("two", counter(3))).rejects.toMatchObject({ code: "conflict" });
    await expect(solo.ask("Kill", { service_id: "two" }, tenant)).rejects.toMatchObject({
      code: "conflict",
    });
    held.resolve();
    await expect(first.finally(() => (between = () => {}))).resolves.toMatchObject({
      state: "running",
    });
    expect(await call("two", "look")).toMatchObject({ v: 2 });
  });

  test("an update of a service that is about to be killed, or is gone, does not bring it back", async () => {
    await deploy("doomed", counter(1));
    const slow = call("doomed", "slow", 100).catch(() => {});
    const killed = solo.ask("Kill", { service_id: "doomed" }, tenant);
    await expect(update("doomed", counter(2))).rejects.toMatchObject({ code: "conflict" });
    await Promise.all([killed, slow]);
    await expect(update("doomed", counter(2))).rejects.toMatchObject({ code: "service_not_found" });
    await expect(statusOf("doomed")).rejects.toMatchObject({ code: "service_not_found" });
  });

  test("a crash of the old revision while it drains is waited for: the new one has what was stored", async () => {
    await deploy("drains", counter(1), { persistence: "durable" });
    await call("drains", "add");
    const crashing = counter(1).replace(
      "die()",
      "async later(solo, ms) { await solo.sleep(ms); throw new Error('later'); }, die()",
    );
    await update("drains", crashing.replace('version: "1"', 'version: "1a"'));
    const crash = call("drains", "later", 60);
    const waiting = update("drains", counter(2));
    const added = call("drains", "add");
    await expect(crash).rejects.toMatchObject({ code: "service_crashed" });
    await waiting;
    expect(await added).toBe(2);
    expect(await call("drains", "look")).toMatchObject({ n: 2, v: 2 });
  });

  test("a crash of the old revision while it is held comes too late to matter", async () => {
    await deploy("late", counter(1), { persistence: "durable" });
    await call("late", "add");
    const { instance_id } = await statusOf("late");
    between = async (step) => {
      if (step !== "told") return;
      const [instance] = [...solo.kernel.tenants.all()].find(
        ({ key }) => key.service === "late",
      )!.instances;
      instance!.kill();
    };
    await update("late", counter(2)).finally(() => (between = () => {}));
    expect(await call("late", "look")).toEqual({ n: 1, v: 2, from: "1" });
    expect((await statusOf("late")).instance_id).not.toBe(instance_id);
  });

  test("messages wait with their own deadlines", async () => {
    await deploy("waits", counter(1));
    const held = Promise.withResolvers<void>();
    between = (step) => (step === "told" ? held.promise : undefined);
    const swapping = update("waits", counter(2));
    await until(() => solo.replicas(tenant, "waits")[0]!.handOver.isHeld, "the hold");
    const late = solo.ask("Call", { service_id: "waits", name: "add", timeout_ms: 50 }, tenant);
    await expect(late).rejects.toMatchObject({ code: "deadline_exceeded" });
    const patient = call("waits", "slow", 0);
    held.resolve();
    await swapping.finally(() => (between = () => {}));
    expect(await patient).toBe(2);
  });

  test("timers run on into the new revision", async () => {
    const ticking = (version: number) =>
      counter(version).replace(
        "calls: {",
        "info(solo) { solo.state.n += 100; }, calls: { async start(solo) { await solo.after(400, 1); },",
      );
    await deploy("ticks", ticking(1));
    await call("ticks", "start");
    await update("ticks", ticking(2));
    await until(
      async () => ((await call("ticks", "look")) as { n: number }).n === 100,
      "the timer",
    );
  });

  test("a response that is under way is finished by the old revision, and cut off when it is late", async () => {
    const streaming = (
      version: number,
    ) => `export default { version: "${version}", concurrent: true,
      async fetch(request) {
        let n = 0;
        const body = new ReadableStream({ async pull(controller) {
          if (n === 3) return controller.close();
          await new Promise((resolve) => setTimeout(resolve, 150));
          controller.enqueue(new TextEncoder().encode("${version}" + n++));
        } });
        return new Response(body);
      }, calls: { which: () => ${version} } };`;
    await deploy("streams", streaming(1));
    const { body } = await solo.ingress(tenant, "streams");
    await update("streams", streaming(2));
    expect(await call("streams", "which")).toBe(2);
    const chunks: Uint8Array[] = [];
    for await (const chunk of body!) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe("101112");
  });
});

test("several instances are swapped together, each with its own state, or not at all", async () => {
  await deploy("many", counter(1), { instances: 3, routing: "key" });
  const keyed = async (name: string, key: string) =>
    (await solo.ask("Call", { service_id: "many", name, key }, tenant)).reply;
  const keys = Array.from({ length: 12 }, (_, n) => `key-${n}`);
  for (const key of keys) await keyed("add", key);
  const states = () => Promise.all(keys.map((key) => keyed("look", key)));
  const before = await states();
  const most = Math.max(...before.map((state) => (state as { n: number }).n));
  const picky = counter(2, `checkState: (state) => state.n !== ${most},`);
  await expect(update("many", picky)).rejects.toMatchObject({ code: "startup_failed" });
  expect(await states()).toEqual(before);
  await update("many", counter(3));
  expect(await states()).toEqual(
    before.map((state) => ({ ...(state as object), v: 3, from: "1" })),
  );
  const { instances, revision } = await statusOf("many");
  expect(instances.map((each) => each.revision)).toEqual([revision, revision, revision]);
});

test("60 swaps under load: nothing lost, nothing failed, nothing in another order", async () => {
  const seen = await swapUnderLoad(solo, { swaps: 60, service: "load" });
  expect(seen).toMatchObject({ failed: 0, lost: 0, reordered: 0 });
  expect(seen.sent).toBeGreaterThan(60);
});

test("the model: whatever fails at whatever step, one revision serves with the state that was acknowledged", async () => {
  const steps: FaultStep[] = ["warmed", "held", "told", "adopted"];
  type Op = { kind: "add" | "swap" | "die" | "bad" | "fail"; step?: FaultStep };
  const op = fc.oneof(
    fc.constant<Op>({ kind: "add" }),
    fc.constant<Op>({ kind: "swap" }),
    fc.constant<Op>({ kind: "die" }),
    fc.constant<Op>({ kind: "bad" }),
    fc.constantFrom(...steps).map((step): Op => ({ kind: "fail", step })),
  );
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(op, { minLength: 1, maxLength: 10 }), async (ops) => {
      const id = `model-${(run += 1)}`;
      await deploy(id, counter(1), {
        persistence: "durable",
        restart_limits: { max_restarts: 1000, max_seconds: 1 },
      });
      const model = { n: 0, v: 1 };
      let next = 1;
      for (const each of ops) {
        next += 1;
        if (each.kind === "add") {
          expect(await call(id, "add")).toBe((model.n += 1));
        } else if (each.kind === "swap") {
          await whenRunning(id);
          await update(id, counter(next));
          model.v = next;
        } else if (each.kind === "die") {
          await expect(call(id, "die")).rejects.toMatchObject({ code: "service_crashed" });
          await whenRunning(id);
        } else if (each.kind === "bad") {
          await whenRunning(id);
          await expect(update(id, counter(next, "checkState: () => false,"))).rejects.toThrow();
        } else {
          await whenRunning(id);
          between = (step) => {
            if (step === each.step) throw new SoloError("unavailable", "A fault.");
          };
          await expect(update(id, counter(next))).rejects.toMatchObject({ code: "unavailable" });
          between = () => {};
        }
        expect(await call(id, "look")).toMatchObject(model);
      }
      await solo.ask("Kill", { service_id: id, force: true }, tenant);
    }),
    { numRuns: 6 },
  );
});

test("whoever is idle does not fall asleep while its successor is loaded", async () => {
  const hibernation = { after_idle_ms: 3_600_000 };
  await deploy("idler", counter(1), { persistence: "hybrid", hibernation });
  await call("idler", "add");
  const [old] = solo.replicas(tenant, "idler");
  await until(() => old!.idleMs(Infinity) > 0, "it to be idle");
  let slept: boolean | undefined;
  between = async (step) => {
    if (step === "warmed") slept = await old!.hibernate();
  };
  await update("idler", counter(2)).finally(() => (between = () => {}));
  expect(slept).toBe(false);
  expect(await call("idler", "look")).toMatchObject({ n: 1, v: 2 });
  const [now] = solo.replicas(tenant, "idler");
  await until(() => now!.hibernate(), "the new one to sleep");
});

const whenRunning = (id: string) =>
  until(async () => (await statusOf(id)).state === "running", `${id} to run`);
