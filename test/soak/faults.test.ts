/** The long version of test/faults/leaks.test.ts: an hour's wear in minutes. */
import { expect, test } from "vitest";
import { call, deployCallKill, watchAndLeave } from "../faults/churn.ts";
import { footprint, settledTo } from "../faults/footprint.ts";
import { COUNTER } from "../faults/under-load.ts";
import { startKernel } from "../support/kernel.ts";

const SPARE_DESCRIPTORS = 3;

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
