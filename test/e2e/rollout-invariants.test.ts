/** What holds at every instant of a rollout, whatever fails in it. */
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import type { Faults, FaultStep } from "#kernel/faults.ts";
import { startInProcess, type InProcessKernel } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";

let solo: InProcessKernel;
let between: Faults = () => {};
beforeAll(async () => {
  solo = await startInProcess({ faults: (step, of) => between(step, of) });
});
afterAll(() => solo[Symbol.asyncDispose]());

const tenant = "invariants";
/** Answers with the version of the code and the one that the state was made for. */
const counter = (version: number) => `export default { version: "${version}",
  init: () => ({ n: 0, v: ${version}, id: crypto.randomUUID() }), codeChange: (old) => ({ ...old, v: ${version} }),
  downgrade: (state, to) => ({ ...state, v: Number(to) }),
  calls: { add(solo) { solo.state.n += 1; return { code: ${version}, ...solo.state }; },
    which: (solo) => ${version},
    fail() { throw Object.assign(new Error("no"), { name: "ServiceError", code: "no" }); } } };`;
interface Added {
  /** Of the code that answers, and of the code that made the state. */
  readonly code: number;
  readonly v: number;
  readonly id: string;
  readonly n: number;
}
/** A busy machine is no regression. */
const PATIENT = { watchdog: { max_latency_factor: 1_000_000 } };
const deploy = (service_id: string, more: object = {}) =>
  solo.ask("Deploy", { service_id, code: counter(1), instances: 4, ...PATIENT, ...more }, tenant);
const update = (service_id: string, strategy: object, more: object = {}) =>
  solo.ask("Update", { service_id, code: counter(2), strategy, ...more }, tenant);
const call = async (service_id: string, name: string, key?: string) =>
  (await solo.ask("Call", { service_id, name, ...(key && { key }) }, tenant)).reply;
const rolloutOf = (service_id: string) => solo.ask("GetRollout", { service_id }, tenant);
const isOver = async (service_id: string) =>
  ["promoted", "rolled_back"].includes((await rolloutOf(service_id)).phase);
const replicasOf = (service: string) => solo.replicas(tenant, service);

test.each([
  { max_surge: 1, max_unavailable: 0 },
  { max_surge: 1, max_unavailable: 1 },
  { max_surge: 0, max_unavailable: 3 },
])(
  "rolling with %o never holds or moves more slots at once, and every slot serves at every instant",
  async (bounds) => {
    const service_id = `bounds-${bounds.max_surge}-${bounds.max_unavailable}`;
    const batch = bounds.max_surge + bounds.max_unavailable;
    const old = await deploy(service_id);
    const seen: { held: number; up: number; slots: number }[] = [];
    let moved = 0;
    between = (step) => {
      if (step === "decided") return;
      const replicas = replicasOf(service_id);
      const slots = replicas.filter(({ revision }) => revision.id !== old.revision).length;
      const held = replicas.filter(({ handOver }) => handOver.isHeld).length;
      const up = replicas.filter(({ isUp }) => isUp).length;
      seen.push({ held, up, slots: slots - moved });
      moved = slots;
    };
    await update(service_id, { type: "rolling", pause_ms: 1, ...bounds });
    await until(() => isOver(service_id), "its end").finally(() => (between = () => {}));
    expect((await rolloutOf(service_id)).phase).toBe("promoted");
    expect(seen.length).toBeGreaterThan(Math.ceil(4 / batch) * 5);
    for (const { held, up, slots } of seen) {
      expect(held).toBeLessThanOrEqual(batch);
      expect(slots).toBeLessThanOrEqual(batch);
      expect(up).toBe(4);
    }
  },
);

test("a key that has come to a canary stays while it is promoted", async () => {
  await deploy("sticky");
  const steps = [{ percent: 40 }];
  await update("sticky", { type: "canary", manual: true, split: "key", steps });
  const keys = Array.from({ length: 30 }, (_, n) => `customer-${n}`);
  const newer = async () => {
    const versions = await Promise.all(keys.map((key) => call("sticky", "which", key)));
    return keys.filter((_, at) => versions[at] === 2);
  };
  const before = await newer();
  expect(before.length).toBeGreaterThan(3);
  for (let again = 0; again < 3; again += 1) expect(await newer()).toEqual(before);
  let meanwhile: string[] | undefined;
  between = async (step) => {
    if (step === "warmed") meanwhile = await newer();
  };
  await solo.ask("PromoteRollout", { service_id: "sticky" }, tenant);
  await until(() => isOver("sticky"), "the promotion").finally(() => (between = () => {}));
  expect(meanwhile).toEqual(before);
  expect(await newer()).toEqual(keys);
});

test("a canary whose gate fails goes back by itself: the error rate", async () => {
  const failing = counter(2).replace(
    "which: (solo) => 2",
    "which() { throw Object.assign(new Error('no'), { name: 'ServiceError', code: 'no' }); }",
  );
  const old = await deploy("gate", { persistence: "durable" });
  for (let n = 0; n < 30; n += 1) await call("gate", "add");
  const steps = [{ percent: 50, pause_ms: 600_000 }];
  await update("gate", { type: "canary", steps }, { code: failing });
  for (let n = 0; n < 200 && !(await isOver("gate")); n += 1) {
    await call("gate", "which").catch(() => {});
  }
  await until(() => isOver("gate"), "its end");
  expect((await rolloutOf("gate")).reason).toMatch(/^error_rate 1, at most 0.05/);
  const { instances } = await solo.ask("Status", { service_id: "gate" }, tenant);
  expect(instances.map(({ revision }) => revision)).toEqual(Array(4).fill(old.revision));
});

test.each(["warmed", "held", "told", "adopted"] as const)(
  "an abort that fails at '%s' for a passing reason still takes the newest state along",
  async (at) => {
    const service_id = `abort-${at}`;
    await deploy(service_id, { persistence: "durable", instances: 1 });
    await update(service_id, { type: "blue_green", manual: true });
    await call(service_id, "add");
    let failed = false;
    between = (step) => {
      if (step !== at || failed) return;
      failed = true;
      throw new SoloError("unavailable", "A fault.");
    };
    await solo.ask("AbortRollout", { service_id }, tenant);
    await until(() => isOver(service_id), "its end").finally(() => (between = () => {}));
    expect(failed).toBe(true);
    expect(await call(service_id, "add")).toMatchObject({ code: 1, n: 2 });
  },
);

test(
  "the model: whatever fails or is said at whatever step, one revision answers each message with a state of its own, and no acknowledged change is lost",
  { timeout: 300_000 },
  async () => {
    const steps: FaultStep[] = ["warmed", "held", "told", "adopted", "decided"];
    const op = fc.oneof(
      { weight: 3, arbitrary: fc.record({ kind: fc.constant("add" as const), key: fc.nat(7) }) },
      fc.record({ kind: fc.constant("fault" as const), step: fc.constantFrom(...steps) }),
      fc.record({
        kind: fc.constant("say" as const),
        name: fc.constantFrom("Pause", "Resume", "Promote", "Abort"),
      }),
      fc.record({ kind: fc.constant("die" as const), key: fc.nat(3) }),
    );
    const strategy = fc.constantFrom(
      { type: "rolling", pause_ms: 1 },
      { type: "canary", manual: true, steps: [{ percent: 25 }, { percent: 75 }] },
      { type: "blue_green", manual: true },
    );
    let run = 0;
    await fc.assert(
      fc.asyncProperty(strategy, fc.array(op, { minLength: 1, maxLength: 8 }), async (how, ops) => {
        const service_id = `model-${(run += 1)}`;
        const restart_limits = { max_restarts: 1000, max_seconds: 1 };
        // Whoever dies is restarted: what the rollout thinks of it is another test's.
        const watchdog = { enabled: false };
        const more = { instances: 3, routing: "key", persistence: "durable" };
        await deploy(service_id, { ...more, restart_limits, watchdog });
        let added = 0;
        /** By the state's own id. */
        const counted = new Map<string, number>();
        let faults: FaultStep[] = [];
        between = (step) => {
          const at = faults.indexOf(step);
          if (at === -1) return;
          faults = faults.toSpliced(at, 1);
          throw new SoloError("unavailable", "A fault.");
        };
        const add = async (key: number) => {
          const { code, v, id, n } = (await call(service_id, "add", `k${key}`)) as unknown as Added;
          expect(code).toBe(v);
          added += 1;
          counted.set(id, n);
        };
        for (let key = 0; key < 8; key += 1) await add(key);
        await update(service_id, how, { restart_limits, watchdog });
        for (const each of ops) {
          if (each.kind === "add") await add(each.key);
          else if (each.kind === "fault") faults.push(each.step);
          else if (each.kind === "die") replicasOf(service_id)[each.key % 3]!.instance?.kill();
          else {
            const said = solo.ask(`${each.name}Rollout` as "PauseRollout", { service_id }, tenant);
            await said.catch((error: unknown) => {
              expect(["conflict", "unavailable"]).toContain((error as SoloError).code);
            });
          }
        }
        faults = [];
        await until(async () => {
          const { phase: now } = await rolloutOf(service_id);
          if (now === "paused" || now === "observing")
            await solo.ask("PromoteRollout", { service_id }, tenant);
          return isOver(service_id);
        }, "its end");
        const { phase, from, to } = await rolloutOf(service_id);
        const serves = phase === "promoted" ? to : from;
        const { instances } = await solo.ask("Status", { service_id }, tenant);
        expect(instances.map(({ revision }) => revision)).toEqual(Array(3).fill(serves));
        for (let key = 0; key < 8; key += 1) await add(key);
        expect(counted.size).toBeLessThanOrEqual(3);
        expect([...counted.values()].reduce((sum, n) => sum + n, 0)).toBe(added);
        await solo.ask("Kill", { service_id, force: true }, tenant);
      }),
      { numRuns: 8 },
    );
    between = () => {};
  },
);
