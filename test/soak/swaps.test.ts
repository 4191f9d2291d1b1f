/** The long versions of test/e2e/swap.test.ts. */
import { expect, test } from "vitest";
import { swapUnderLoad } from "../faults/swap-load.ts";
import { startInProcess } from "../support/kernel-in-process.ts";

const SWAPS = 10_000;
const SPARE_MIB = 100;

test(`${SWAPS} swaps under load: nothing lost, nothing failed, nothing in another order, nothing left`, async () => {
  await using solo = await startInProcess();
  await swapUnderLoad(solo, { swaps: 500, service: "warm" });
  const before = process.memoryUsage().heapUsed;
  const seen = await swapUnderLoad(solo, { swaps: SWAPS, service: "load" });
  expect(seen).toMatchObject({ failed: 0, lost: 0, reordered: 0 });
  expect((process.memoryUsage().heapUsed - before) / 2 ** 20).toBeLessThan(SPARE_MIB);
});

test("a service that does not drain is not swapped, and goes on", async () => {
  await using solo = await startInProcess();
  const code = (version: number) => `export default { version: "${version}", calls: {
    async slow(solo, ms) { await solo.sleep(ms); return ${version}; } } };`;
  await solo.ask("Deploy", { service_id: "stubborn", code: code(1) });
  const slow = solo.call("default", "stubborn", "slow", 7000);
  await expect(solo.ask("Update", { service_id: "stubborn", code: code(2) })).rejects.toMatchObject(
    { code: "conflict" },
  );
  expect(await slow).toBe(1);
  expect(await solo.call("default", "stubborn", "slow", 0)).toBe(1);
});
