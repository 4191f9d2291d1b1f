/**
 * The event log as its only writer sees it: one active file, sealed ones before it.
 *
 * 1. Ids are dense: a batch that does not follow the newest event is refused, so after a
 *    failed commit everything that was already queued behind it fails too.
 * 2. A file is never left half-sealed: it is sealed before its successor is created.
 * 3. No id is used twice, even if files or rows were removed while Solo was not running.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { SoloError } from "#base/errors.ts";
import type { StoredEvent } from "#storage/chain.ts";
import { eventFileName, listEventFiles } from "#storage/event-dir.ts";
import { EventFile } from "#storage/event-file.ts";
import { type ChainHead, EVENT_STRIDE, type EventBatch } from "#storage/protocol.ts";

export interface EventWriterOptions {
  readonly eventsDir: string;
  readonly eventsPerFile: number;
  readonly maxBytes?: number | undefined;
  /** The newest head that the state database knows. */
  readonly anchor: ChainHead;
  /** Records the head when a file is sealed. */
  readonly onSealed: (head: ChainHead) => void;
}

export class EventWriter {
  readonly #options: EventWriterOptions;
  #active: EventFile;
  #head: ChainHead;

  constructor(options: EventWriterOptions) {
    this.#options = options;
    this.#active = this.#openNewest();
    const { anchor } = options;
    const { head } = this.#active;
    this.#head = anchor.id > head.id ? anchor : head;
  }

  get head(): ChainHead {
    return this.#head;
  }

  get activePath(): string {
    return this.#active.path;
  }

  /** Commits all batches together; one outcome per batch, in order. */
  append(batches: readonly EventBatch[]): (SoloError | undefined)[] {
    const outcomes: (SoloError | undefined)[] = [];
    const events: StoredEvent[] = [];
    for (const batch of batches) {
      const expected = this.#head.id + events.length + 1;
      outcomes.push(batch.firstId === expected ? undefined : outOfOrder(batch.firstId, expected));
      if (batch.firstId === expected) unpack(batch, events);
    }
    if (events.length === 0) return outcomes;
    try {
      if (this.#active.count >= this.#options.eventsPerFile) this.#rotate();
      this.#active.append(events, this.#head.hash);
      this.#head = this.#active.head;
    } catch (error) {
      return outcomes.map((outcome) => outcome ?? (error as SoloError));
    }
    return outcomes;
  }

  /** Work that can wait until the answers are out. */
  settle(): void {
    try {
      this.#active.writeIndex();
    } catch {
      // The lists stay in memory and are written after a later commit.
    }
  }

  close(): void {
    this.settle();
    this.#active.close();
  }

  #rotate(): void {
    const full = this.#active;
    full.seal();
    this.#active = this.#create(this.#head);
    full.close();
    this.#options.onSealed(this.#head);
  }

  #openNewest(): EventFile {
    const { eventsDir, maxBytes, anchor } = this.#options;
    for (const { firstId, path } of listEventFiles(eventsDir).reverse()) {
      const file = EventFile.open({ path, firstId, maxBytes });
      if (file !== undefined) return file;
      rmSync(path);
    }
    return this.#create(anchor);
  }

  #create(after: ChainHead): EventFile {
    const { eventsDir, maxBytes } = this.#options;
    const firstId = after.id + 1;
    const path = join(eventsDir, eventFileName(firstId));
    return EventFile.create({ path, firstId, maxBytes, previous: after.hash });
  }
}

function unpack({ firstId, bootId, fields }: EventBatch, into: StoredEvent[]): void {
  for (let at = 0, id = firstId; at < fields.length; at += EVENT_STRIDE, id++) {
    into.push({
      id,
      bootId,
      timestamp: fields[at] as string,
      wallMs: fields[at + 1] as number,
      tenant: fields[at + 2] as string | null,
      type: fields[at + 3] as string,
      subject: fields[at + 4] as string | null,
      payload: fields[at + 5] as string,
      causationId: fields[at + 6] as number | null,
    });
  }
}

const outOfOrder = (firstId: number, expected: number): SoloError =>
  new SoloError("conflict", `Event ${firstId} does not follow the log, which expects ${expected}.`);
