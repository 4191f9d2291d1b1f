/** The long versions of test/faults/probation-killed.test.ts. */
import { expect, test } from "vitest";
import { SWAP_STEPS } from "#kernel/faults.ts";
import { killOnTheWayBack } from "../faults/probation-generations.ts";
import { deployTried } from "../faults/tried.ts";
import { startKernel } from "../support/kernel.ts";

const KILLS = 6;

test("a kernel that dies at any step of the way back leaves one revision with the newest state, and a way back", () =>
  killOnTheWayBack(SWAP_STEPS));

test(`${KILLS} orderly stops and ${KILLS} kills leave a probation to go on and its state whole`, async () => {
  await using kernel = await startKernel();
  const tried = await deployTried(kernel, {
    service_id: "tried",
    watchdog: { window_ms: 3_600_000 },
  });
  for (let n = 4; n < 4 + 2 * KILLS; n += 1) {
    expect(await kernel.call("tried", "add")).toBe(n);
    if (n % 2 === 0) await kernel.stop();
    else await kernel.kill9();
    await kernel.restart();
    expect(await kernel.status("tried")).toMatchObject({ state: "running", version: "2" });
    expect(await kernel.call("tried", "get")).toBe(n);
  }
  expect(await tried.events("hot_swap_rolled_back")).toEqual([]);
  expect(await tried.events("service.terminated")).toEqual([]);
});
