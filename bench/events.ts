/**
 * The event log: durable appends, what emitting costs the caller, tail fan-out.
 * Not measured: several files, filters over millions of events, a disk that others use.
 */
import { fsyncSync, writeSync } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { tenantId } from "#base/ids.ts";
import { EventLog } from "#events/event-log.ts";
import { openStorage } from "#storage/storage.ts";

export interface Row {
  readonly name: string;
  readonly value: string;
  readonly target?: string;
  readonly note?: string;
}

const RUN_MS = 2_000;
const TENANTS = Array.from({ length: 20 }, (_, i) => tenantId(`tenant-${i}`));
const PAYLOAD = { instance_id: "i_mb1x2y3z0123456789", revision: "r_0123456789abcdef" };

const newEvent = (i: number) => ({
  type: "service_started" as const,
  tenantId: TENANTS[i % TENANTS.length] as (typeof TENANTS)[number],
  subject: `service-${i % 500}`,
  payload: PAYLOAD,
});

export async function run(): Promise<Row[]> {
  const dataDir = await mkdtemp(join(tmpdir(), "solo-bench-events-"));
  try {
    await using storage = await openStorage({ dataDir, clock: systemClock });
    using log = new EventLog({ clock: systemClock, bootId: "bench" });
    log.attach(storage.events);
    return [
      await bareDisk(dataDir),
      await durableAppends(log, 1),
      await durableAppends(log, 64, "≥ 100 thousand/s"),
      await durableAppends(log, 1024),
      ...(await emitCost(log)),
      await fanOut(log, 100),
    ];
  } finally {
    await rm(dataDir, { recursive: true });
  }
}

/** What the disk gives without a database: the other rows are to be read against it. */
async function bareDisk(directory: string): Promise<Row> {
  const block = new Uint8Array(16_384);
  const file = await open(join(directory, "bare"), "w");
  let syncs = 0;
  const started = performance.now();
  try {
    for (; performance.now() - started < RUN_MS / 2; syncs++) {
      writeSync(file.fd, block);
      fsyncSync(file.fd);
    }
  } finally {
    await file.close();
  }
  const perSecond = (syncs / (performance.now() - started)) * 1_000;
  return {
    name: "16 KiB appended and fsynced",
    value: `${perSecond.toFixed(0)} /s`,
    note: "bare file, this disk",
  };
}

async function durableAppends(log: EventLog, emitters: number, target?: string): Promise<Row> {
  const started = performance.now();
  const from = log.head();
  const emitter = async (_: unknown, i: number) => {
    while (performance.now() - started < RUN_MS) await log.append(newEvent(i));
  };
  await Promise.all(Array.from({ length: emitters }, emitter));
  const perSecond = ((log.head() - from) / (performance.now() - started)) * 1_000;
  return {
    name: `durable appends, ${emitters} emitters`,
    value: `${(perSecond / 1_000).toFixed(1)} thousand/s`,
    ...(target !== undefined && { target }),
    note: "each awaited on disk (fsync)",
  };
}

/** Turns of 64 emits, timed one by one, with the loop free in between as in a kernel at work. */
async function emitCost(log: EventLog): Promise<Row[]> {
  const costs: number[] = [];
  for (let turn = 0; turn < 1_000; turn++) {
    for (let i = 0; i < 64; i++) {
      const event = newEvent(i);
      const started = performance.now();
      log.emit(event);
      costs.push((performance.now() - started) * 1_000);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await log.flushed();
  costs.sort((a, b) => a - b);
  const at = (share: number) =>
    `${(costs[Math.floor(costs.length * share)] as number).toFixed(2)} µs`;
  return [
    { name: "emit, cost for the caller, median", value: at(0.5), target: "≤ 5 µs" },
    { name: "emit, cost for the caller, p99", value: at(0.99) },
  ];
}

async function fanOut(log: EventLog, subscribers: number): Promise<Row> {
  const events = 20_000;
  const last = log.head() + events;
  const stop = new AbortController();
  const subscriber = async () => {
    for await (const page of log.pages({ sinceId: last - events }, stop.signal)) {
      if ((page.at(-1)?.id ?? 0) >= last) return;
    }
  };
  const started = performance.now();
  const all = Promise.all(Array.from({ length: subscribers }, subscriber));
  for (let i = 0; i < events; i++) {
    log.emit(newEvent(i));
    if (i % 64 === 63) await new Promise((resolve) => setImmediate(resolve));
  }
  await all;
  stop.abort();
  const perSecond = ((events * subscribers) / (performance.now() - started)) * 1_000;
  return {
    name: `tail fan-out, ${subscribers} subscribers`,
    value: `${(perSecond / 1e6).toFixed(2)} million deliveries/s`,
    note: `${events} events, emitted meanwhile`,
  };
}

if (import.meta.main) console.table(await run());
