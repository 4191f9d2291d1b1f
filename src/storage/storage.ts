/**
 * Durable storage: events, key-value pairs, log lines. No SQL crosses this interface.
 *
 * 1. What was acknowledged is on the disk and survives kill -9 and power loss (log lines:
 *    kill -9 only).
 * 2. One kernel per data directory.
 * 3. Open returns ready; close is idempotent; whatever happens to the storage threads, every
 *    pending promise ends and `closed` resolves.
 */
import { join } from "node:path";
import type { Clock } from "#base/clock.ts";
import { type MeasuredKv, threadKv } from "#storage/kv.ts";
import { EVENTS_PER_FILE, LOG_LINES_PER_SERVICE } from "#storage/limits.ts";
import type {
  EventBatch,
  EventFilter,
  EventPage,
  LogBatch,
  LogRange,
  LogTrim,
  LogTrimmed,
  PruneResult,
  StoredLine,
} from "#storage/protocol.ts";
import { Reader } from "#storage/reader.ts";
import { ThreadClient } from "#storage/thread-client.ts";
import type { WriterData } from "#storage/writer-thread.ts";

export interface EventStore {
  /** The newest event when the store was opened: new batches follow it. */
  readonly openedAtId: number;
  /** Resolves when the batch is on the disk. A batch that does not follow the newest event is a `conflict`. */
  append(batch: EventBatch): Promise<void>;
  read(filter: EventFilter): Promise<EventPage>;
  verify(options?: { fromId?: number | undefined }): Promise<VerifyResult>;
  /** Archives whole sealed files that hold only events before `beforeId`. */
  prune(options: { beforeId: number }): Promise<PruneResult>;
}

export type VerifyResult =
  | { readonly ok: true; readonly checked: number }
  | {
      readonly ok: false;
      readonly checked: number;
      readonly firstBroken: number;
      readonly why: string;
    };

export interface LogStore {
  /** The highest sequence number that was ever stored. */
  readonly openedAtSeq: number;
  append(batch: LogBatch): Promise<void>;
  read(range: LogRange): Promise<StoredLine[]>;
  /** Drops the service's oldest lines until the others have `maxChars` at most. */
  trim(ask: LogTrim): Promise<LogTrimmed>;
  remove(key: { tenant: string; service: string }): Promise<void>;
}

export interface Storage extends AsyncDisposable {
  readonly events: EventStore;
  readonly kv: MeasuredKv;
  readonly logs: LogStore;
  /** Resolves when the storage thread is gone: undefined after `close`, else what ended it. */
  readonly closed: Promise<Error | undefined>;
  /** Finishes what is queued, then closes. */
  close(): Promise<void>;
  /** Ends the threads at once. */
  kill(): void;
}

export interface StorageOptions {
  readonly dataDir: string;
  /** `<dataDir>/events` unless given. */
  readonly eventsDir?: string | undefined;
  readonly clock: Clock;
  /** Written into the lock, so that a refused kernel can say who holds it. */
  readonly pid?: number | undefined;
  readonly eventsPerFile?: number | undefined;
  readonly logLinesPerService?: number | undefined;
  /** A quota for each file; beyond it the store is full. */
  readonly maxFileBytes?: number | undefined;
}

export async function openStorage(options: StorageOptions): Promise<Storage> {
  const { dataDir, clock } = options;
  const eventsDir = options.eventsDir ?? join(dataDir, "events");
  const workerData: WriterData = {
    dataDir,
    eventsDir,
    pid: options.pid ?? process.pid,
    eventsPerFile: options.eventsPerFile ?? EVENTS_PER_FILE,
    logLinesPerService: options.logLinesPerService ?? LOG_LINES_PER_SERVICE,
    maxFileBytes: options.maxFileBytes,
  };
  const module = new URL("./writer-thread.ts", import.meta.url);
  const { client: writer, ready } = await ThreadClient.start({
    module,
    name: "solo-storage",
    workerData,
  });
  const reader = new Reader(eventsDir);
  let closing: Promise<void> | undefined;

  const close = async (): Promise<void> => {
    // A writer that is already gone has nothing left to finish; `closed` tells why.
    await Promise.allSettled([reader.close(), writer.request("close", undefined)]);
    await writer.closed;
  };
  void writer.closed.then(() => reader.kill());

  const storage: Storage = {
    events: {
      openedAtId: ready.headId,
      append: (batch) => writer.request("append", batch),
      read: (filter) => reader.use((thread) => thread.request("read", filter)),
      verify: ({ fromId = 1 } = {}) => verify({ writer, reader, fromId }),
      prune: (ask) => writer.request("prune", ask),
    },
    kv: threadKv({ thread: writer, clock }),
    logs: {
      openedAtSeq: ready.lastLogSeq,
      append: (batch) => writer.request("logAppend", batch),
      read: (range) => writer.request("logRead", range),
      trim: (range) => writer.request("logTrim", range),
      remove: (key) => writer.request("logRemove", key),
    },
    closed: writer.closed,
    close: () => (closing ??= close()),
    kill: () => {
      writer.kill();
      reader.kill();
    },
    [Symbol.asyncDispose]: () => storage.close(),
  };
  return storage;
}

async function verify(options: {
  writer: ThreadClient;
  reader: Reader;
  fromId: number;
}): Promise<VerifyResult> {
  const { writer, reader, fromId } = options;
  const bounds = await writer.request("bounds", undefined);
  let nextId = fromId;
  let previous: string | undefined;
  let checked = 0;
  for (;;) {
    const step = await reader.use((thread) =>
      thread.request("verify", { nextId, previous, bounds }),
    );
    checked += step.checked;
    if (!step.done) ({ nextId, previous } = step);
    else if ("firstBroken" in step)
      return { ok: false, checked, firstBroken: step.firstBroken, why: step.why };
    else return { ok: true, checked };
  }
}
