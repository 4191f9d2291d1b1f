/** What comes and goes leaves nothing: memory, descriptors and processes stay level. The
 *  long version is in test/soak. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startKernel, type TestKernel } from "../support/kernel.ts";
import { attackCycles } from "./attack-cycles.ts";
import { call, deployCallKill, watchAndLeave } from "./churn.ts";
import { footprint, settledTo } from "./footprint.ts";

const COUNTER = `export default {
  init: () => ({ count: 0 }),
  calls: { increment: (solo) => (solo.state.count += 1) },
};`;
/** Descriptors that may come and go with timing: a connection, a file of the event log. */
const SPARE_DESCRIPTORS = 3;

let kernel: TestKernel;
beforeAll(async () => {
  kernel = await startKernel();
  await kernel.deploy({ service_id: "counter", code: COUNTER });
});
afterAll(() => kernel[Symbol.asyncDispose]());

test("90 services that were deployed, called and killed leave nothing", async () => {
  await deployCallKill(kernel, { from: 0, count: 30, atOnce: 2 });
  const warm = await footprint(kernel);
  await deployCallKill(kernel, { from: 30, count: 60, atOnce: 2 });
  const after = await settledTo(kernel, warm, SPARE_DESCRIPTORS);
  // An isolate that stayed would be 1.3 MiB each time.
  expect(after.childrenMib - warm.childrenMib).toBeLessThan(40);
  expect(after.kernelMib - warm.kernelMib).toBeLessThan(40);
  expect(after.heapMib - warm.heapMib).toBeLessThan(40);
  expect(await kernel.list()).toHaveLength(1);
});

test("18 attacks and restarts leave nothing", async () => {
  const tenant = kernel.tenant("mallory");
  await tenant.deploy({ service_id: "neighbour", code: COUNTER });
  await attackCycles(tenant, { from: 0, count: 6 });
  const warm = await footprint(kernel);
  await attackCycles(tenant, { from: 6, count: 18 });
  const after = await settledTo(kernel, warm, SPARE_DESCRIPTORS);
  expect(after.kernelMib - warm.kernelMib).toBeLessThan(60);
  // A process that stayed each time would be a thousand; one more or less may be starting just now.
  expect(after.childrenMib - warm.childrenMib).toBeLessThan(250);
});

test("4000 calls leave nothing", async () => {
  await call(kernel, { service: "counter", count: 1000, atOnce: 32 });
  const warm = await footprint(kernel);
  await call(kernel, { service: "counter", count: 3000, atOnce: 32 });
  const after = await settledTo(kernel, warm, SPARE_DESCRIPTORS);
  expect(after.childrenMib - warm.childrenMib).toBeLessThan(30);
  expect(after.kernelMib - warm.kernelMib).toBeLessThan(40);
});

test("300 event streams that were opened and left leave nothing", async () => {
  await watchAndLeave(kernel, { count: 100, atOnce: 8 });
  const warm = await footprint(kernel);
  await watchAndLeave(kernel, { count: 200, atOnce: 8 });
  const after = await settledTo(kernel, warm, SPARE_DESCRIPTORS);
  expect(after.kernelMib - warm.kernelMib).toBeLessThan(40);
});
