/** Event files as a reader sees them: opened on demand, a few kept open, gone ones let go. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { StoredEvent } from "#storage/chain.ts";
import { type EventFileName, listEventFiles } from "#storage/event-dir.ts";
import { type NameKind, NO_TENANT } from "#storage/event-schema.ts";
import { MAX_OPEN_EVENT_FILES } from "#storage/limits.ts";
import { openForReading, translated } from "#storage/sqlite.ts";

/** The columns of `toEvent`, in its order. Monotonic nanoseconds outgrow a double, so they travel as text. */
export const EVENT_COLUMNS =
  "id, CAST(timestamp AS TEXT), wall_ms, boot, tenant, type, subject, payload, causation, checksum";
export type EventRow = readonly [
  id: number,
  timestamp: string,
  wallMs: number,
  boot: number,
  tenant: number,
  type: number,
  subject: number | null,
  payload: string,
  causation: number | null,
  checksum: number,
];

export class ReadableFile {
  readonly path: string;
  readonly #db: DatabaseSync;
  readonly #texts = new Map<number, string>();
  readonly #text: StatementSync;
  readonly #nameId: StatementSync;

  constructor(path: string) {
    this.path = path;
    this.#db = openForReading(path);
    try {
      this.#text = translated(path, () => this.#db.prepare("SELECT text FROM names WHERE id = ?"));
      this.#nameId = this.#db.prepare("SELECT id FROM names WHERE kind = ? AND text = ?");
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  prepare(sql: string): StatementSync {
    const statement = this.#db.prepare(sql);
    statement.setReturnArrays(true);
    return statement;
  }

  nameId(kind: NameKind, text: string): number | undefined {
    return this.#nameId.get(kind, text)?.["id"] as number | undefined;
  }

  toEvent(row: EventRow): StoredEvent {
    const [id, timestamp, wallMs, boot, tenant, type, subject, payload, causationId] = row;
    return {
      id,
      timestamp,
      wallMs,
      bootId: this.#name(boot),
      tenant: tenant === NO_TENANT ? null : this.#name(tenant),
      type: this.#name(type),
      subject: subject === null ? null : this.#name(subject),
      payload,
      causationId,
    };
  }

  close(): void {
    this.#db.close();
  }

  #name(id: number): string {
    let text = this.#texts.get(id);
    if (text === undefined) {
      text = (this.#text.get(id)?.["text"] as string | undefined) ?? "";
      this.#texts.set(id, text);
    }
    return text;
  }
}

export class EventSource {
  readonly #eventsDir: string;
  readonly #open = new Map<string, ReadableFile>();

  constructor(eventsDir: string) {
    this.#eventsDir = eventsDir;
  }

  /** The files there are now, oldest first; handles of removed ones are closed. */
  files(): EventFileName[] {
    const files = translated(this.#eventsDir, () => listEventFiles(this.#eventsDir));
    const present = new Set(files.map((file) => file.path));
    for (const [path, file] of this.#open) if (!present.has(path)) this.#drop(path, file);
    return files;
  }

  open(path: string): ReadableFile {
    const file = this.#open.get(path) ?? new ReadableFile(path);
    this.#open.delete(path);
    this.#open.set(path, file); // Most recently used last.
    const oldest = this.#open.entries().next().value;
    if (this.#open.size > MAX_OPEN_EVENT_FILES && oldest !== undefined) this.#drop(...oldest);
    return file;
  }

  close(): void {
    for (const [path, file] of this.#open) this.#drop(path, file);
  }

  #drop(path: string, file: ReadableFile): void {
    this.#open.delete(path);
    file.close();
  }
}
