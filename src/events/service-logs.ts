/**
 * What services log: kept per service, readable, followable; one object for the kernel's life.
 *
 * 1. Logging never waits and never throws; beyond the bound lines are dropped and counted.
 * 2. Sequence numbers grow, are never reused, and are not dense.
 * 3. A follower sees each line once, in order: what is stored, then what comes.
 */
import type { Clock } from "#base/clock.ts";
import type { SoloError } from "#base/errors.ts";
import type { InstanceId, ServiceKey } from "#base/ids.ts";
import { follow } from "#events/follow.ts";
import {
  DEFAULT_READ_LIMIT,
  MAX_LINE_CHARS,
  RECENT_CHARS,
  RECENT_LINES,
  TAIL_PAGE,
} from "#events/limits.ts";
import { Listeners } from "#events/listeners.ts";
import { noStore } from "#events/no-store.ts";
import { Outbox } from "#events/outbox.ts";
import { Recent } from "#events/recent.ts";
import { MAX_LOG_BACKLOG } from "#storage/limits.ts";
import type { Field, LogTrimmed, StoredLine } from "#storage/protocol.ts";
import type { LogStore } from "#storage/storage.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface NewLine {
  readonly key: ServiceKey;
  readonly instance: InstanceId;
  readonly level: LogLevel;
  readonly text: string;
}

export interface LogLine {
  readonly seq: number;
  readonly atMs: number;
  readonly level: LogLevel;
  readonly instance: string;
  readonly text: string;
}

export interface ReadLinesOptions {
  readonly key: ServiceKey;
  /** Lines after this sequence number. */
  readonly since?: number | undefined;
  readonly limit?: number | undefined;
  readonly order?: "asc" | "desc" | undefined;
}

interface Entry extends LogLine {
  readonly tenant: string;
  readonly service: string;
}

export class ServiceLogs {
  readonly #clock: Clock;
  readonly #outbox: Outbox<Entry>;
  readonly #recent = new Recent<Entry>({
    maxItems: RECENT_LINES,
    maxChars: RECENT_CHARS,
    id: (line) => line.seq,
    chars: (line) => line.text.length,
  });
  readonly #changes = new Listeners();
  #store: LogStore | undefined;
  /** The newest number given; 0 until the first store told where numbers go on. */
  #seq = 0;
  #attachedOnce = false;
  #dropped = 0;

  constructor(options: { readonly clock: Clock }) {
    this.#clock = options.clock;
    this.#outbox = new Outbox({
      maxInFlight: Infinity, // What was written can be read at once; the backlog is the bound.
      onAcknowledged: () => {},
      onFailed: (error) => this.#fail(error),
    });
  }

  /** Uses this store from now on. Lines that the last one may not have stored are sent again. */
  attach(store: LogStore): void {
    if (!this.#attachedOnce) {
      this.#attachedOnce = true;
      this.#seq = store.openedAtSeq === 0 ? 0 : store.openedAtSeq + MAX_LOG_BACKLOG;
      this.#recent.startAfter(this.#seq);
    }
    this.#store = store;
    this.#outbox.attach((lines) => store.append({ fields: lines.flatMap(toFields) }), 0);
    this.#changes.notify();
  }

  detach(): void {
    this.#store = undefined;
    this.#outbox.detach();
  }

  /** Lines that were not kept because the store was away or full for too long. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Returns the characters that are kept of it; `maxChars` of the text at most. */
  write({ key, instance, level, text }: NewLine, maxChars = MAX_LINE_CHARS): number {
    if (!this.#attachedOnce || this.#outbox.length >= MAX_LOG_BACKLOG) {
      this.#dropped++;
      return 0;
    }
    const line: Entry = {
      seq: ++this.#seq,
      atMs: Math.floor(this.#clock.wallMs()),
      level,
      instance,
      text: cut(text.toWellFormed(), Math.min(maxChars, MAX_LINE_CHARS)),
      tenant: key.tenant,
      service: key.service,
    };
    this.#outbox.push(line);
    this.#recent.push(line);
    this.#changes.notify();
    return line.text.length;
  }

  /** When the service's lines have more than `maxChars`, drops the oldest until the others have
   *  `keepChars` at most. Resolves with what there was and is. */
  async trim(
    { tenant, service }: ServiceKey,
    bounds: { readonly maxChars: number; readonly keepChars: number },
  ): Promise<LogTrimmed> {
    this.#outbox.flush();
    if (this.#store === undefined) throw noStore();
    return this.#store.trim({ tenant, service, ...bounds });
  }

  async read({
    key,
    since,
    limit = DEFAULT_READ_LIMIT,
    order,
  }: ReadLinesOptions): Promise<LogLine[]> {
    this.#outbox.flush(); // The store answers after what was sent before.
    if (this.#store === undefined) throw noStore();
    const { tenant, service } = key;
    const lines = await this.#store.read({ tenant, service, since, limit, order });
    return lines.map(toLine);
  }

  /** The service's lines after `since`, then those that come, until the signal fires. */
  async *follow(
    options: { key: ServiceKey; since: number },
    signal: AbortSignal,
  ): AsyncGenerator<LogLine, void, void> {
    const { key, since } = options;
    const ofService = (line: Entry) => line.service === key.service && line.tenant === key.tenant;
    const pages = follow<LogLine>({
      sinceId: since,
      signal,
      source: {
        head: () => this.#seq,
        recent: (cursor) => this.#recent.after(cursor)?.filter(ofService).map(toLine),
        read: async (cursor, untilId) => {
          const items = await this.read({ key, since: cursor, limit: TAIL_PAGE });
          const last = items.at(-1);
          if (items.length < TAIL_PAGE || last === undefined)
            return { items, readTo: Math.max(untilId, last?.seq ?? 0) };
          return { items, readTo: last.seq };
        },
        onChange: (callback) => this.#changes.add(callback),
      },
    });
    for await (const page of pages) yield* page;
  }

  /** Forgets the stored lines of a service. */
  async remove(key: ServiceKey): Promise<void> {
    this.#outbox.flush();
    if (this.#store === undefined) throw noStore();
    await this.#store.remove({ tenant: key.tenant, service: key.service });
  }

  /** A log is not worth waiting for a full disk: what could not be stored is dropped. */
  #fail(error: SoloError): void {
    if (error.code === "unavailable") this.detach();
    else this.#dropped += this.#outbox.discard().length;
  }
}

const toFields = (line: Entry): Field[] => [
  line.seq,
  line.tenant,
  line.service,
  line.atMs,
  line.level,
  line.instance,
  line.text,
];

const toLine = ({ seq, atMs, level, instance, text }: StoredLine): LogLine => ({
  seq,
  atMs,
  level: level as LogLevel,
  instance,
  text,
});

const cut = (text: string, maxChars: number): string =>
  text.length <= maxChars ? text : `${text.slice(0, maxChars - 1).toWellFormed()}…`;
