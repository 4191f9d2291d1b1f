/** Every attack that Solo ships, with and without walls; and many times over. */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { ATTACKS } from "#doctor/attacks/index.ts";
import { attackText, attackReport } from "#doctor/report.ts";
import { runSuite } from "#doctor/suite.ts";
import { groundOf, startAttacked } from "../support/attacked.ts";

const failures = (results: Awaited<ReturnType<typeof runSuite>>) =>
  results
    .filter(({ held }) => !held)
    .map(({ name, outcome, problems }) => ({ name, outcome, problems }));

test.for(["auto", "off"])("every attack holds with security.sandbox = %s", async (sandbox) => {
  await using kernel = await startAttacked({ SOLO_SECURITY_SANDBOX: sandbox });
  const results = await runSuite({ ...groundOf(kernel), attacks: ATTACKS, onResult: () => {} });
  console.log(attackText(attackReport(results)));
  expect(failures(results)).toEqual([]);
});

test("hundreds of attacks leave no process and no descriptor behind", async () => {
  await using kernel = await startAttacked();
  const descriptors = () => readdirSync(`/proc/${kernel.pid}/fd`).length;
  const quick = ATTACKS.filter(({ everyDay }) => everyDay);
  const round = (times: number) =>
    runSuite({
      ...groundOf(kernel),
      attacks: Array.from({ length: times }, () => quick).flat(),
      onResult: () => {},
    });
  await round(2);
  const before = { descriptors: descriptors(), cells: kernel.cellPids().length };
  const results = await round(20);
  expect(failures(results)).toEqual([]);
  expect(descriptors()).toBeLessThanOrEqual(before.descriptors + 20);
  expect(kernel.cellPids().length).toBeLessThanOrEqual(before.cells + 2);
});
