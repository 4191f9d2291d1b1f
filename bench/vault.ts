/**
 * The vault over real storage: durable stores, reads, and the redactor on log lines.
 * Not measured: the way through a gateway, passphrases (argon2id is slow on purpose), a disk
 * that others use.
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { tenantId } from "#base/ids.ts";
import { openStorage } from "#storage/storage.ts";
import { redactor } from "#vault/redactor.ts";
import { Vault } from "#vault/vault.ts";
import { quantile } from "./stats.ts";

export interface Row {
  readonly name: string;
  readonly value: string;
  readonly target?: string;
  readonly note?: string;
}

const RUN_MS = 2_000;
const NAMES = 500;
const tenant = tenantId("bench");
const value = Buffer.from("sk-live-0123456789abcdef0123456789abcdef");

export async function run(): Promise<Row[]> {
  const dataDir = await mkdtemp(join(tmpdir(), "solo-bench-vault-"));
  try {
    await using storage = await openStorage({ dataDir, clock: systemClock });
    const { kv } = storage;
    const master = { kind: "key", key: randomBytes(32) } as const;
    using vault = await Vault.open({ kv, clock: systemClock, random: randomBytes, master });
    const store = (i: number) => vault.store({ tenant, name: `name-${i % NAMES}`, value });
    const retrieve = async (i: number) => {
      using secret = (await vault.retrieve({ tenant, name: `name-${i % NAMES}` })).secret;
      return secret.bytes.length;
    };
    return [
      ...(await measure("store", { work: store, clients: 1, target: "≤ 1 ms" })),
      ...(await measure("store", { work: store, clients: 64, targetRate: "≥ 3 thousand/s" })),
      ...(await measure("retrieve", { work: retrieve, clients: 1, target: "≤ 1 ms" })),
      ...(await measure("retrieve", { work: retrieve, clients: 64 })),
      await rotation(vault),
      redaction(),
    ];
  } finally {
    await rm(dataDir, { recursive: true });
  }
}

interface Load {
  readonly work: (i: number) => Promise<unknown>;
  readonly clients: number;
  readonly target?: string;
  readonly targetRate?: string;
}

async function measure(name: string, { work, clients, target, targetRate }: Load): Promise<Row[]> {
  const millis: number[] = [];
  const started = performance.now();
  const client = async (_: unknown, first: number) => {
    for (let i = first; performance.now() - started < RUN_MS; i += clients) {
      const begun = performance.now();
      await work(i);
      millis.push(performance.now() - begun);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const perSecond = (millis.length * 1_000) / (performance.now() - started);
  millis.sort((a, b) => a - b);
  return [
    {
      name: `${name}, ${clients} at a time, median`,
      value: `${quantile(millis, 0.5).toFixed(3)} ms`,
      note: `p99 ${quantile(millis, 0.99).toFixed(2)} ms`,
      ...(target !== undefined && { target }),
    },
    {
      name: `${name}, ${clients} at a time`,
      value: `${(perSecond / 1_000).toFixed(1)} thousand/s`,
      ...(targetRate !== undefined && { target: targetRate }),
    },
  ];
}

async function rotation(vault: Vault): Promise<Row> {
  const begun = performance.now();
  const next = { kind: "key", key: randomBytes(32) } as const;
  const { rewrapped } = await vault.rotateMasterKey({ next, save: async () => {} });
  const ms = performance.now() - begun;
  return {
    name: "rotation of the master key",
    value: `${ms.toFixed(0)} ms`,
    note: `${rewrapped} rows`,
  };
}

function redaction(): Row {
  const net = redactor(
    Array.from({ length: 10 }, (_, i) => ({ name: `s${i}`, value: randomBytes(32) })),
  );
  const line =
    '{"level":"info","message":"GET /orders/1234 answered 200 in 12 ms","trace":"4bf92f3577b34da6"} '.repeat(
      2,
    );
  const lines = 100_000;
  const begun = performance.now();
  for (let i = 0; i < lines; i++) net.redact(line);
  const micros = ((performance.now() - begun) * 1_000) / lines;
  return {
    name: `redaction of a line of ${line.length} characters`,
    value: `${micros.toFixed(2)} µs`,
    note: "10 secrets",
  };
}

if (import.meta.main) console.table(await run());
