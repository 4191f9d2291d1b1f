/** Idle services sleep and wake, and nobody notices (src/kernel/services/state/sleep.ts, replica/runner.ts). */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startInProcess, type InProcessKernel } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";

const COUNTER = `let lives = 0;
export default {
  init: () => ({ n: 0, log: [], at: new Map([["a", new Date(7)]]) }),
  calls: {
    add: (solo) => (solo.state.n += 1),
    get: (solo) => solo.state.n,
    kept: (solo) => solo.state.at.get("a").getTime(),
    lives: () => (lives += 1),
    later: async (solo, ms, repeat) => { await (repeat ? solo.every(ms, "tick") : solo.after(ms, "tick")); },
    log: (solo) => solo.state.log,
    note(solo, n) { solo.state.log.push(n); return n; },
    linger: () => { setTimeout(() => {}, 60_000); },
    boom: () => { throw new Error("asked to"); },
  },
  casts: { add(solo) { solo.state.n += 1; } },
  info(solo, message) { solo.state.log.push(message); },
  fetch: (request, solo) => new Response(String(solo.state.n)),
};`;
/** Never by itself: the tests say when. */
const SLEEPS = { hibernation: { after_idle_ms: 3_600_000 } };

let solo: InProcessKernel;
beforeAll(async () => {
  solo = await startInProcess();
});
afterAll(() => solo[Symbol.asyncDispose]());

const deploy = (service_id: string, more: object = {}, code = COUNTER) =>
  solo.ask("Deploy", { service_id, code, ...SLEEPS, ...more });
const call = (service: string, name: string, ...args: unknown[]) =>
  solo.call("default", service, name, ...args);
const status = (service_id: string) => solo.ask("Status", { service_id });
const replicaOf = (service: string) => solo.replicas("default", service)[0]!;
const asleep = (service: string) =>
  until(() => replicaOf(service).hibernate(), `${service} to sleep`);
const eventsOf = async (service: string): Promise<string[]> => {
  const { events } = await solo.ask("ListEvents", { service_id: service, newest_first: false });
  return events.map(({ event_type }) => event_type);
};

describe.each(["stateless", "hybrid", "durable"])("a sleeping %s service", (persistence) => {
  test("keeps its state, and wakes for a call, a cast and a request", async () => {
    const id = `kept-${persistence}`;
    await deploy(id, { persistence });
    await call(id, "add");
    expect(await call(id, "lives")).toBe(1);
    const { instance_id } = await status(id);

    await asleep(id);
    const sleeping = await status(id);
    expect(sleeping).toMatchObject({ state: "hibernated", memory_bytes: 0, restarts: 0 });
    expect(sleeping.instance_id).toBeUndefined();
    expect(sleeping.handlers).toContain("calls.add");
    expect(await call(id, "add")).toBe(2);
    expect(await call(id, "kept")).toBe(7);
    // The module is loaded anew: what lives outside of the state is gone.
    expect(await call(id, "lives")).toBe(1);
    const woken = await status(id);
    expect(woken).toMatchObject({ state: "running", restarts: 0 });
    expect(woken.instance_id).not.toBe(instance_id);

    await asleep(id);
    await solo.ask("Cast", { service_id: id, name: "add" });
    expect(await call(id, "get")).toBe(3);
    await asleep(id);
    const { body } = await solo.ingress("default", id);
    const chunks: Uint8Array[] = [];
    for await (const chunk of body!) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe("3");
    const told = await until(async () => {
      const all = await eventsOf(id);
      return all.filter((type) => type === "service_woken").length === 3 && all;
    }, "the events");
    expect(told.filter((type) => type === "service_hibernated")).toHaveLength(3);
    expect(told).not.toContain("service_restarted");
  });
});

describe("timers", () => {
  test("wake a sleeper, once or again and again, and init does not set them anew", async () => {
    const code = COUNTER.replace(
      "init: () => (",
      "init: async (solo) => (await solo.after(200, 'first'), ",
    );
    await deploy("timed", { persistence: "hybrid" }, code);
    await call("timed", "later", 300, true);
    await asleep("timed");
    await until(async () => {
      const log = (await call("timed", "log")) as string[];
      return log.filter((each) => each === "tick").length >= 3;
    }, "the ticks");
    const log = (await call("timed", "log")) as string[];
    expect(log.filter((each) => each === "first")).toHaveLength(1);
    await solo.ask("Kill", { service_id: "timed", force: true });
  });

  test("of the guest's own keep it awake", async () => {
    await deploy("lingers");
    await call("lingers", "linger");
    await until(() => replicaOf("lingers").idleMs(Infinity) > 0, "it to be idle");
    expect(await replicaOf("lingers").hibernate()).toBe(false);
    expect((await status("lingers")).state).toBe("running");
  });
});

describe("a sleeper", () => {
  test("can be updated with its state, restarted and killed", async () => {
    await deploy("changing", { persistence: "hybrid" });
    await call("changing", "add");
    await asleep("changing");
    const code = COUNTER.replace("(solo.state.n += 1)", "(solo.state.n += 10)");
    await solo.ask("Update", { service_id: "changing", code });
    expect(await call("changing", "add")).toBe(11);
    await asleep("changing");
    await solo.ask("Restart", { service_id: "changing" });
    expect(await call("changing", "get")).toBe(11);
    await asleep("changing");
    await solo.ask("Kill", { service_id: "changing" });
    await deploy("changing", { persistence: "hybrid" });
    expect(await call("changing", "get")).toBe(0);
  });

  test("whose wake crashes is restarted as after any crash, and its message waits", async () => {
    const code = `export default {
      init: () => ({ n: 1 }),
      calls: { get: (solo) => solo.state.n, arm: (solo) => solo.kv.put("armed", 2) },
    };
    `;
    await deploy("fragile", { persistence: "hybrid" }, code);
    expect(await call("fragile", "get")).toBe(1);
    await asleep("fragile");
    const replica = replicaOf("fragile");
    const { code: source } = replica.revision;
    const load = source.modules.bind(source);
    let broken = 1;
    source.modules = async () => {
      const modules = await load();
      if (broken-- <= 0) return modules;
      return modules.map((module) => ({ ...module, code: "throw new Error('not now');" }));
    };
    expect(await call("fragile", "get")).toBe(1);
    const after = await until(async () => {
      const now = await status("fragile");
      return now.last_crash !== null && now;
    }, "the crash to be known");
    expect(after).toMatchObject({ state: "running", last_crash: { reason: "load_failed" } });
  });

  test("that never wakes is quarantined, and its message hears of it", async () => {
    await deploy("broken", { restart_limits: { max_restarts: 1 } });
    await asleep("broken");
    const { code } = replicaOf("broken").revision;
    code.modules = async () => [{ path: "index.ts", code: "throw new Error('no');", map: "" }];
    await expect(call("broken", "get")).rejects.toMatchObject({ code: "service_quarantined" });
    expect((await status("broken")).state).toBe("quarantined");
  });

  test("holds on to nothing of its instance, and the kernel's end leaves none of its timers", async () => {
    const timers = () =>
      process.getActiveResourcesInfo().filter((each) => each === "Timeout").length;
    const before = timers();
    await using kernel = await startInProcess();
    const more = { persistence: "hybrid", ...SLEEPS };
    await kernel.ask("Deploy", { service_id: "light", code: COUNTER, ...more });
    await kernel.call("default", "light", "later", 3_600_000, true);
    const replica = kernel.replicas("default", "light")[0]!;
    const instance = new WeakRef(replica.instance!);
    await until(() => replica.hibernate(), "it to sleep");
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    await until(() => {
      collect();
      return instance.deref() === undefined;
    }, "the instance to be gone");
    await kernel.kernel.stop({ reason: "test", drainMs: 0 });
    await until(() => timers() <= before, "no timer to be left");
  });

  test("holds up nobody: a storm of wakes is worked off", async () => {
    const ids = Array.from({ length: 30 }, (_, n) => `storm-${n}`);
    for (const id of ids) await deploy(id);
    for (const id of ids) await call(id, "add");
    await Promise.all(ids.map(asleep));
    const counts = await Promise.all(ids.map((id) => call(id, "get")));
    const ends = await Promise.all(ids.map(async (id) => (await status(id)).last_crash?.message));
    expect(ends.filter((end) => end !== undefined)).toEqual([]);
    expect(counts).toEqual(ids.map(() => 1));
  });
});

test("sleep under messages loses none and handles none twice", async () => {
  await deploy("model", { persistence: "durable" });
  let sent = 0;
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.constant("call" as const) },
    { weight: 2, arbitrary: fc.constant("sleep" as const) },
    { weight: 1, arbitrary: fc.constant("wait" as const) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const replies: Promise<unknown>[] = [];
      const first = sent;
      const sleeps: Promise<unknown>[] = [];
      for (const each of steps) {
        if (each === "call") replies.push(call("model", "note", sent++));
        else if (each === "sleep") sleeps.push(replicaOf("model").hibernate());
        else await new Promise((resolve) => void setImmediate(resolve));
      }
      const answered = await Promise.all(replies);
      await Promise.all(sleeps);
      expect(answered).toEqual(Array.from({ length: sent - first }, (_, n) => first + n));
      expect(await call("model", "log")).toEqual(Array.from({ length: sent }, (_, n) => n));
    }),
    { numRuns: 30 },
  );
});
