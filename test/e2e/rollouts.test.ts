/** Rollouts: step by step, promoted or back, and what may be done meanwhile. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { OutputOf } from "#api/catalogue.ts";
import { startInProcess, type InProcessKernel } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";

let solo: InProcessKernel;
beforeAll(async () => {
  solo = await startInProcess();
});
afterAll(() => solo[Symbol.asyncDispose]());

const tenant = "rollouts";
type Rollout = OutputOf<"GetRollout">;

/** A counter that knows which version answers and which ones its state has seen. */
const counter = (version: number, more = "") => `export default { version: "${version}",
  init: () => ({ n: 0, way: [] }), ${more}
  codeChange: (old, from) => ({ ...old, way: [...old.way, from + ">${version}"] }),
  calls: { add: (solo) => (solo.state.n += 1), look: (solo) => solo.state, which: () => ${version},
    fail() { throw Object.assign(new Error("no"), { name: "ServiceError", code: "no" }); },
    die() { throw new Error("asked to"); } },
};`;

/** A busy machine is no regression. */
const watchdog = { max_latency_factor: 1_000_000 };
const deploy = (service_id: string, more: object = {}) =>
  solo.ask("Deploy", { service_id, code: counter(1), instances: 4, watchdog, ...more }, tenant);
const update = (service_id: string, strategy: object, more: object = {}) =>
  solo.ask("Update", { service_id, code: counter(2), strategy, ...more }, tenant);
const say = (operation: "Pause" | "Resume" | "Promote" | "Abort", service_id: string) =>
  solo.ask(`${operation}Rollout`, { service_id }, tenant);
const statusOf = (service_id: string) => solo.ask("Status", { service_id }, tenant);
const call = async (service_id: string, name: string, key?: string) =>
  (await solo.ask("Call", { service_id, name, ...(key && { key }) }, tenant)).reply;
const rolloutOf = (service_id: string): Promise<Rollout> =>
  solo.ask("GetRollout", { service_id }, tenant);
const phase = (service_id: string, wanted: string) =>
  until(async () => {
    const rollout = await rolloutOf(service_id);
    return rollout.phase === wanted ? rollout : undefined;
  }, `${service_id} to be ${wanted}`);
const revisions = async (service_id: string) =>
  (await statusOf(service_id)).instances.map(({ revision }) => revision);
/** Of a rollout that is over: an event may come to the log after what it tells of. */
const eventsOf = (service_id: string) =>
  until(async () => {
    const { events } = await solo.ask("ListEvents", { service_id, limit: 1000 }, tenant);
    const own = events.filter(({ event_type }) => event_type.startsWith("rollout_"));
    const last = own.at(-1)?.event_type ?? "";
    return ["rollout_promoted", "rollout_rolled_back"].includes(last) ? own : undefined;
  }, `the end of ${service_id}'s rollout among the events`);
/** What all slots have counted: without a key each is asked in turn. */
async function total(service_id: string): Promise<number> {
  let sum = 0;
  for (const _ of (await statusOf(service_id)).instances) {
    sum += ((await call(service_id, "look")) as { n: number }).n;
  }
  return sum;
}

describe("a canary", () => {
  test("gets its share step by step, and is promoted with every slot's state", async () => {
    const old = await deploy("steps", { persistence: "durable" });
    for (let n = 0; n < 20; n += 1) await call("steps", "add");
    const answer = await update("steps", {
      type: "canary",
      manual: true,
      steps: [{ percent: 10 }, { percent: 50 }],
    });
    expect(answer).toMatchObject({
      revision: old.revision,
      rollout: {
        strategy: "canary",
        phase: "observing",
        step: 1,
        steps: 2,
        percent: 10,
        slots: [0],
      },
    });
    const { to } = answer.rollout!;
    const answers: unknown[] = [];
    for (let n = 0; n < 100; n += 1) answers.push(await call("steps", "which"));
    expect(answers.filter((version) => version === 2)).toHaveLength(10);
    expect(await revisions("steps")).toEqual([to, old.revision, old.revision, old.revision]);
    await say("Resume", "steps");
    await until(async () => (await rolloutOf("steps")).step === 2, "the second step");
    expect(await phase("steps", "observing")).toMatchObject({ percent: 50, slots: [0, 1] });
    await say("Promote", "steps");
    await phase("steps", "promoted");
    const status = await statusOf("steps");
    expect(status).toMatchObject({ revision: to, version: "2" });
    expect(status.rollout).toBeUndefined();
    expect(await revisions("steps")).toEqual([to, to, to, to]);
    expect(await total("steps")).toBe(20);
    const history = await solo.ask("ListRevisions", { service_id: "steps" }, tenant);
    expect(history.revisions[0]).toMatchObject({ revision: to, action: "update", current: true });
    const events = await eventsOf("steps");
    expect(events.map(({ event_type }) => event_type)).toEqual([
      "rollout_started",
      ...Array.from({ length: events.length - 2 }, () => "rollout_step"),
      "rollout_promoted",
    ]);
    for (const [at, { causation_id }] of events.entries()) {
      if (at > 0) expect(causation_id).toBe(events[at - 1]!.id);
    }
  });

  test("that crashes goes back by itself, and says why", async () => {
    const old = await deploy("crashes", { persistence: "durable" });
    for (let n = 0; n < 8; n += 1) await call("crashes", "add");
    await update(
      "crashes",
      { type: "canary", steps: [{ percent: 50 }], pause_ms: 60_000 },
      { code: counter(2).replace("which: () => 2", "which() { throw new Error('bad'); }") },
    );
    for (let n = 0; n < 2; n += 1) await call("crashes", "which").catch(() => {});
    expect((await phase("crashes", "rolled_back")).reason).toMatch(/^crashes 1, at most 0/);
    expect(await revisions("crashes")).toEqual(Array(4).fill(old.revision));
    expect(await total("crashes")).toBe(8);
    const last = (await eventsOf("crashes")).at(-1)!;
    expect(last).toMatchObject({
      event_type: "rollout_rolled_back",
      payload: { setback: "regression", state: "restore_old", regressions: [{ what: "crashes" }] },
    });
    await expect(say("Abort", "crashes")).rejects.toMatchObject({ code: "conflict" });
  });

  test("that is aborted gives the newest state back", async () => {
    const old = await deploy("aborted", { persistence: "durable" });
    await update("aborted", { type: "canary", manual: true, steps: [{ percent: 99 }] });
    for (let n = 0; n < 20; n += 1) await call("aborted", "add");
    await say("Abort", "aborted");
    expect(await phase("aborted", "rolled_back")).toMatchObject({ reason: "aborted", slots: [] });
    expect(await revisions("aborted")).toEqual(Array(4).fill(old.revision));
    expect(await total("aborted")).toBe(20);
  });

  test("of one instance without kept state stands beside it, and takes its place", async () => {
    await deploy("beside", { instances: 1 });
    for (let n = 0; n < 3; n += 1) await call("beside", "add");
    await update("beside", { type: "canary", manual: true, steps: [{ percent: 50 }] });
    const answers: unknown[] = [];
    for (let n = 0; n < 4; n += 1) answers.push(await call("beside", "which"));
    expect(answers.filter((version) => version === 2)).toHaveLength(2);
    expect((await statusOf("beside")).instances).toHaveLength(2);
    await say("Promote", "beside");
    await phase("beside", "promoted");
    expect((await statusOf("beside")).instances).toHaveLength(1);
    expect(await call("beside", "look")).toEqual({ n: 3, way: ["1>2"] });
  });

  test("by key keeps a key that has come to it as its share rises", async () => {
    await deploy("keys");
    const steps = [5, 30, 70].map((percent) => ({ percent }));
    await update("keys", { type: "canary", manual: true, split: "key", steps });
    const keys = Array.from({ length: 40 }, (_, n) => `customer-${n}`);
    const newer = async () => {
      const versions = await Promise.all(keys.map((key) => call("keys", "which", key)));
      return keys.filter((_, at) => versions[at] === 2);
    };
    let before = await newer();
    for (const step of [2, 3]) {
      await say("Resume", "keys");
      await until(async () => (await rolloutOf("keys")).step === step, `step ${step}`);
      await phase("keys", "observing");
      const now = await newer();
      expect(now).toEqual(expect.arrayContaining(before));
      before = now;
    }
    expect(before.length).toBeGreaterThan(15);
    await say("Abort", "keys");
    await phase("keys", "rolled_back");
    expect(await newer()).toEqual([]);
  });

  test("with the routing `key` never takes a key from its slot", async () => {
    await deploy("owners", { routing: "key", persistence: "durable" });
    const keys = Array.from({ length: 20 }, (_, n) => `k${n}`);
    for (const key of keys) await call("owners", "add", key);
    await update("owners", { type: "canary", manual: true, steps: [{ percent: 50 }] });
    const counts = await Promise.all(keys.map((key) => call("owners", "look", key)));
    await say("Promote", "owners");
    await phase("owners", "promoted");
    const after = await Promise.all(keys.map((key) => call("owners", "look", key)));
    const numbers = (states: unknown[]) => states.map((state) => (state as { n: number }).n);
    expect(numbers(after)).toEqual(numbers(counts));
  });

  test("waits for min_requests, however long it takes", async () => {
    await deploy("few");
    await update("few", { type: "canary", pause_ms: 1, min_requests: 3, steps: [{ percent: 50 }] });
    for (let n = 0; n < 4; n += 1) await call("few", "which");
    expect((await rolloutOf("few")).phase).toBe("observing");
    for (let n = 0; n < 2; n += 1) await call("few", "which");
    await phase("few", "promoted");
  });
});

describe("rolling", () => {
  test("moves some slots at a time, and loses nothing under load", async () => {
    await deploy("rolling", { persistence: "durable", routing: "key" });
    let added = 0;
    const over = new AbortController();
    const load = ["a", "b", "c", "d", "e", "f"].map(async (key) => {
      let last = 0;
      while (!over.signal.aborted) {
        // Keys may share a slot: each sees its slot's counter rise.
        const n = (await call("rolling", "add", key)) as number;
        expect(n).toBeGreaterThan(last);
        last = n;
        added += 1;
      }
    });
    await update("rolling", { type: "rolling", max_surge: 1, pause_ms: 30 });
    await phase("rolling", "promoted");
    over.abort();
    await Promise.all(load);
    expect(added).toBeGreaterThan(0);
    expect(await total("rolling")).toBe(added);
    const steps = (await eventsOf("rolling")).filter(({ payload }) => {
      const { phase: at } = payload as { phase: string };
      return at === "observing";
    });
    expect(steps.map(({ payload }) => (payload as { slots: number[] }).slots.length)).toEqual([
      1, 2, 3, 4,
    ]);
  });

  test("goes back when a later slot's state cannot be taken over, and all states are there", async () => {
    const old = await deploy("later", { persistence: "durable" });
    for (let n = 0; n < 3; n += 1) await call("later", "add");
    const code = counter(2, "checkState: (state) => state.n === 0,");
    await update("later", { type: "rolling", pause_ms: 1 }, { code });
    const { reason } = await phase("later", "rolled_back");
    expect(reason).toContain("checkState");
    expect(await revisions("later")).toEqual(Array(4).fill(old.revision));
    expect(await total("later")).toBe(3);
  });
});

describe("blue_green", () => {
  test("switches at once, keeps the old revision for a while, and goes back at once", async () => {
    const old = await deploy("green", { persistence: "durable", instances: 2 });
    for (let n = 0; n < 4; n += 1) await call("green", "add");
    await update("green", { type: "blue_green", keep_ms: 60_000 });
    expect([await call("green", "which"), await call("green", "which")]).toEqual([2, 2]);
    expect((await statusOf("green")).revision).toBe(old.revision);
    await say("Abort", "green");
    await phase("green", "rolled_back");
    expect([await call("green", "which"), await call("green", "which")]).toEqual([1, 1]);
    await update("green", { type: "blue_green", keep_ms: 1 });
    await phase("green", "promoted");
    expect(await total("green")).toBe(4);
  });
});

describe("meanwhile", () => {
  test("what would mix three revisions is refused, and how to end the rollout is said", async () => {
    await deploy("busy");
    const { rollout } = await update("busy", { type: "canary", manual: true });
    const refusal = {
      code: "conflict",
      message: expect.stringContaining(rollout!.id) as string,
      options: { hint: expect.stringContaining("promote it or abort it") as string },
    };
    await expect(update("busy", { type: "rolling" })).rejects.toMatchObject(refusal);
    for (const operation of ["Rollback", "Restart"] as const) {
      const input = {
        service_id: "busy",
        ...(operation === "Rollback" && { revision: rollout!.from }),
      };
      await expect(solo.ask(operation, input, tenant)).rejects.toMatchObject(refusal);
    }
    await deploy("stateful", { persistence: "durable" });
    await update("stateful", { type: "canary", manual: true });
    await expect(solo.ask("ResetState", { service_id: "stateful" }, tenant)).rejects.toMatchObject({
      code: "conflict",
    });
    await say("Pause", "busy");
    expect(await rolloutOf("busy")).toMatchObject({ phase: "paused", reason: "paused" });
    await say("Resume", "busy");
    expect(await rolloutOf("busy")).toMatchObject({ phase: "observing" });
    await solo.ask("Kill", { service_id: "busy" }, tenant);
    await deploy("busy");
    await expect(rolloutOf("busy")).rejects.toMatchObject({ code: "not_found" });
  });

  test("another number of instances, and a revision that does not start, change nothing", async () => {
    const old = await deploy("strict");
    const canary = { type: "canary" };
    await expect(update("strict", canary, { instances: 2 })).rejects.toMatchObject({
      code: "invalid_argument",
    });
    await expect(
      update("strict", canary, { code: `throw new Error('no'); ${counter(2)}` }),
    ).rejects.toMatchObject({ code: "startup_failed" });
    expect(await statusOf("strict")).toMatchObject({ revision: old.revision, state: "running" });
    expect((await eventsOf("strict")).map(({ event_type }) => event_type)).toEqual([
      "rollout_started",
      "rollout_rolled_back",
    ]);
    await expect(rolloutOf("strict")).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("after a restart of the kernel", () => {
  const INIT =
    "async init(solo) { if (await solo.kv.get('poison')) throw new Error('poisoned'); },";
  const service_id = "back";

  /** A rollout with half of the slots moved, left by a kernel in an orderly way. */
  async function leftBehind(
    more: object,
    code: string,
    rest: object = { manual: true, steps: [{ percent: 50 }] },
  ): Promise<{ dataDir: string; from: string }> {
    const dataDir = mkdtempSync(join(tmpdir(), "solo-rollouts-"));
    onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
    await using first = await startInProcess({ dataDir });
    const { revision } = await first.ask("Deploy", {
      service_id,
      code: counter(1).replace("which:", "poison: (solo) => solo.kv.put('poison', true), which:"),
      instances: 2,
      ...more,
    });
    for (let n = 0; n < 4; n += 1) await first.call("default", service_id, "add");
    const strategy = { type: "canary" as const, ...rest };
    await first.ask("Update", { service_id, code, strategy });
    if (code.includes(INIT)) await first.call("default", service_id, "poison");
    return { dataDir, from: revision };
  }

  test("it goes on where it was: slots, share, step, and what was said", async () => {
    const { dataDir, from } = await leftBehind({ persistence: "durable" }, counter(2));
    await using second = await startInProcess({ dataDir });
    const { rollout, instances, revision } = await second.ask("Status", { service_id });
    expect(rollout).toMatchObject({ phase: "observing", step: 1, percent: 50, slots: [0], from });
    expect(revision).toBe(from);
    expect(instances.map((each) => each.revision)).toEqual([rollout!.to, from]);
    const versions = [];
    for (let n = 0; n < 10; n += 1) {
      versions.push(await second.call("default", service_id, "which"));
    }
    expect(versions.filter((version) => version === 2)).toHaveLength(5);
    await second.ask("PromoteRollout", { service_id });
    await until(
      async () => (await second.ask("GetRollout", { service_id })).phase === "promoted",
      "its promotion",
    );
    const states = [
      await second.call("default", service_id, "look"),
      await second.call("default", service_id, "look"),
    ];
    expect(states).toEqual([
      { n: 2, way: ["1>2"] },
      { n: 2, way: ["1>2"] },
    ]);
  });

  test("a pause that passed while no kernel ran does not promote what nobody has watched since", async () => {
    const pause_ms = 1500;
    const rest = { steps: [{ percent: 50, pause_ms }] };
    const { dataDir } = await leftBehind({}, counter(2), rest);
    const left = Date.now();
    await until(async () => Date.now() > left + pause_ms, "the end of the pause");
    await using second = await startInProcess({ dataDir });
    const events = await until(async () => {
      const { events: all } = await second.ask("ListEvents", { service_id, limit: 1000 });
      return all.at(-1)?.event_type === "rollout_promoted" ? all : undefined;
    }, "its promotion");
    // Both slots have come back, and one has moved since.
    const started = events.filter(({ event_type }) => event_type === "service_started").slice(-3);
    const watched = Date.parse(events.at(-1)!.wall_clock) - Date.parse(started[0]!.wall_clock);
    expect(watched).toBeGreaterThanOrEqual(pause_ms - 50);
  });

  test("it is undone when the new revision does not start again", async () => {
    const code = counter(2)
      .replace("init: () => ({ n: 0, way: [] }),", INIT)
      .replace("which:", "poison: (solo) => solo.kv.put('poison', true), which:");
    const { dataDir, from } = await leftBehind({}, code);
    await using second = await startInProcess({ dataDir });
    const { rollout, instances, state } = await second.ask("Status", { service_id });
    expect(rollout).toBeUndefined();
    expect(state).toBe("running");
    expect(instances.map((each) => each.revision)).toEqual([from, from]);
    expect(second.kernel.bootReport.missing).toEqual([]);
    const last = await second.ask("GetRollout", { service_id });
    expect(last).toMatchObject({ phase: "rolled_back", slots: [] });
    expect(last.reason).toContain("poisoned");
  });
});
