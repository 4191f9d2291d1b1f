/** The long versions of test/faults/kernel-killed.test.ts. */
import { expect, test } from "vitest";
import { CONFIG, COUNTER, killRepeatedly } from "../faults/under-load.ts";
import { startKernel } from "../support/kernel.ts";

const KILLS = 25;
const SERVICES = 500;

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
