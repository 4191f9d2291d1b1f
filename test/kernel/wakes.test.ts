/** Sleep that its callers do not see, whatever wakes the service and whatever comes between
 *  (src/kernel/services/state/sleep.ts, wake-gate.ts). */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Faults } from "#kernel/faults.ts";
import { startInProcess, type InProcessKernel } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";

const CODE = `let end;
export default {
  init: () => ({ n: 0 }),
  calls: {
    add: (solo) => (solo.state.n += 1),
    ask: (solo, id) => solo.services.call(id, "add"),
    beat: async (solo, ms) => { await solo.every(ms, "beat"); },
    end: () => end(),
  },
  info(solo) { solo.state.n += 1; },
  fetch: () => new Response(new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode("begun "));
      end = () => { controller.enqueue(new TextEncoder().encode("ended")); controller.close(); };
    },
  })),
  concurrent: true,
};`;
const WAKES_AT_ONCE = 8;

let solo: InProcessKernel;
let between: Faults = () => {};
beforeAll(async () => {
  solo = await startInProcess({ faults: (step, of) => between(step, of) });
});
afterAll(() => solo[Symbol.asyncDispose]());

const deploy = (service_id: string, more: object = {}) =>
  solo.ask("Deploy", {
    service_id,
    code: CODE,
    persistence: "hybrid",
    hibernation: { after_idle_ms: 3_600_000 },
    ...more,
  });
const call = (service: string, name: string, ...args: unknown[]) =>
  solo.call("default", service, name, ...args);
const status = (service_id: string) => solo.ask("Status", { service_id });
const replicaOf = (service: string) => solo.replicas("default", service)[0]!;
const asleep = (service: string) =>
  until(() => replicaOf(service).hibernate(), `${service} to sleep`);
const wakesOf = async (service_id: string): Promise<number> =>
  (await solo.ask("ListEvents", { service_id, event_type: "service_woken" })).events.length;

/** Everybody who wakes stops there until `go`. */
function stopWakes(): { readonly most: () => number; readonly go: () => void } {
  const gate = Promise.withResolvers<void>();
  let inside = 0;
  let most = 0;
  between = async (step) => {
    if (step !== "rousing") return;
    inside += 1;
    most = Math.max(most, inside);
    await gate.promise;
    inside -= 1;
  };
  return {
    most: () => most,
    go: () => {
      between = () => {};
      gate.resolve();
    },
  };
}

test("another service's call wakes a sleeper", async () => {
  await deploy("callee");
  await deploy("caller");
  await asleep("callee");
  expect(await call("caller", "ask", "callee")).toBe(1);
});

test("messages that come together wake it once, and all are answered in order", async () => {
  await deploy("wanted");
  await asleep("wanted");
  const replies = await Promise.all(Array.from({ length: 100 }, () => call("wanted", "add")));
  expect(replies).toEqual(Array.from({ length: 100 }, (_, n) => n + 1));
  await until(async () => (await wakesOf("wanted")) === 1, "the event");
});

test("a response that flows keeps it awake to its end", async () => {
  await deploy("streams");
  const { body } = await solo.ingress("default", "streams");
  const chunks = body![Symbol.asyncIterator]();
  expect(Buffer.from((await chunks.next()).value as Uint8Array).toString()).toBe("begun ");
  expect(await replicaOf("streams").hibernate()).toBe(false);
  await call("streams", "end");
  expect(Buffer.from((await chunks.next()).value as Uint8Array).toString()).toBe("ended");
  expect((await chunks.next()).done).toBe(true);
  await asleep("streams");
});

test("a timer that fires more often than it would be idle keeps it awake", async () => {
  await deploy("beats", { hibernation: { after_idle_ms: 1000 } });
  await call("beats", "beat", 50);
  await until(async () => ((await call("beats", "add")) as number) > 40, "many beats");
  expect(await wakesOf("beats")).toBe(0);
  await solo.ask("Kill", { service_id: "beats", force: true });
});

test("a storm of wakes is worked off a few at a time, and all are answered", async () => {
  const ids = Array.from({ length: 40 }, (_, n) => `storm-${n}`);
  for (const id of ids) await deploy(id);
  await Promise.all(ids.map(asleep));
  const { most, go } = stopWakes();
  const replies = ids.map((id) => call(id, "add"));
  await until(() => most() === WAKES_AT_ONCE, "the gate to be full");
  go();
  expect(await Promise.all(replies)).toEqual(ids.map(() => 1));
  expect(most()).toBe(WAKES_AT_ONCE);
});

test("a kill while it wakes ends the wake: its caller hears of it, and nothing is left", async () => {
  await deploy("doomed");
  await asleep("doomed");
  const { most, go } = stopWakes();
  const reply = call("doomed", "add").catch((error: unknown) => error);
  await until(() => most() === 1, "the wake to begin");
  const killed = solo.ask("Kill", { service_id: "doomed", force: true });
  expect(await reply).toMatchObject({ code: "service_not_running" });
  go();
  await killed;
  await expect(status("doomed")).rejects.toMatchObject({ code: "service_not_found" });
  await deploy("doomed");
  expect(await call("doomed", "add")).toBe(1);
});

test("an update while it wakes takes its state over, and its waiting message too", async () => {
  await deploy("changing");
  await call("changing", "add");
  await asleep("changing");
  const { most, go } = stopWakes();
  const reply = call("changing", "add");
  await until(() => most() === 1, "the wake to begin");
  const update = solo.ask("Update", { service_id: "changing", code: `${CODE}\n// newer` });
  go();
  await update;
  expect(await reply).toBe(2);
  expect(await call("changing", "add")).toBe(3);
});

test("a dry run of an update wakes a sleeper, since it tries its state", async () => {
  await deploy("planned");
  await call("planned", "add");
  await asleep("planned");
  const code = CODE.replace("n: 0", "n: 0, m: 0");
  const { plan } = await solo.ask("Update", { service_id: "planned", code, dry_run: true });
  expect(plan!.problems).toEqual([]);
  expect(await call("planned", "add")).toBe(2);
});
