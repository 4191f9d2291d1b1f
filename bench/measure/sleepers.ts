/** Thousands of sleepers after the kernel's start: what each costs in its heap and in memory. */
import { rm } from "node:fs/promises";
import { systemClock } from "../../src/base/clock.ts";
import { openStorage, type Storage } from "../../src/storage/storage.ts";
import { withChecksum } from "../../src/deploy/checksum.ts";
import { sourceHash, type ServiceSpec } from "../../src/deploy/spec.ts";
import { startKernel, type BenchKernel } from "../kernel.ts";
import { RestClient } from "../load/rest-client.ts";
import { memoryMiB } from "../processes.ts";
import { atMost, type Row } from "../report.ts";
import type { Scale } from "../scale.ts";
import { unseenSource } from "../source.ts";

const TENANTS = 20;
const PAGE = 200;
const POLL_MS = 100;
const ASLEEP_MS = 60_000;
const SETTLE_MS = 2000;
const DIGEST_BYTES = 32;
const MODEL = "model";

export async function run({ quick, profileDir }: Scale): Promise<Row[]> {
  const counts = quick ? [1000, 2000] : [5000, 10_000, 20_000];
  const dataDir = await withOneAsleep();
  const sizes: { readonly heap: number; readonly all: number; readonly readyMs: number }[] = [];
  try {
    let there = 0;
    for (const count of [0, ...counts]) {
      await multiply(dataDir, there, count);
      there = count;
      const begun = performance.now();
      await using kernel = await startKernel({
        dataDir,
        ...(count === counts.at(-1) && { profileDir }),
      });
      const readyMs = performance.now() - begun;
      await pause(SETTLE_MS);
      // The collection first: what is measured after it is not the start's garbage.
      const heap = await kernel.heapMiB();
      await pause(SETTLE_MS);
      sizes.push({ heap, all: memoryMiB([kernel.pid]), readyMs });
      if (count > 0) await mustAnswer(kernel, count - 1);
    }
    const [empty, first] = sizes as [(typeof sizes)[0], (typeof sizes)[0]];
    const last = sizes.at(-1)!;
    const most = counts.at(-1)!;
    const step = most - counts[0]!;
    return [
      {
        name: `heap of the kernel for each sleeping service, of ${most}`,
        memory: (last.heap - empty.heap) / most,
        targets: [atMost("memory", 30 / 1024)],
        note: "in use after a full collection, less that of a kernel without services",
      },
      {
        name: `the same, each more than ${counts[0]}`,
        memory: (last.heap - first.heap) / step,
        targets: [atMost("memory", 30 / 1024)],
      },
      {
        name: `memory of the kernel for each sleeping service, of ${most}`,
        memory: (last.all - empty.all) / most,
        targets: [atMost("memory", 30 / 1024)],
        note: "proportional set size after a full collection, less that of a kernel without services",
      },
      {
        name: `start with ${most} services asleep`,
        median: last.readyMs,
        note: "one sample, from the spawn of the process to ready",
      },
    ];
  } finally {
    await rm(dataDir, { recursive: true });
  }
}

/** A data directory in which one service sleeps, as the kernel writes it. */
async function withOneAsleep(): Promise<string> {
  const kernel = await startKernel();
  using client = await RestClient.open({ at: kernel.http, token: kernel.token, tenant: "t0" });
  await client.deploy(MODEL, {
    code: unseenSource(MODEL).source,
    persistence: "hybrid",
    hibernation: { after_idle_ms: 100 },
  });
  const deadline = performance.now() + ASLEEP_MS;
  while ((await stateOf(kernel, "t0", MODEL)) !== "hibernated") {
    if (performance.now() > deadline) throw new Error("the model did not fall asleep");
    await pause(POLL_MS);
  }
  await kernel.kill();
  return kernel.dataDir;
}

/** Writes the records of sleepers like it, each with source of its own. */
async function multiply(dataDir: string, from: number, to: number): Promise<void> {
  if (from === to) return;
  await using storage = await openStorage({ dataDir, clock: systemClock });
  const name = `t0/${MODEL}`;
  const deployment = (await read(storage, "deployments", name)) as { spec: ServiceSpec };
  const dormant = (await read(storage, "dormant", name, DIGEST_BYTES)) as object;
  const state = await storage.kv.get("state", name);
  for (let at = from; at < to; at += PAGE) {
    const ops = Array.from({ length: Math.min(PAGE, to - at) }, (_, more) => {
      const service = `s${at + more}`;
      const tenant = tenantOf(at + more);
      const text = JSON.stringify(deployment.spec).replaceAll(MODEL, service);
      const spec = JSON.parse(text) as ServiceSpec;
      const recorded = { ...deployment, tenant, service, spec, capabilities: [] };
      const sleep = { ...dormant, sourceHash: sourceHash(spec) };
      const key = `${tenant}/${service}`;
      const put = (ns: string, value: Buffer) => ({ op: "put", ns, key, value }) as const;
      return [
        put("deployments", Buffer.from(JSON.stringify(recorded))),
        put("dormant", withChecksum(Buffer.from(JSON.stringify(sleep)))),
        put("state", resourced(state!.value, sourceHash(spec))),
      ];
    });
    await storage.kv.batch(ops.flat());
  }
}

/** The snapshot as if this source had written it. */
function resourced(snapshot: Uint8Array, source: string): Buffer {
  const body = Buffer.from(snapshot).subarray(DIGEST_BYTES).toString();
  const end = body.indexOf("\n");
  const header = { ...(JSON.parse(body.slice(0, end)) as object), source };
  return withChecksum(Buffer.from(`${JSON.stringify(header)}${body.slice(end)}`));
}

async function read(storage: Storage, ns: string, key: string, skip = 0): Promise<unknown> {
  const entry = await storage.kv.get(ns, key);
  return JSON.parse(Buffer.from(entry!.value).subarray(skip).toString());
}

const tenantOf = (at: number): string => `t${at % TENANTS}`;

async function mustAnswer(kernel: BenchKernel, at: number): Promise<void> {
  if ((await stateOf(kernel, tenantOf(at), `s${at}`)) !== "hibernated") {
    throw new Error("a sleeper was started");
  }
  using client = await RestClient.open({
    at: kernel.http,
    token: kernel.token,
    tenant: tenantOf(at),
  });
  if ((await client.call(`s${at}`, "add", [20, 22])) !== 42) throw new Error("wrong answer");
}

async function stateOf({ http, token }: BenchKernel, tenant: string, service: string) {
  const answer = await fetch(`http://${http.host}:${http.port}/services/${service}`, {
    headers: { authorization: `Bearer ${token}`, "x-solo-tenant": tenant },
  });
  return ((await answer.json()) as { state: string }).state;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
