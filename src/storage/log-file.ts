/**
 * logs.db: the newest lines of each service. Not synced at each commit: a line survives the
 * process, and the last ones may be lost with the power.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { LOG_PRUNE_EVERY } from "#storage/limits.ts";
import {
  type Field,
  LOG_STRIDE,
  type LogBatch,
  type LogRange,
  type LogTrim,
  type LogTrimmed,
  type StoredLine,
} from "#storage/protocol.ts";
import { openForWriting, transaction, translated } from "#storage/sqlite.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS services (
    id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, service TEXT NOT NULL, UNIQUE (tenant, service)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS lines (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, service INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    level TEXT NOT NULL, instance TEXT NOT NULL, text TEXT NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS lines_by_service ON lines (service);
`;

export class LogFile {
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #read: { readonly asc: StatementSync; readonly desc: StatementSync };
  readonly #linesPerService: number;
  /** Lines added to each service since its log was last pruned; the first of a run prunes. */
  readonly #added = new Map<number, number>();
  #services = new Map<string, number>();

  constructor(options: { path: string; linesPerService: number; maxBytes?: number | undefined }) {
    const { path, linesPerService, maxBytes } = options;
    this.#path = path;
    this.#linesPerService = linesPerService;
    const db = openForWriting({ path, durability: "relaxed", maxBytes });
    this.#db = db;
    try {
      translated(path, () => db.exec(SCHEMA));
      this.#insert = db.prepare("INSERT OR IGNORE INTO lines VALUES (?, ?, ?, ?, ?, ?)");
      const select = `SELECT lines.seq, lines.at_ms AS atMs, lines.level, lines.instance, lines.text
        FROM services JOIN lines ON lines.service = services.id
        WHERE services.tenant = ? AND services.service = ? AND lines.seq > ? ORDER BY lines.seq`;
      this.#read = {
        asc: db.prepare(`${select} LIMIT ?`),
        desc: db.prepare(`${select} DESC LIMIT ?`),
      };
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /** The highest sequence number that was ever stored. */
  get lastSeq(): number {
    const row = this.#db.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'lines'").get();
    return (row?.["seq"] as number | undefined) ?? 0;
  }

  append(batches: readonly LogBatch[]): void {
    translated(this.#path, () => {
      try {
        transaction(this.#db, () => {
          for (const { fields } of batches) this.#insertAll(fields);
        });
      } catch (error) {
        this.#services = new Map(); // Those of the rolled-back transaction are gone.
        throw error;
      }
      this.#prune();
    });
  }

  read({ tenant, service, since = 0, limit, order = "asc" }: LogRange): StoredLine[] {
    const rows = translated(this.#path, () => this.#read[order].all(tenant, service, since, limit));
    return rows.map((row) => ({ ...row }) as unknown as StoredLine);
  }

  trim({ tenant, service, maxChars, keepChars }: LogTrim): LogTrimmed {
    const id = this.#service(tenant, service);
    return translated(this.#path, () => {
      const hadChars = this.#chars(id);
      if (hadChars <= maxChars) return { hadChars, keptChars: hadChars };
      this.#db
        .prepare(
          "DELETE FROM lines WHERE service = ?1 AND seq <= (SELECT max(seq) FROM (SELECT seq, " +
            "sum(length(text)) OVER (ORDER BY seq DESC) AS kept FROM lines WHERE service = ?1) WHERE kept > ?2)",
        )
        .run(id, keepChars);
      return { hadChars, keptChars: this.#chars(id) };
    });
  }

  remove({ tenant, service }: { tenant: string; service: string }): void {
    const id = this.#service(tenant, service);
    translated(this.#path, () =>
      transaction(this.#db, () => {
        this.#db.prepare("DELETE FROM lines WHERE service = ?").run(id);
        this.#db.prepare("DELETE FROM services WHERE id = ?").run(id);
      }),
    );
    this.#services.delete(`${tenant}/${service}`);
    this.#added.delete(id);
  }

  close(): void {
    this.#db.close();
  }

  #chars(service: number): number {
    const row = this.#db
      .prepare("SELECT coalesce(sum(length(text)), 0) AS chars FROM lines WHERE service = ?")
      .get(service);
    return row?.["chars"] as number;
  }

  #insertAll(fields: readonly Field[]): void {
    for (let at = 0; at < fields.length; at += LOG_STRIDE) {
      const [seq, tenant, service, atMs, level, instance, text] = fields.slice(
        at,
        at + LOG_STRIDE,
      ) as [number, string, string, number, string, string, string];
      const id = this.#service(tenant, service);
      this.#insert.run(seq, id, atMs, level, instance, text);
      this.#added.set(id, (this.#added.get(id) ?? LOG_PRUNE_EVERY) + 1);
    }
  }

  #prune(): void {
    for (const [service, added] of this.#added) {
      if (added < LOG_PRUNE_EVERY) continue;
      this.#added.set(service, 0);
      this.#db
        .prepare(
          "DELETE FROM lines WHERE service = ?1 AND seq <= " +
            "(SELECT seq FROM lines WHERE service = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
        )
        .run(service, this.#linesPerService);
    }
  }

  #service(tenant: string, service: string): number {
    const key = `${tenant}/${service}`;
    let id = this.#services.get(key);
    if (id === undefined) {
      this.#db
        .prepare("INSERT OR IGNORE INTO services (tenant, service) VALUES (?, ?)")
        .run(tenant, service);
      const row = this.#db
        .prepare("SELECT id FROM services WHERE tenant = ? AND service = ?")
        .get(tenant, service);
      id = row?.["id"] as number;
      this.#services.set(key, id);
    }
    return id;
  }
}
