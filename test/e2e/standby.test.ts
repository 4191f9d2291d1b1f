/** What stands by during a probation: the old revision, loaded, for a way back that waits for nothing. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startInProcess, type InProcessKernel } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";

let solo: InProcessKernel;
beforeAll(async () => {
  solo = await startInProcess({ env: { SOLO_LIMITS_PRESSURE_INSTANCES: "3" } });
});
afterAll(() => solo[Symbol.asyncDispose]());

const tenant = "standby";
/** Says in its log that it is loaded; counts. */
const code = (version: string) => `console.log("loaded ${version}");
export default { version: "${version}", init: () => ({ n: 0 }), calls: {
  add: (solo) => (solo.state.n += 1), look: (solo) => solo.state.n,
  boom() { throw new Error("boom"); } } };`;

const call = (service: string, name: string) => solo.call(tenant, service, name);
const statusOf = (service_id: string) => solo.ask("Status", { service_id }, tenant);
const serviceOf = (service: string) => solo.kernel.tenants.get({ tenant, service } as never);
const loads = async (service_id: string, version: string) => {
  const credentials = { token: solo.token, tenant };
  const { signal } = new AbortController();
  const lines = solo.kernel.port.stream(
    "Logs",
    { service_id, limit: 1000 },
    { credentials, signal },
  );
  let count = 0;
  for await (const { text } of lines) if (text === `loaded ${version}`) count += 1;
  return count;
};
const tried = async (service_id: string) => {
  const watchdog = { window_ms: 600_000 };
  await solo.ask("Deploy", { service_id, code: code("old") }, tenant);
  await call(service_id, "add");
  await solo.ask("Update", { service_id, code: code("new"), watchdog }, tenant);
};
const standsBy = (service: string) =>
  until(async () => (await loads(service, "old")) === 2, `${service}'s standby`);
const isBack = (service: string) =>
  until(async () => (await statusOf(service)).version === "old", "the way back");

test("takes over without being loaded again, and the status still tells of the crash", async () => {
  await tried("ready");
  await standsBy("ready");
  await call("ready", "boom").catch(() => {});
  await isBack("ready");
  expect(await call("ready", "look")).toBe(1);
  expect(await loads("ready", "old")).toBe(2);
  expect(serviceOf("ready").standby).toBeUndefined();
  const status = await until(async () => {
    const seen = await statusOf("ready");
    return seen.last_crash === undefined ? undefined : seen;
  }, "the report of the crash");
  expect(status.last_crash?.message).toContain("boom");
});

test("goes with the service, with the probation, and at a restart", async () => {
  for (const end of [
    { name: "Kill", input: { force: true } },
    { name: "Restart", input: {} },
    { name: "Update", input: { code: code("third"), watchdog: { enabled: false } } },
    { name: "Rollback", input: {} },
  ] as const) {
    const service_id = end.name.toLowerCase();
    await tried(service_id);
    await standsBy(service_id);
    const service = serviceOf(service_id);
    const [{ cell }] = service.instances as [(typeof service.instances)[0]];
    const others = cell.size - 2;
    await solo.ask(end.name, { service_id, ...end.input }, tenant);
    const left = end.name === "Kill" ? 0 : 1;
    await until(() => service.standby === undefined && cell.size === others + left, end.name);
    if (end.name !== "Kill") await solo.ask("Kill", { service_id, force: true }, tenant);
  }
});

test("is given up when the kernel is under pressure: the way back is longer, and there all the same", async () => {
  await tried("pressed");
  await standsBy("pressed");
  for (const other of ["a", "b", "c"]) {
    await solo.ask("Deploy", { service_id: other, code: code("other") }, tenant);
  }
  await until(() => serviceOf("pressed").standby === undefined, "the standby to go");
  await call("pressed", "boom").catch(() => {});
  await isBack("pressed");
  expect(await call("pressed", "look")).toBe(1);
  expect(await loads("pressed", "old")).toBe(3);
});
