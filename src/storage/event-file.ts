/**
 * The event file that is being appended to.
 *
 * 1. `append` is one transaction: events, the hash of the commit, new names.
 * 2. What is kept in memory (names, posting lists) changes only after the commit.
 * 3. Posting lists are derived: blocks without them are read row by row, so losing
 *    unwritten ones in a crash costs time, never an answer. Opening collects them again.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { type StoredEvent, chainHash, checksum, eventText } from "#storage/chain.ts";
import { EVENT_SCHEMA, NAME_KIND, type NameKind, NO_TENANT } from "#storage/event-schema.ts";
import { EVENTS_PER_BLOCK } from "#storage/limits.ts";
import { BlockBuilder } from "#storage/posting.ts";
import type { ChainHead } from "#storage/protocol.ts";
import { openForWriting, transaction, translated } from "#storage/sqlite.ts";

export interface EventFileOptions {
  readonly path: string;
  readonly firstId: number;
  readonly maxBytes?: number | undefined;
}

export class EventFile {
  readonly path: string;
  readonly firstId: number;
  #head: ChainHead;
  readonly #db: DatabaseSync;
  readonly #insertEvent: StatementSync;
  readonly #insertCommit: StatementSync;
  readonly #insertName: StatementSync;
  /** Per kind: text → number. */
  #names: Map<string, number>[] = [];
  readonly #index = new BlockBuilder();

  private constructor(db: DatabaseSync, options: EventFileOptions) {
    this.#db = db;
    this.path = options.path;
    this.firstId = options.firstId;
    this.#insertEvent = db.prepare("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    this.#insertCommit = db.prepare("INSERT INTO commits VALUES (?, ?, ?)");
    this.#insertName = db.prepare("INSERT INTO names (kind, text) VALUES (?, ?)");
    this.#loadNames();
    this.#head = this.#readHead();
    this.#collectIndex();
  }

  /** `previous`: the chain's hash before the file's first event. */
  static create(options: EventFileOptions & { readonly previous: string }): EventFile {
    return withDatabase(options, (db) => {
      transaction(db, () => {
        db.exec(EVENT_SCHEMA);
        db.prepare("INSERT INTO meta VALUES (?, ?)").run(options.firstId, options.previous);
      });
      return new EventFile(db, options);
    });
  }

  /** Undefined if the file holds no tables: a crash came between making the file and filling it. */
  static open(options: EventFileOptions): EventFile | undefined {
    return withDatabase(options, (db) => {
      const created = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").get();
      if (created !== undefined) return new EventFile(db, options);
      db.close();
      return undefined;
    });
  }

  get head(): ChainHead {
    return this.#head;
  }

  get count(): number {
    return this.#head.id - this.firstId + 1;
  }

  append(events: readonly StoredEvent[], previous: string): void {
    const texts = events.map(eventText);
    const hash = chainHash(previous, texts);
    const first = events[0] as StoredEvent;
    const last = events[events.length - 1] as StoredEvent;
    const rows: { wallMs: number; keys: number[] }[] = [];
    translated(this.path, () => {
      try {
        transaction(this.#db, () => {
          for (const [i, event] of events.entries()) {
            const keys = this.#insert(event, checksum(texts[i] as string));
            rows.push({ wallMs: event.wallMs, keys });
          }
          this.#insertCommit.run(last.id, first.id, hash);
        });
      } catch (error) {
        this.#loadNames(); // Names of the rolled-back transaction are gone.
        throw error;
      }
    });
    this.#head = { id: last.id, hash };
    for (const [i, { wallMs, keys }] of rows.entries()) {
      this.#index.add(first.id + i - this.firstId, wallMs, keys);
    }
  }

  /** Writes the posting lists of finished blocks; when it fails they are kept for the next time. */
  writeIndex(): void {
    const blocks = this.#index.full;
    if (blocks.length === 0) return;
    translated(this.path, () =>
      transaction(this.#db, () => {
        const insertList = this.#db.prepare("INSERT INTO postings VALUES (?, ?, ?)");
        const insertBlock = this.#db.prepare("INSERT INTO blocks VALUES (?, ?, ?)");
        for (const { block, wallMin, wallMax, lists } of blocks) {
          for (const [key, list] of lists) insertList.run(block, key, list);
          insertBlock.run(block, wallMin, wallMax);
        }
      }),
    );
    this.#index.written(blocks.length);
  }

  /** No more events: everything moves from the write-ahead log into the file. */
  seal(): void {
    this.writeIndex();
    translated(this.path, () => this.#db.exec("PRAGMA wal_checkpoint(TRUNCATE)"));
  }

  close(): void {
    this.#db.close();
  }

  #insert(event: StoredEvent, sum: number): number[] {
    const boot = this.#name(NAME_KIND.boot, event.bootId);
    const tenant = event.tenant === null ? NO_TENANT : this.#name(NAME_KIND.tenant, event.tenant);
    const type = this.#name(NAME_KIND.type, event.type);
    const subject = event.subject === null ? null : this.#name(NAME_KIND.subject, event.subject);
    const { id, timestamp, wallMs, payload, causationId } = event;
    this.#insertEvent.run(
      id,
      timestamp,
      wallMs,
      boot,
      tenant,
      type,
      subject,
      payload,
      causationId,
      sum,
    );
    return subject === null ? [tenant, type] : [tenant, type, subject];
  }

  #name(kind: NameKind, text: string): number {
    const names = this.#names[kind] as Map<string, number>;
    let id = names.get(text);
    if (id === undefined) {
      id = Number(this.#insertName.run(kind, text).lastInsertRowid);
      names.set(text, id);
    }
    return id;
  }

  #loadNames(): void {
    this.#names = Object.values(NAME_KIND).map(() => new Map());
    for (const row of this.#db.prepare("SELECT id, kind, text FROM names").iterate()) {
      this.#names[row["kind"] as NameKind]?.set(row["text"] as string, row["id"] as number);
    }
  }

  /** The newest id ever used here, so that a number is not used twice even if rows were removed. */
  #readHead(): ChainHead {
    const commit = this.#db
      .prepare("SELECT last_id, hash FROM commits ORDER BY last_id DESC LIMIT 1")
      .get();
    const newest = this.#db.prepare("SELECT max(id) AS id FROM events").get()?.["id"] as
      | number
      | null;
    const meta = this.#db.prepare("SELECT previous FROM meta").get();
    return {
      id: Math.max((commit?.["last_id"] as number | undefined) ?? 0, newest ?? 0, this.firstId - 1),
      hash: (commit?.["hash"] ?? meta?.["previous"]) as string,
    };
  }

  #collectIndex(): void {
    const last = this.#db.prepare("SELECT max(block) AS block FROM blocks").get()?.["block"] as
      | number
      | null;
    const from = this.firstId + (last === null ? 0 : (last + 1) * EVENTS_PER_BLOCK);
    const rows = this.#db.prepare(
      "SELECT id, wall_ms, tenant, type, subject FROM events WHERE id >= ? ORDER BY id",
    );
    rows.setReturnArrays(true);
    for (const row of rows.iterate(from)) {
      const [id, wallMs, tenant, type, subject] = row as unknown as [
        number,
        number,
        number,
        number,
        number | null,
      ];
      const keys = subject === null ? [tenant, type] : [tenant, type, subject];
      this.#index.add(id - this.firstId, wallMs, keys);
    }
  }
}

function withDatabase<T>(options: EventFileOptions, work: (db: DatabaseSync) => T): T {
  const { path, maxBytes } = options;
  const db = openForWriting({ path, durability: "full", maxBytes });
  try {
    return translated(path, () => work(db));
  } catch (error) {
    db.close();
    throw error;
  }
}
