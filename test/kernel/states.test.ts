/** Look at, carry and replace what services keep (src/kernel/states.ts). */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { toDocument } from "#deploy/state-document.ts";
import { startInProcess, type InProcessKernel } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";

const COUNTER = `export default {
  version: "1",
  init: () => ({ n: 0, "cache:hits": 5 }),
  calls: {
    add: (solo) => (solo.state.n += 1),
    get: (solo) => solo.state.n,
    cached: (solo) => solo.state["cache:hits"] ?? "gone",
    hit: (solo) => (solo.state["cache:hits"] += 1),
    spoil(solo) { solo.state.f = () => 1; },
  },
  codeChange(old) { if (old.n > 90) throw new Error("too many"); return old; },
};`;

let solo: InProcessKernel;
beforeAll(async () => {
  solo = await startInProcess();
});
afterAll(() => solo[Symbol.asyncDispose]());

const deploy = (service_id: string, persistence: string, more: object = {}) =>
  solo.ask("Deploy", { service_id, code: COUNTER, persistence, ...more });
const call = (service: string, name: string) => solo.call("default", service, name);

describe.each(["hybrid", "durable"])("the state of a %s service", (persistence) => {
  const id = `kept-${persistence}`;

  test("is seen as it is, carried to another service, and reset", async () => {
    await deploy(id, persistence);
    await deploy(`${id}-copy`, persistence);
    await call(id, "add");
    await call(id, "add");
    expect(await solo.ask("GetState", { service_id: id })).toMatchObject({
      state: { n: 2, "cache:hits": 5 },
      source: "running",
      version: "1",
      truncated: false,
    });
    const { document } = await solo.ask("ExportState", { service_id: id });
    const imported = await solo.ask("ImportState", { service_id: `${id}-copy`, document });
    expect(imported.instance_id).not.toBe("");
    expect(await call(`${id}-copy`, "get")).toBe(2);
    await call(id, "add");
    await solo.ask("ImportState", { service_id: id, document });
    expect(await call(id, "get")).toBe(2);
    await solo.ask("ResetState", { service_id: id });
    expect(await call(id, "get")).toBe(0);
  });

  test("that the code refuses leaves the old one in place", async () => {
    await solo.ask("ResetState", { service_id: id });
    await call(id, "add");
    const { document } = await solo.ask("ExportState", { service_id: id });
    const foreign = toDocument({
      sourceHash: "other source",
      version: "0",
      state: document.state.replace('"n":1', '"n":99'),
    });
    await expect(
      solo.ask("ImportState", { service_id: id, document: foreign }),
    ).rejects.toMatchObject({ code: "startup_failed" });
    expect(await call(id, "get")).toBe(1);
    expect((await solo.ask("Status", { service_id: id })).state).toBe("running");
    const { instance_id } = await solo.ask("Status", { service_id: id });
    await expect(
      solo.ask("ImportState", { service_id: id, document: { ...document, sha256: "no" } }),
    ).rejects.toMatchObject({ code: "invalid_argument" });
    expect((await solo.ask("Status", { service_id: id })).instance_id).toBe(instance_id);
  });

  test("that sleeps is seen as stored and can be replaced", async () => {
    const replica = solo.replicas("default", id)[0]!;
    await until(() => replica.hibernate(), "it to sleep");
    const seen = await solo.ask("GetState", { service_id: id });
    expect(seen).toMatchObject({ state: { n: 1 }, source: "stored", saved_at: expect.any(String) });
    await solo.ask("ResetState", { service_id: id });
    expect(await call(id, "get")).toBe(0);
  });
});

test("a state is imported into the slot that is named, also of one that sleeps, and the other keeps its own", async () => {
  const id = "slots";
  await deploy(id, "durable", { instances: 2, routing: "round_robin" });
  for (let at = 0; at < 4; at += 1) await call(id, "add");
  const state = (slot: number) => solo.ask("GetState", { service_id: id, slot });
  const { document } = await solo.ask("ExportState", { service_id: id, slot: 0 });
  await call(id, "add");
  await call(id, "add");
  const replicas = solo.replicas("default", id);
  await until(() => replicas[1]!.hibernate(), "slot 1 to sleep");
  await solo.ask("ImportState", { service_id: id, slot: 1, document });
  const states = await Promise.all([state(0), state(1)]);
  expect(states.map((each) => (each.state as { n: number }).n)).toEqual([3, 2]);
  await solo.ask("ResetState", { service_id: id, slot: 0 });
  const reset = await Promise.all([state(0), state(1)]);
  expect(reset.map((each) => (each.state as { n: number }).n)).toEqual([0, 2]);
  for (const asked of [
    solo.ask("ExportState", { service_id: id, slot: 2 }),
    solo.ask("ImportState", { service_id: id, slot: 2, document }),
    solo.ask("ResetState", { service_id: id, slot: 2 }),
  ]) {
    await expect(asked).rejects.toMatchObject({
      code: "invalid_argument",
      options: { fields: [{ field: "slot" }] },
    });
  }
});

test("a state is not replaced while the service is updated, and the other way round", async () => {
  await deploy("busy", "durable");
  const { document } = await solo.ask("ExportState", { service_id: "busy" });
  const update = solo.ask("Update", { service_id: "busy", code: `${COUNTER}\n// newer` });
  const asked = { service_id: "busy", document };
  await expect(solo.ask("ImportState", asked)).rejects.toMatchObject({ code: "conflict" });
  await update;
  const importing = solo.ask("ImportState", asked);
  const code = `${COUNTER}\n// newest`;
  await expect(solo.ask("Update", { service_id: "busy", code })).rejects.toMatchObject({
    code: "conflict",
  });
  await importing;
  expect(await call("busy", "add")).toBe(1);
});

test("keys that are excluded are never stored, come from init after a restart, and cross an update", async () => {
  await deploy("excluding", "durable", { persistence_exclude: ["cache:*"] });
  await call("excluding", "hit");
  await call("excluding", "add");
  expect(await call("excluding", "cached")).toBe(6);
  expect((await solo.ask("GetState", { service_id: "excluding" })).state).toEqual({ n: 1 });
  await solo.ask("Update", { service_id: "excluding", code: `${COUNTER}\n// newer` });
  expect(await call("excluding", "cached")).toBe(6);
  await solo.ask("Restart", { service_id: "excluding" });
  expect([await call("excluding", "get"), await call("excluding", "cached")]).toEqual([1, 5]);
});

test("a state that nobody keeps can be seen and not replaced, and one that cannot be told hurts nobody", async () => {
  await deploy("light", "stateless");
  expect((await solo.ask("GetState", { service_id: "light" })).state).toMatchObject({ n: 0 });
  const { document } = await solo.ask("ExportState", { service_id: "light" });
  for (const refused of [
    solo.ask("ImportState", { service_id: "light", document }),
    solo.ask("ResetState", { service_id: "light" }),
  ]) {
    await expect(refused).rejects.toMatchObject({ code: "conflict" });
  }
  await call("light", "spoil");
  await expect(solo.ask("GetState", { service_id: "light" })).rejects.toMatchObject({
    code: "service_error",
  });
  expect(await call("light", "add")).toBe(1);
  await expect(solo.ask("GetState", { service_id: "light", slot: 3 })).rejects.toMatchObject({
    code: "invalid_argument",
  });
});
