/** kill -9 of the kernel wherever it is in the exchange of its master key. */
import { test } from "vitest";
import { killWhileRotating, POINTS } from "../faults/rotation-killed.ts";
import { startKernel } from "../support/kernel.ts";

const ROUNDS = 5;

test(`leaves every secret readable, ${ROUNDS} times at each point`, async () => {
  await using kernel = await startKernel();
  const points = Object.keys(POINTS) as (keyof typeof POINTS)[];
  for (let round = 0; round < ROUNDS; round += 1) await killWhileRotating(kernel, points);
});
