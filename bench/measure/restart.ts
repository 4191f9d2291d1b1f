/** From the request that crashes a service, or the death of its process, to its next answer. */
import { startKernel } from "../kernel.ts";
import { RestClient } from "../load/rest-client.ts";
import { cpuTicks, processTree } from "../processes.ts";
import { atMost, type Row } from "../report.ts";
import type { Scale } from "../scale.ts";
import { unseenSource } from "../source.ts";
import { summarize } from "../stats.ts";

const NEIGHBOURS = 20;
const BUSY_CALLS = 1000;
const SETTLE_MS = 1000;

export async function run({ quick, profileDir }: Scale): Promise<Row[]> {
  await using kernel = await startKernel({ profileDir });
  using client = await RestClient.open({ at: kernel.http, token: kernel.token, tenant: "crash" });
  const threw = await crashes(client, quick ? 60 : 150);
  const killed: number[] = [];
  for (let round = 0; round < (quick ? 2 : 5); round += 1)
    killed.push(await cellKill(kernel, `kill-${round}`));
  return [
    {
      name: "handler throws → next call answered",
      ...summarize(threw),
      targets: [atMost("p99", 15)],
    },
    {
      name: `cell killed → all its ${NEIGHBOURS} services answer`,
      ...summarize(killed),
      note: `SIGKILL to the tenant's process; a spare cell is warm; ${killed.length} rounds`,
    },
  ];
}

/** A service each, so that no sample waits for the backoff of the one before. */
async function crashes(client: RestClient, count: number): Promise<number[]> {
  for (let i = 0; i < count; i += 1)
    await client.deploy(`s${i}`, { code: unseenSource(`crash-${i}`).source });
  await pause(SETTLE_MS);
  const samples: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const begun = performance.now();
    const { body } = await client.post(`/services/s${i}/calls/boom`, { args: [] });
    if (body["code"] !== "service_crashed") throw new Error(`no crash: ${JSON.stringify(body)}`);
    if ((await client.call(`s${i}`, "add", [20, 22])) !== 42) throw new Error("wrong answer");
    samples.push(performance.now() - begun);
  }
  return samples;
}

async function cellKill(
  kernel: { pid: number; http: { host: string; port: number }; token: string },
  tenant: string,
): Promise<number> {
  const open = () => RestClient.open({ at: kernel.http, token: kernel.token, tenant });
  const clients = await Promise.all(Array.from({ length: NEIGHBOURS }, open));
  try {
    for (const [i, client] of clients.entries())
      await client.deploy(`s${i}`, { code: unseenSource(`${tenant}-${i}`).source });
    await pause(SETTLE_MS);
    const cell = await busiest(kernel.pid, async () => {
      for (let i = 0; i < BUSY_CALLS; i += 1) await clients[0]!.call("s0", "add", [20, 22]);
    });
    const begun = performance.now();
    process.kill(cell, "SIGKILL");
    await Promise.all(clients.map((client, i) => answering(client, `s${i}`)));
    return performance.now() - begun;
  } finally {
    for (const client of clients) client[Symbol.dispose]();
  }
}

/** A call that was on its way when the cell died may fail once; it is sent again. */
async function answering(client: RestClient, service: string): Promise<void> {
  for (;;) {
    const { status, body } = await client.post(`/services/${service}/calls/add`, {
      args: [20, 22],
    });
    if (status === 200 && body["reply"] === 42) return;
  }
}

/** The kernel's child that worked most meanwhile: the tenant's cell. */
async function busiest(kernel: number, work: () => Promise<void>): Promise<number> {
  const before = new Map(
    processTree(kernel)
      .slice(1)
      .map((pid) => [pid, cpuTicks(pid)]),
  );
  await work();
  const spent = [...before].map(([pid, ticks]) => ({ pid, ticks: cpuTicks(pid) - ticks }));
  return spent.toSorted((a, b) => b.ticks - a.ticks)[0]!.pid;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
