/** Sleepers: what each costs the kernel, how soon one wakes, and a start with a thousand services. */
import { rm } from "node:fs/promises";
import { startKernel, type BenchKernel } from "../kernel.ts";
import { RestClient } from "../load/rest-client.ts";
import { memoryMiB } from "../processes.ts";
import { atMost, type Row } from "../report.ts";
import type { Scale } from "../scale.ts";
import { unseenSource } from "../source.ts";
import { summarize } from "../stats.ts";

const AT_ONCE = 4;
const TENANTS = 10;
const SETTLE_MS = 3000;
const POLL_MS = 250;
const ASLEEP_MS = 60_000;
const SLEEPY = { persistence: "hybrid", hibernation: { after_idle_ms: 500 } };

export async function run({ quick, profileDir }: Scale): Promise<Row[]> {
  const sleepers = quick ? 180 : 900;
  const awake = sleepers / 9;
  const first = await startKernel();
  const { dataDir } = first;
  try {
    await pause(SETTLE_MS);
    const empty = await collectedMiB(first);
    await deployMany(first, { from: 0, to: sleepers, spec: SLEEPY });
    await allAsleep(first, sleepers);
    await pause(SETTLE_MS);
    const each = ((await collectedMiB(first)) - empty) / sleepers;
    const wakes = await wake(first, quick ? 50 : 300);
    await deployMany(first, { from: sleepers, to: sleepers + awake, spec: {} });
    await allAsleep(first, sleepers);
    await first.kill();
    const begun = performance.now();
    await using second = await startKernel({ dataDir, profileDir });
    const ready = performance.now() - begun;
    if ((await asleepIn(second)) !== sleepers) throw new Error("sleepers were started");
    return [
      {
        name: `memory of a sleeping service in the kernel, ${sleepers}`,
        memory: each,
        targets: [atMost("memory", 30 / 1024)],
        note: "growth of the kernel's proportional set size since it was empty, both after a full collection; `sleepers` has many more of them",
      },
      {
        name: "call of a sleeping service",
        ...summarize(wakes),
        targets: [atMost("median", 6), atMost("p99", 20)],
        note: "one after the other, over REST; the tenants' cells are there",
      },
      {
        name: `kill -9, start, ${awake} services running and ${sleepers} asleep`,
        median: ready,
        ...(!quick && { targets: [atMost("median", 3000)] }),
        note: "one sample, from the spawn of the process to ready",
      },
    ];
  } finally {
    await first.kill();
    await rm(dataDir, { recursive: true });
  }
}

const tenantOf = (i: number): string => `t${i % TENANTS}`;

async function deployMany(
  kernel: BenchKernel,
  { from, to, spec }: { from: number; to: number; spec: object },
): Promise<void> {
  let next = from;
  const worker = async () => {
    for (let i = next++; i < to; i = next++) {
      using client = await open(kernel, tenantOf(i));
      await client.deploy(`s${i}`, { code: unseenSource(`sleep-${i}`).source, ...spec });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function wake(kernel: BenchKernel, count: number): Promise<number[]> {
  const samples: number[] = [];
  for (let i = 0; i < count; i += 1) {
    using client = await open(kernel, tenantOf(i));
    const begun = performance.now();
    if ((await client.call(`s${i}`, "add", [20, 22])) !== 42) throw new Error("wrong answer");
    samples.push(performance.now() - begun);
  }
  return samples;
}

async function allAsleep(kernel: BenchKernel, count: number): Promise<void> {
  const deadline = performance.now() + ASLEEP_MS;
  while ((await asleepIn(kernel)) < count) {
    if (performance.now() > deadline) throw new Error("not all services fell asleep");
    await pause(POLL_MS);
  }
}

async function asleepIn({ http, token }: BenchKernel): Promise<number> {
  let count = 0;
  for (let tenant = 0; tenant < TENANTS; tenant += 1) {
    const answer = await fetch(`http://${http.host}:${http.port}/services?limit=1000`, {
      headers: { authorization: `Bearer ${token}`, "x-solo-tenant": `t${tenant}` },
    });
    const { services } = (await answer.json()) as { services: { state: string }[] };
    count += services.filter(({ state }) => state === "hibernated").length;
  }
  return count;
}

const open = (kernel: BenchKernel, tenant: string): Promise<RestClient> =>
  RestClient.open({ at: kernel.http, token: kernel.token, tenant });

/** Of the kernel, without what is garbage by now. */
async function collectedMiB(kernel: BenchKernel): Promise<number> {
  await kernel.heapMiB();
  await pause(SETTLE_MS);
  return memoryMiB([kernel.pid]);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
