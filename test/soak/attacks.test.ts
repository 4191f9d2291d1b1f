/** Every attack that Solo ships, with and without walls; and many times over. */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { ATTACKS } from "#doctor/attacks/index.ts";
import { Ground } from "#doctor/ground.ts";
import { attackText, attackReport } from "#doctor/report.ts";
import { runSuite } from "#doctor/suite.ts";
import { attackCycles } from "../faults/attack-cycles.ts";
import { footprint, settledTo } from "../faults/footprint.ts";
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

test("1000 attacks and restarts leave memory, descriptors, processes and control groups level", async () => {
  await using kernel = await startAttacked();
  const cycles = async (each: { from: number; count: number }) => {
    const tenants = ["mallory", "mordred"].map((name) => kernel.tenant(name));
    await Promise.all(tenants.map((tenant) => attackCycles(tenant, each)));
  };
  await cycles({ from: 0, count: 60 });
  const warm = await footprint(kernel);
  await cycles({ from: 60, count: 500 });
  const after = await settledTo(kernel, warm, 3);
  console.log(JSON.stringify({ warm, after }));
  expect(after.kernelMib - warm.kernelMib).toBeLessThan(60);
  expect(after.heapMib - warm.heapMib).toBeLessThan(40);
  expect(after.childrenMib - warm.childrenMib).toBeLessThan(100);
});

test("hundreds of attacks leave no process, descriptor or memory behind", async () => {
  await using kernel = await startAttacked();
  const descriptors = () => readdirSync(`/proc/${kernel.pid}/fd`).length;
  const quick = ATTACKS.filter(({ everyDay }) => everyDay);
  const ground = await Ground.open(groundOf(kernel));
  const round = async (times: number) => {
    const results = [];
    for (let at = 0; at < times; at += 1) {
      for (const attack of quick) results.push(await ground.attack(attack));
    }
    return results;
  };
  await round(2);
  const memoryMb = async () => (await kernel.client.health()).memory_mb ?? 0;
  const before = {
    descriptors: descriptors(),
    processes: kernel.cellPids().length,
    memoryMb: await memoryMb(),
  };
  const results = await round(10);
  expect(failures(results)).toEqual([]);
  expect(descriptors()).toBeLessThanOrEqual(before.descriptors + 20);
  expect(await memoryMb()).toBeLessThan(before.memoryMb + 150);
  // Compilers come and go with their tenants: four that work and a spare.
  expect(kernel.cellPids().length).toBeLessThanOrEqual(before.processes + 5);
});
