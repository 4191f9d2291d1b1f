/** Many idle services: what each of them weighs, and how soon all are back after kill -9. */
import { rm } from "node:fs/promises";
import { startKernel, type BenchKernel } from "../kernel.ts";
import { RestClient } from "../load/rest-client.ts";
import { startPeer } from "../peers/start.ts";
import { memoryMiB, processTree } from "../processes.ts";
import { atMost, type Row } from "../report.ts";
import type { Scale } from "../scale.ts";
import { unseenSource } from "../source.ts";

const SOME = 500;
const FEW = 100;
const MANY = 2000;
/** As the default limit of services per tenant says. */
const PER_TENANT = 100;
const AT_ONCE = 4;
const SETTLE_MS = 4000;

export async function run({ quick, profileDir }: Scale): Promise<Row[]> {
  const some = quick ? FEW : SOME;
  const rows: Row[] = [];
  const first = await startKernel();
  const { dataDir } = first;
  try {
    const empty = await settled(first.pid);
    await deployMany(first, { from: 0, to: some });
    rows.push({
      name: `memory of an idle service, ${some}`,
      memory: ((await settled(first.pid)) - empty) / some,
      peers: quick ? [] : await peers(),
      note: `${some / PER_TENANT} tenants, so ${some / PER_TENANT} cells; proportional set size of kernel and cells, less that of an empty kernel (${Math.round(empty)} MiB)`,
    });
    await first.kill();

    const begun = performance.now();
    await using second = await startKernel({ dataDir, profileDir });
    const ready = performance.now() - begun;
    await allAnswer(second, some);
    rows.push({
      name: `kill -9, start, ${some} services ready`,
      median: ready,
      ...(!quick && { targets: [atMost("median", 3000)] }),
      note: `one sample, from the spawn of the process; ${Math.round(performance.now() - begun)} ms when each had answered a call`,
    });
    if (!quick) {
      await deployMany(second, { from: some, to: MANY });
      rows.push({
        name: `memory of an idle service, ${MANY}`,
        memory: ((await settled(second.pid)) - empty) / MANY,
        targets: [atMost("memory", 1.5)],
        note: `${MANY / PER_TENANT} cells`,
      });
    }
  } finally {
    await first.kill();
    await rm(dataDir, { recursive: true });
  }
  return rows;
}

async function settled(pid: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  return memoryMiB(processTree(pid));
}

const placeOf = (i: number) => ({ tenant: `t${Math.floor(i / PER_TENANT)}`, service: `s${i}` });

async function each(
  kernel: BenchKernel,
  { from, to }: { from: number; to: number },
  act: (client: RestClient, service: string) => Promise<void>,
): Promise<void> {
  let next = from;
  const worker = async () => {
    for (let i = next++; i < to; i = next++) {
      const { tenant, service } = placeOf(i);
      using client = await RestClient.open({ at: kernel.http, token: kernel.token, tenant });
      await act(client, service);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

const deployMany = (kernel: BenchKernel, range: { from: number; to: number }) =>
  each(kernel, range, (client, service) =>
    client.deploy(service, { code: unseenSource(service).source }),
  );

const allAnswer = (kernel: BenchKernel, count: number) =>
  each(kernel, { from: 0, to: count }, async (client, service) => {
    if ((await client.call(service, "add", [20, 22])) !== 42) throw new Error("wrong answer");
  });

async function peers() {
  const found = [];
  for (const [kind, count] of [
    ["worker", 100],
    ["process", 30],
  ] as const) {
    await using peer = await startPeer("per-service.ts", kind);
    const empty = await settled(peer.process.pid);
    using client = await RestClient.open({ at: peer.at });
    for (let i = 0; i < count; i += 1)
      await client.deploy(`s${i}`, { code: unseenSource(`s${i}`).source });
    const memory = ((await settled(peer.process.pid)) - empty) / count;
    found.push({
      name: `${kind === "worker" ? "worker_thread" : "child process"} per service, ${count}`,
      memory,
    });
  }
  return found;
}
