/** The long versions of test/faults: an hour's wear in minutes. */
import { expect, test } from "vitest";
import { call, deployCallKill, watchAndLeave } from "../faults/churn.ts";
import { footprint, settledTo } from "../faults/footprint.ts";
import { CONFIG, COUNTER, killRepeatedly } from "../faults/under-load.ts";
import { startKernel } from "../support/kernel.ts";

const SPARE_DESCRIPTORS = 3;
const KILLS = 25;
const SERVICES = 500;

test("1000 services that came and went, 100 000 calls and 3000 streams leave nothing", async () => {
  await using kernel = await startKernel();
  await kernel.deploy({ service_id: "counter", code: COUNTER });
  const wear = async (from: number, count: number) => {
    await deployCallKill(kernel, { from, count, atOnce: 4 });
    await call(kernel, { service: "counter", count: count * 100, atOnce: 32 });
    await watchAndLeave(kernel, { count: count * 3, atOnce: 8 });
  };
  await wear(0, 334);
  const warm = await footprint(kernel);
  await wear(334, 666);
  const after = await settledTo(kernel, warm, SPARE_DESCRIPTORS);
  expect(after.childrenMib - warm.childrenMib).toBeLessThan(60);
  expect(after.kernelMib - warm.kernelMib).toBeLessThan(60);
  expect(after.heapMib - warm.heapMib).toBeLessThan(40);
});

test(`${KILLS} kills under load lose nothing that was acknowledged`, async () => {
  await using kernel = await startKernel({ config: CONFIG });
  await killRepeatedly(kernel, KILLS);
});

test(`${SERVICES} services of ten tenants come back after a kill -9`, async () => {
  await using kernel = await startKernel();
  const tenants = Array.from({ length: 10 }, (_, index) => kernel.tenant(`t${index}`));
  const each = SERVICES / tenants.length;
  await Promise.all(
    tenants.map(async (tenant) => {
      for (let at = 0; at < each; at += 1) {
        await tenant.deploy({ service_id: `s-${at}`, code: COUNTER, persistence: "durable" });
        await tenant.call(`s-${at}`, "increment");
      }
    }),
  );
  await kernel.kill9();
  await kernel.restart();
  expect(kernel.stdout).toContain(`services ${SERVICES} back`);
  for (const tenant of tenants) {
    const services = await tenant.list();
    expect(services.filter(({ state }) => state === "running")).toHaveLength(each);
    for (const { service_id } of services) expect(await tenant.call(service_id, "get")).toBe(1);
  }
});
