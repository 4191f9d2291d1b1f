/**
 * Checking the chain, in steps, so that other reads get their turn.
 *
 * 1. Every event from the log's first to its head must be there, in a commit that follows
 *    the one before, with the texts that were hashed; nothing else may be there.
 * 2. The head that the state database remembers must be on the chain: a log that was cut
 *    short or rewritten as a whole does not have it.
 * 3. Posting lists must say of their block what its events say: forged ones could hide an
 *    event from a filtered read.
 * 4. A changed event is named by its own checksum; when that was forged too, the first
 *    event of its commit is named.
 */
import { isDeepStrictEqual } from "node:util";
import { chainHash, checksum, eventText } from "#storage/chain.ts";
import {
  EVENT_COLUMNS,
  type EventRow,
  type EventSource,
  type ReadableFile,
} from "#storage/event-source.ts";
import { EVENTS_PER_BLOCK, VERIFY_STEP_EVENTS } from "#storage/limits.ts";
import { BlockBuilder } from "#storage/posting.ts";
import type { VerifyStep, VerifyStepResult } from "#storage/protocol.ts";
import { storageError } from "#storage/sqlite.ts";

type Commit = readonly [lastId: number, firstId: number, hash: string];

const NO_COMMIT = "the record of the event's commit is missing or was changed";

class Broken extends Error {
  readonly at: number;
  constructor(at: number, why: string) {
    super(why);
    this.at = at;
  }
}

export function verifyStep(source: EventSource, step: VerifyStep): VerifyStepResult {
  const walk = new Walk(source, step);
  try {
    const done = walk.run();
    if (done) return { done: true, checked: walk.checked };
    return {
      done: false,
      nextId: walk.nextId,
      previous: walk.previous as string,
      checked: walk.checked,
    };
  } catch (error) {
    const at = error instanceof Broken ? error.at : walk.nextId;
    const why =
      error instanceof Broken ? error.message : storageError(error, "the event log").message;
    return { done: true, checked: walk.checked, firstBroken: at, why };
  }
}

class Walk {
  nextId: number;
  previous: string | undefined;
  checked = 0;
  readonly #source: EventSource;
  readonly #bounds: VerifyStep["bounds"];

  constructor(source: EventSource, { nextId, previous, bounds }: VerifyStep) {
    this.#source = source;
    this.#bounds = bounds;
    this.nextId = Math.max(nextId, bounds.firstId);
    this.previous = previous;
  }

  /** True when the head is reached, false when the step is used up. */
  run(): boolean {
    const { headId } = this.#bounds;
    const files = this.#source.files();
    while (this.nextId <= headId) {
      const at = files.findLastIndex((file) => file.firstId <= this.nextId);
      const name = files[at];
      if (name === undefined)
        throw new Broken(this.nextId, "the file that held this event is gone");
      const file = this.#source.open(name.path);
      this.#checkBeginning(file, name.firstId);
      if (!this.#walkFile(file, name.firstId)) return false;
      if (this.nextId > headId) break;
      const next = files[at + 1]?.firstId;
      if (next !== this.nextId) throw this.#missing(file);
      this.#refuseStray(file, "id >= ?", next);
    }
    return true;
  }

  /** False when the step is used up before the file is. */
  #walkFile(file: ReadableFile, fileFirstId: number): boolean {
    const { headId } = this.#bounds;
    const commits = file.prepare(
      "SELECT last_id, first_id, hash FROM commits WHERE last_id >= ? ORDER BY last_id LIMIT 512",
    );
    for (;;) {
      const page = commits.all(this.nextId) as unknown as Commit[];
      if (page.length === 0) return true;
      for (const commit of page) {
        if (this.checked >= VERIFY_STEP_EVENTS) return false;
        this.#checkCommit(file, commit);
        this.#checkIndex(file, fileFirstId, commit);
        if (this.nextId > headId) return true;
      }
    }
  }

  #checkBeginning(file: ReadableFile, firstId: number): void {
    const meta = file.prepare("SELECT first_id, previous FROM meta").get() as unknown as
      | [number, string]
      | undefined;
    if (meta === undefined || meta[0] !== firstId) {
      throw new Broken(this.nextId, "the file does not begin where its name says");
    }
    if (this.nextId === firstId) {
      if (this.previous !== undefined && meta[1] !== this.previous) {
        throw new Broken(firstId, "the file does not continue the chain of the one before it");
      }
      this.previous = meta[1];
      this.#refuseStray(file, "id < ?", firstId);
    }
    this.previous ??= this.#enter(file, meta[1]);
  }

  /** Starting in the middle: go back to the start of the commit and trust the hash before it. */
  #enter(file: ReadableFile, ofFile: string): string {
    const commit = file
      .prepare(
        "SELECT last_id, first_id, hash FROM commits WHERE last_id >= ? ORDER BY last_id LIMIT 1",
      )
      .get(this.nextId) as unknown as Commit | undefined;
    if (commit !== undefined && commit[1] < this.nextId) this.nextId = commit[1];
    const before = file
      .prepare("SELECT hash FROM commits WHERE last_id < ? ORDER BY last_id DESC LIMIT 1")
      .get(this.nextId) as unknown as [string] | undefined;
    return before?.[0] ?? ofFile;
  }

  #checkCommit(file: ReadableFile, [lastId, firstId, hash]: Commit): void {
    if (firstId !== this.nextId || lastId < firstId) {
      throw new Broken(this.nextId, NO_COMMIT);
    }
    const { texts, broken } = this.#readTexts(file, firstId, lastId);
    if (broken !== undefined) throw broken;
    const actual = chainHash(this.previous as string, texts);
    if (actual !== hash) {
      throw new Broken(
        firstId,
        "the hash over the event's commit does not match: an event of it, the hash or the one before it was changed",
      );
    }
    const { anchor } = this.#bounds;
    if (anchor.id === lastId && anchor.hash !== hash) {
      throw new Broken(lastId, "the chain is not the one that the state database remembers");
    }
    this.checked += texts.length;
    this.nextId = lastId + 1;
    this.previous = hash;
  }

  #readTexts(
    file: ReadableFile,
    firstId: number,
    lastId: number,
  ): { texts: string[]; broken?: Broken } {
    const rows = file.prepare(
      `SELECT ${EVENT_COLUMNS} FROM events WHERE id BETWEEN ? AND ? ORDER BY id`,
    );
    const texts: string[] = [];
    for (const row of rows.iterate(firstId, lastId) as unknown as Iterable<EventRow>) {
      const expected = firstId + texts.length;
      if (row[0] !== expected) break;
      const text = eventText(file.toEvent(row));
      if (checksum(text) !== row[9])
        return { texts, broken: new Broken(expected, "the event was changed") };
      texts.push(text);
    }
    const missing = firstId + texts.length;
    return missing > lastId
      ? { texts }
      : { texts, broken: new Broken(missing, "the event is missing") };
  }

  /** Checks each block that the commit completes, and the one that the head is in. */
  #checkIndex(file: ReadableFile, fileFirstId: number, [lastId, firstId]: Commit): void {
    const blockOf = (id: number) => Math.floor((id - fileFirstId) / EVENTS_PER_BLOCK);
    const isEnd = blockOf(lastId) < blockOf(lastId + 1) || lastId >= this.#bounds.headId;
    for (let block = blockOf(firstId); block < blockOf(lastId) + (isEnd ? 1 : 0); block++) {
      if (!hasTrueIndex(file, fileFirstId, block)) {
        throw new Broken(
          fileFirstId + block * EVENTS_PER_BLOCK,
          "the index that filtered reads use does not agree with the events from here on",
        );
      }
    }
  }

  #missing(file: ReadableFile): Broken {
    const row = file.prepare("SELECT 1 FROM events WHERE id = ?").get(this.nextId);
    return new Broken(this.nextId, row === undefined ? "the event is missing" : NO_COMMIT);
  }

  /** Rows that belong into another file, if anywhere. */
  #refuseStray(file: ReadableFile, where: "id < ?" | "id >= ?", bound: number): void {
    const row = file.prepare(`SELECT id FROM events WHERE ${where} ORDER BY id LIMIT 1`).get(bound);
    const [id] = (row ?? []) as unknown as [number?];
    if (id !== undefined) throw new Broken(id, NO_COMMIT);
  }
}

/** Whether the block has no index, which is no harm, or the one that its events make. */
function hasTrueIndex(file: ReadableFile, fileFirstId: number, block: number): boolean {
  const times = file
    .prepare("SELECT wall_min, wall_max FROM blocks WHERE block = ?")
    .get(block) as unknown;
  if (times === undefined) return true;
  const from = fileFirstId + block * EVENTS_PER_BLOCK;
  const rows = file.prepare(
    "SELECT id, wall_ms, tenant, type, subject FROM events WHERE id BETWEEN ? AND ? ORDER BY id",
  );
  const builder = new BlockBuilder();
  for (const row of rows.iterate(from, from + EVENTS_PER_BLOCK - 1) as unknown as Iterable<
    (number | null)[]
  >) {
    const [id, wallMs, ...keys] = row as [number, number, ...(number | null)[]];
    builder.add(
      id - fileFirstId,
      wallMs,
      keys.filter((key) => key !== null),
    );
  }
  const expected = builder.full[0];
  const lists = file
    .prepare("SELECT key, list FROM postings WHERE block = ? ORDER BY key")
    .all(block);
  return isDeepStrictEqual(
    { times, lists },
    expected && { times: [expected.wallMin, expected.wallMax], lists: expected.lists },
  );
}
