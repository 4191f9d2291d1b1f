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
import { atLeast, atMost, type Bound, type Row } from "./report.ts";
import type { Scale } from "./scale.ts";
import { summarize } from "./stats.ts";

const FULL_MS = 2_000;
const QUICK_MS = 700;
const TENANTS = Array.from({ length: 20 }, (_, i) => tenantId(`tenant-${i}`));
const PAYLOAD = { instance_id: "i_mb1x2y3z0123456789", revision: "r_0123456789abcdef" };

const newEvent = (i: number) => ({
  type: "service_started" as const,
  tenantId: TENANTS[i % TENANTS.length] as (typeof TENANTS)[number],
  subject: `service-${i % 500}`,
  payload: PAYLOAD,
});

export async function run({ quick }: Scale): Promise<Row[]> {
  const dataDir = await mkdtemp(join(tmpdir(), "solo-bench-events-"));
  const runMs = quick ? QUICK_MS : FULL_MS;
  try {
    await using storage = await openStorage({ dataDir, clock: systemClock });
    using log = new EventLog({ clock: systemClock, bootId: "bench" });
    log.attach(storage.events);
    const disk = await bareDisk(dataDir, runMs);
    return [
      { ...(await durableAppends(log, { emitters: 1, runMs })), peers: [disk] },
      await durableAppends(log, { emitters: 64, runMs, targets: [atLeast("rate", 100_000)] }),
      await durableAppends(log, { emitters: 1024, runMs }),
      await emitCost(log),
      await fanOut(log, 100),
    ];
  } finally {
    await rm(dataDir, { recursive: true });
  }
}

/** What the disk gives without a database: the other rows are to be read against it. */
async function bareDisk(directory: string, runMs: number): Promise<Row> {
  const block = new Uint8Array(16_384);
  const file = await open(join(directory, "bare"), "w");
  let syncs = 0;
  const started = performance.now();
  try {
    for (; performance.now() - started < runMs; syncs++) {
      writeSync(file.fd, block);
      fsyncSync(file.fd);
    }
  } finally {
    await file.close();
  }
  return {
    name: "bare file: 16 KiB appended and fsynced",
    rate: (syncs * 1_000) / (performance.now() - started),
  };
}

interface Appends {
  readonly emitters: number;
  readonly runMs: number;
  readonly targets?: readonly Bound[];
}

/** Every event is awaited until it is on disk (fsync). */
async function durableAppends(log: EventLog, options: Appends): Promise<Row> {
  const { emitters, runMs, targets = [] } = options;
  const started = performance.now();
  const from = log.head();
  const emitter = async (_: unknown, i: number) => {
    while (performance.now() - started < runMs) await log.append(newEvent(i));
  };
  await Promise.all(Array.from({ length: emitters }, emitter));
  const rate = ((log.head() - from) * 1_000) / (performance.now() - started);
  const name = `durable events, ${emitters} emitter${emitters === 1 ? "" : "s"}`;
  return { name, rate, ...(targets.length > 0 && { targets }) };
}

/** Turns of 64 emits, timed one by one, with the loop free in between as in a kernel at work. */
async function emitCost(log: EventLog): Promise<Row> {
  const costs: number[] = [];
  for (let turn = 0; turn < 1_000; turn++) {
    for (let i = 0; i < 64; i++) {
      const event = newEvent(i);
      const started = performance.now();
      log.emit(event);
      costs.push(performance.now() - started);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await log.flushed();
  return {
    name: "emit an event, cost for the caller",
    ...summarize(costs),
    targets: [atMost("median", 0.005)],
  };
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
  return {
    name: `deliveries to ${subscribers} tails in the kernel`,
    rate: (events * subscribers * 1_000) / (performance.now() - started),
    note: `${events} events, emitted meanwhile; without a gateway`,
  };
}
