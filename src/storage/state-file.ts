/**
 * state.db: the key-value pairs, which are the truth about what should exist, and what must
 * be known about the event log from outside it.
 *
 * 1. A batch is applied as a whole or not at all; its conditions are checked against the
 *    state before the batch.
 * 2. Versions come from one counter that only grows, so a version names one put for ever.
 * 3. Every commit also records the newest head of the event log, so cutting the log short
 *    is noticed.
 * 4. A batch that would not stay within its bounds is refused as a whole; namespaces that have
 *    bounds are measured once and counted from then on.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { SoloError } from "#base/errors.ts";
import { GENESIS_HASH } from "#storage/chain.ts";
import { EXPIRY_SWEEP_MS } from "#storage/limits.ts";
import type { ChainHead, KvBounds, KvEntry, KvOp, KvRange, KvUsage } from "#storage/protocol.ts";
import { openForWriting, transaction, translated } from "#storage/sqlite.ts";

const SCHEMA = `
  CREATE TABLE kv (
    ns TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, expires_ms INTEGER, value BLOB NOT NULL,
    PRIMARY KEY (ns, key)
  ) STRICT;
  CREATE INDEX kv_expiry ON kv (expires_ms) WHERE expires_ms IS NOT NULL;
  CREATE TABLE meta (
    version INTEGER NOT NULL, anchor_id INTEGER NOT NULL, anchor_hash TEXT NOT NULL, log_first_id INTEGER NOT NULL
  ) STRICT;
`;

export interface KvBatch {
  readonly ops: readonly KvOp[];
  readonly nowMs: number;
  readonly within?: KvBounds | undefined;
}

/** Namespaces whose size is counted along; beyond it all are measured again. */
const MAX_MEASURED = 10_000;
const NO_CHANGE: KvUsage = { bytes: 0, keys: 0 };
const sum = (a: KvUsage, b: KvUsage): KvUsage => ({
  bytes: a.bytes + b.bytes,
  keys: a.keys + b.keys,
});

const ALIVE = "(expires_ms IS NULL OR expires_ms > ?)";

export class StateFile {
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #version: StatementSync;
  readonly #get: StatementSync;
  readonly #list: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #saveMeta: StatementSync;
  readonly #size: StatementSync;
  readonly #measure: StatementSync;
  /** Of namespaces that have bounds. */
  #usage = new Map<string, KvUsage>();
  #counter: number;
  #anchor: ChainHead;
  #logFirstId: number;
  #sweptAtMs = 0;

  constructor(options: { path: string; maxBytes?: number | undefined }) {
    const { path, maxBytes } = options;
    this.#path = path;
    const db = openForWriting({ path, durability: "full", maxBytes });
    this.#db = db;
    try {
      translated(path, () => createIfNew(db));
      this.#version = db.prepare(`SELECT version FROM kv WHERE ns = ? AND key = ? AND ${ALIVE}`);
      this.#get = db.prepare(
        `SELECT key, value, version FROM kv WHERE ns = ? AND key = ? AND ${ALIVE}`,
      );
      this.#list = db.prepare(
        `SELECT key, value, version FROM kv WHERE ns = ? AND key > ? AND key >= ? AND ${ALIVE} ORDER BY key`,
      );
      this.#put = db.prepare(
        "INSERT INTO kv (ns, key, version, expires_ms, value) VALUES (?, ?, ?, ?, ?) " +
          "ON CONFLICT DO UPDATE SET version = excluded.version, expires_ms = excluded.expires_ms, value = excluded.value",
      );
      this.#delete = db.prepare("DELETE FROM kv WHERE ns = ? AND key = ?");
      this.#saveMeta = db.prepare(
        "UPDATE meta SET version = ?, anchor_id = ?, anchor_hash = ?, log_first_id = ?",
      );
      this.#size = db.prepare("SELECT length(value) AS bytes FROM kv WHERE ns = ? AND key = ?");
      this.#measure = db.prepare(
        `SELECT count(*) AS keys, coalesce(sum(length(CAST(key AS BLOB)) + length(value)), 0) AS bytes FROM kv WHERE ns = ?`,
      );
      const meta = translated(path, () => db.prepare("SELECT * FROM meta").get());
      if (meta === undefined)
        throw new SoloError("storage_corrupt", `${path} lacks its own description.`);
      this.#counter = meta["version"] as number;
      this.#anchor = { id: meta["anchor_id"] as number, hash: meta["anchor_hash"] as string };
      this.#logFirstId = meta["log_first_id"] as number;
    } catch (error) {
      db.close();
      throw error;
    }
  }

  get anchor(): ChainHead {
    return this.#anchor;
  }

  get logFirstId(): number {
    return this.#logFirstId;
  }

  /** Commits all batches together; for each its versions, or why it was refused. */
  apply(batches: readonly KvBatch[], head: ChainHead): (number[] | SoloError)[] {
    const counter = this.#counter;
    try {
      const outcomes = translated(this.#path, () =>
        transaction(this.#db, () => {
          const applied = batches.map(
            (batch) => this.#conflict(batch) ?? this.#excess(batch) ?? this.#run(batch),
          );
          this.#sweep(batches[0]?.nowMs ?? 0);
          this.#saveMeta.run(this.#counter, head.id, head.hash, this.#logFirstId);
          return applied;
        }),
      );
      this.#anchor = head;
      return outcomes;
    } catch (error) {
      this.#counter = counter;
      this.#usage = new Map(); // What was counted has not been written.
      return batches.map(() => error as SoloError);
    }
  }

  /** Records where the event log ends and, after pruning, where it begins. */
  recordLog(head: ChainHead, firstId = this.#logFirstId): void {
    translated(this.#path, () => this.#saveMeta.run(this.#counter, head.id, head.hash, firstId));
    this.#anchor = head;
    this.#logFirstId = firstId;
  }

  get(ns: string, key: string, nowMs: number): KvEntry | undefined {
    return translated(this.#path, () => this.#get.get(ns, key, nowMs) as KvEntry | undefined);
  }

  list(range: KvRange & { readonly nowMs: number }): KvEntry[] {
    const { ns, prefix = "", after = "", limit, maxBytes = Infinity, nowMs } = range;
    const entries: KvEntry[] = [];
    let bytes = 0;
    return translated(this.#path, () => {
      for (const row of this.#list.iterate(ns, after, prefix, nowMs)) {
        const entry = row as unknown as KvEntry;
        if (!entry.key.startsWith(prefix)) break;
        bytes += entry.value.byteLength;
        if (entries.push({ ...entry }) >= limit || bytes > maxBytes) break;
      }
      return entries;
    });
  }

  usage(ns: string): KvUsage {
    return translated(this.#path, () => this.#usageOf(ns));
  }

  close(): void {
    this.#db.close();
  }

  #conflict({ ops, nowMs }: KvBatch): SoloError | undefined {
    for (const { ns, key, ifVersion } of ops) {
      if (ifVersion === undefined) continue;
      const version = (this.#version.get(ns, key, nowMs)?.["version"] as number | undefined) ?? 0;
      if (version === ifVersion) continue;
      const is = version === 0 ? "does not exist" : `is at version ${version}`;
      return new SoloError(
        "conflict",
        `${key} in ${ns} ${is}; the write expected ${ifVersion === 0 ? "it not to exist" : `version ${ifVersion}`}.`,
        {
          hint: "Read it again and repeat the change on what is there now.",
        },
      );
    }
    return undefined;
  }

  #excess({ ops, within }: KvBatch): SoloError | undefined {
    if (within === undefined) return undefined;
    const before = this.#usageOf(within.ns);
    const written = new Map<string, number | undefined>();
    let after = before;
    for (const op of ops) {
      if (op.ns !== within.ns) continue;
      after = sum(after, this.#change(op, written));
      written.set(op.key, op.op === "put" ? op.value.byteLength : undefined);
    }
    // What makes it smaller is welcome also where a bound was lowered below what is there.
    const passed = (["keys", "bytes"] as const).find(
      (what) => after[what] > within[what] && after[what] > before[what],
    );
    if (passed === undefined) return undefined;
    const message = `would be ${after[passed]}; at most ${within[passed]} are allowed`;
    return new SoloError("limit_exceeded", `The ${passed} of ${within.ns} ${message}.`, {
      fields: [{ field: passed, message }],
    });
  }

  #usageOf(ns: string): KvUsage {
    const known = this.#usage.get(ns);
    if (known !== undefined) return known;
    const { bytes, keys } = this.#measure.get(ns) as unknown as KvUsage;
    if (this.#usage.size >= MAX_MEASURED) this.#usage.clear();
    this.#usage.set(ns, { bytes, keys });
    return { bytes, keys };
  }

  /** `written`: sizes of values that the batch itself writes before this. */
  #change(op: KvOp, written?: ReadonlyMap<string, number | undefined>): KvUsage {
    const before = written?.has(op.key)
      ? written.get(op.key)
      : (this.#size.get(op.ns, op.key)?.["bytes"] as number | undefined);
    const keyBytes = Buffer.byteLength(op.key);
    if (op.op === "delete") {
      return before === undefined ? NO_CHANGE : { bytes: -before - keyBytes, keys: -1 };
    }
    const added = before === undefined ? keyBytes : -before;
    return { bytes: op.value.byteLength + added, keys: before === undefined ? 1 : 0 };
  }

  #run({ ops }: KvBatch): number[] {
    return ops.map((op) => {
      const usage = this.#usage.get(op.ns);
      if (usage !== undefined) this.#usage.set(op.ns, sum(usage, this.#change(op)));
      if (op.op === "delete") {
        this.#delete.run(op.ns, op.key);
        return 0;
      }
      const version = ++this.#counter;
      this.#put.run(op.ns, op.key, version, op.expiresAtMs ?? null, op.value);
      return version;
    });
  }

  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptAtMs < EXPIRY_SWEEP_MS) return;
    this.#sweptAtMs = nowMs;
    const swept = this.#db.prepare("DELETE FROM kv WHERE expires_ms <= ?").run(nowMs);
    if (swept.changes > 0) this.#usage.clear();
  }
}

function createIfNew(db: DatabaseSync): void {
  if (db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").get() !== undefined) return;
  transaction(db, () => {
    db.exec(SCHEMA);
    db.prepare("INSERT INTO meta VALUES (0, 0, ?, 1)").run(GENESIS_HASH);
  });
}
