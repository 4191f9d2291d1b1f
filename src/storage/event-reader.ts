/**
 * Answering a filter from the event files.
 *
 * 1. Files, then blocks of a file, in the order asked for; each is skipped when its ids,
 *    its wall times or its posting lists say that nothing in it can match.
 * 2. A block without posting lists (the newest, or after a crash) is read row by row, with
 *    the same answer.
 */
import type { StatementSync } from "node:sqlite";
import type { StoredEvent } from "#storage/chain.ts";
import { NAME_KIND, NO_TENANT } from "#storage/event-schema.ts";
import {
  EVENT_COLUMNS,
  type EventRow,
  type EventSource,
  type ReadableFile,
} from "#storage/event-source.ts";
import { EVENTS_PER_BLOCK, MAX_READ_BYTES } from "#storage/limits.ts";
import { decodeOffsets, intersect, union } from "#storage/posting.ts";
import type { EventFilter, EventPage } from "#storage/protocol.ts";
import { translated } from "#storage/sqlite.ts";

interface Span {
  readonly from: number;
  readonly to: number;
}

export function readEvents(source: EventSource, filter: EventFilter): EventPage {
  const { sinceId = 0, untilId = Number.MAX_SAFE_INTEGER, order = "asc" } = filter;
  const page = new Page(filter.limit);
  const files = source.files();
  const spans = files.map((file, i) => ({
    ...file,
    from: Math.max(file.firstId, sinceId + 1),
    to: Math.min((files[i + 1]?.firstId ?? Number.MAX_SAFE_INTEGER) - 1, untilId),
  }));
  for (const { path, firstId, from, to } of order === "asc" ? spans : spans.reverse()) {
    if (from > to) continue;
    const complete = translated(path, () =>
      readFile({ file: source.open(path), firstId, span: { from, to }, filter, page }),
    );
    if (!complete) return { events: page.events, complete: false };
  }
  return { events: page.events, complete: true };
}

class Page {
  readonly events: StoredEvent[] = [];
  readonly #limit: number;
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get room(): number {
    return this.#bytes >= MAX_READ_BYTES ? 0 : this.#limit - this.events.length;
  }

  add(event: StoredEvent): void {
    this.events.push(event);
    this.#bytes += event.payload.length;
  }
}

interface FileRead {
  readonly file: ReadableFile;
  readonly firstId: number;
  readonly span: Span;
  readonly filter: EventFilter;
  readonly page: Page;
}

/** False when the page is full before the span ended. */
function readFile({ file, firstId, span, filter, page }: FileRead): boolean {
  const keys = resolveKeys(file, filter);
  if (keys === undefined) return true;
  const newest = file.prepare("SELECT max(id) FROM events").get() as unknown as [number | null];
  const to = Math.min(span.to, newest[0] ?? 0);
  const scan = new BlockScan(file, keys, filter);
  for (const block of blocksOf({ from: span.from, to }, firstId, filter.order ?? "asc")) {
    if (page.room === 0) return false;
    if (!scan.read(block, page)) return false;
  }
  return true;
}

interface Block extends Span {
  readonly number: number;
  /** The id that offset 0 stands for. */
  readonly base: number;
}

function* blocksOf({ from, to }: Span, firstId: number, order: "asc" | "desc"): Generator<Block> {
  if (from > to) return;
  const first = Math.floor((from - firstId) / EVENTS_PER_BLOCK);
  const last = Math.floor((to - firstId) / EVENTS_PER_BLOCK);
  for (let i = 0; i <= last - first; i++) {
    const number = order === "asc" ? first + i : last - i;
    const base = firstId + number * EVENTS_PER_BLOCK;
    yield {
      number,
      base,
      from: Math.max(from, base),
      to: Math.min(to, base + EVENTS_PER_BLOCK - 1),
    };
  }
}

/** One entry per filtered column; an event must carry one name of each. */
interface ColumnKeys {
  readonly column: "tenant" | "subject" | "type";
  readonly ids: readonly number[];
}

/** Undefined when the file knows none of a column's names, so nothing in it can match. */
function resolveKeys(file: ReadableFile, filter: EventFilter): ColumnKeys[] | undefined {
  const { tenant, subject, types } = filter;
  const keys: ColumnKeys[] = [];
  const known = (ids: (number | undefined)[]) => ids.filter((id) => id !== undefined);
  if (tenant !== undefined) {
    keys.push({
      column: "tenant",
      ids: tenant === null ? [NO_TENANT] : known([file.nameId(NAME_KIND.tenant, tenant)]),
    });
  }
  if (subject !== undefined)
    keys.push({ column: "subject", ids: known([file.nameId(NAME_KIND.subject, subject)]) });
  if (types !== undefined) {
    keys.push({
      column: "type",
      ids: known([...new Set(types)].map((type) => file.nameId(NAME_KIND.type, type))),
    });
  }
  return keys.some(({ ids }) => ids.length === 0) ? undefined : keys;
}

class BlockScan {
  readonly #file: ReadableFile;
  readonly #keys: readonly ColumnKeys[];
  readonly #wall: { readonly from: number; readonly to: number };
  readonly #order: "asc" | "desc";
  readonly #range: StatementSync;
  readonly #one: StatementSync;
  readonly #times: StatementSync;
  readonly #list: StatementSync;

  constructor(file: ReadableFile, keys: readonly ColumnKeys[], filter: EventFilter) {
    this.#file = file;
    this.#keys = keys;
    this.#order = filter.order ?? "asc";
    this.#wall = { from: filter.fromWallMs ?? -Infinity, to: filter.toWallMs ?? Infinity };
    const matches = keys.map(({ column, ids }) => `AND ${column} IN (${ids.join(",")})`).join(" ");
    this.#range = file.prepare(
      `SELECT ${EVENT_COLUMNS} FROM events WHERE id BETWEEN ? AND ? AND wall_ms >= ? AND wall_ms < ? ${matches}
       ORDER BY id ${this.#order} LIMIT ?`,
    );
    this.#one = file.prepare(
      `SELECT ${EVENT_COLUMNS} FROM events WHERE id = ? AND wall_ms >= ? AND wall_ms < ?`,
    );
    this.#times = file.prepare("SELECT wall_min, wall_max FROM blocks WHERE block = ?");
    this.#list = file.prepare("SELECT list FROM postings WHERE block = ? AND key = ?");
  }

  /** False when the page filled up before the block ended. */
  read(block: Block, page: Page): boolean {
    const times = this.#times.get(block.number) as unknown as [number, number] | undefined;
    if (times !== undefined && (times[1] < this.#wall.from || times[0] >= this.#wall.to))
      return true;
    const indexed = times !== undefined && this.#keys.length > 0;
    for (const row of indexed ? this.#listed(block) : this.#scanned(block, page.room)) {
      page.add(this.#file.toEvent(row));
      if (page.room === 0) return false;
    }
    return true;
  }

  *#scanned(block: Block, room: number): Generator<EventRow> {
    const { from, to } = this.#wall;
    yield* this.#range.iterate(
      block.from,
      block.to,
      from,
      to,
      room,
    ) as unknown as Iterable<EventRow>;
  }

  *#listed(block: Block): Generator<EventRow> {
    const offsets = this.#keys
      .map(({ ids }) => union(ids.map((id) => this.#offsets(block.number, id))))
      .reduce(intersect);
    for (const offset of this.#order === "asc" ? offsets : offsets.reverse()) {
      const id = block.base + offset;
      if (id < block.from || id > block.to) continue;
      const row = this.#one.get(id, this.#wall.from, this.#wall.to);
      if (row !== undefined) yield row as unknown as EventRow;
    }
  }

  #offsets(block: number, key: number): number[] {
    const row = this.#list.get(block, key) as unknown as [Uint8Array] | undefined;
    return row === undefined ? [] : decodeOffsets(row[0]);
  }
}
