/**
 * The event log as the kernel holds it: one object for the kernel's whole life, whatever
 * happens to the storage behind it.
 *
 * 1. `emit` never waits. It gives the event its id, and the id stays the event's own, also
 *    when the store fails and comes back before the event is on the disk.
 * 2. Ids are dense. What was acknowledged is on the disk.
 * 3. Readers and tails see acknowledged events only.
 * 4. Bounded: beyond the backlog emitters are refused with `overloaded`.
 * 5. Events that services emit have a share of the backlog for each tenant: no tenant keeps
 *    others from being recorded, nor Solo.
 * 6. While the store refuses commits (a full disk), awaited events are refused with its
 *    reason, emitted ones are kept and written when it accepts again.
 */
import type { Clock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import type { EventId } from "#base/ids.ts";
import { Deque } from "#events/deque.ts";
import {
  Entry,
  type Event,
  type EventFilter,
  matches,
  type NewEvent,
  storedFilter,
  toEvent,
} from "#events/event.ts";
import { follow } from "#events/follow.ts";
import {
  DEFAULT_READ_LIMIT,
  MAX_BACKLOG_CHARS,
  MAX_BACKLOG_EVENTS,
  MAX_IN_FLIGHT,
  MAX_READ_LIMIT,
  RECENT_CHARS,
  RECENT_EVENTS,
  RESTART_GRACE_MS,
  RETRY_MS,
  TAIL_PAGE,
  TENANT_SHARE,
} from "#events/limits.ts";
import { Listeners } from "#events/listeners.ts";
import { noStore } from "#events/no-store.ts";
import { Outbox } from "#events/outbox.ts";
import { Recent } from "#events/recent.ts";
import type { EventType } from "#events/types.ts";
import type { EventFilter as StoredFilter, Field } from "#storage/protocol.ts";
import type { EventStore, VerifyResult } from "#storage/storage.ts";

export interface EventLogOptions {
  readonly clock: Clock;
  /** Names this run of the kernel: monotonic times compare only within it. */
  readonly bootId: string;
  readonly maxBacklogEvents?: number;
  readonly recentEvents?: number;
  readonly restartGraceMs?: number;
  readonly retryMs?: number;
}

export interface ReadOptions extends EventFilter {
  readonly limit?: number | undefined;
  readonly order?: "asc" | "desc" | undefined;
}

/** A tail has no end, so it takes no `untilId`. */
export type TailFilter = Omit<EventFilter, "untilId">;

interface Waiter {
  readonly id: EventId;
  readonly resolve: (id: EventId) => void;
  readonly reject: (error: SoloError) => void;
}

export class EventLog implements Disposable {
  readonly #options: EventLogOptions;
  readonly #outbox: Outbox<Entry>;
  readonly #recent: Recent<Entry>;
  readonly #changes = new Listeners();
  readonly #waiters = new Deque<Waiter>();
  #store: EventStore | undefined;
  #attachedOnce = false;
  #head = 0;
  #nextId = 1;
  #backlogChars = 0;
  /** What of it services emitted, by tenant. */
  readonly #shares = new Map<string, { events: number; chars: number }>();
  /** Why the store takes nothing at the moment. */
  #refusal: SoloError | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: EventLogOptions) {
    this.#options = options;
    this.#recent = new Recent({
      maxItems: options.recentEvents ?? RECENT_EVENTS,
      maxChars: RECENT_CHARS,
      id: (entry) => entry.id,
      chars: (entry) => entry.payload.length,
    });
    this.#outbox = new Outbox({
      maxInFlight: MAX_IN_FLIGHT,
      onAcknowledged: (entries) => this.#acknowledge(entries),
      onFailed: (error) => this.#fail(error),
    });
  }

  /** Uses this store from now on: the first one, or the one that was opened after a failure. */
  attach(store: EventStore): void {
    const { openedAtId } = store;
    if (!this.#attachedOnce) {
      this.#attachedOnce = true;
      this.#head = openedAtId;
      this.#nextId = openedAtId + 1;
      this.#recent.startAfter(openedAtId);
    } else if (openedAtId < this.#head || openedAtId >= this.#nextId) {
      throw new SoloError(
        "storage_corrupt",
        `The event log came back ending at ${openedAtId}, but events up to ${this.#head} were acknowledged.`,
        {
          hint: "The data directory was exchanged or cut short while Solo ran; restore it from a backup.",
        },
      );
    }
    this.#store = store;
    this.#accepting();
    this.#outbox.attach((entries) => store.append(this.#toBatch(entries)), openedAtId - this.#head);
    this.#changes.notify();
  }

  /** The store is gone. Events are kept for the next; awaited ones wait for it for a while. */
  detach(): void {
    this.#store = undefined;
    this.#outbox.detach();
    this.#restartTimer(this.#options.restartGraceMs ?? RESTART_GRACE_MS, () =>
      this.#refuse(noStore()),
    );
  }

  /** Records an event without waiting for the disk. */
  emit<T extends EventType>(event: NewEvent<T>): EventId {
    if (!this.#attachedOnce) throw noStore();
    const { clock, bootId, maxBacklogEvents = MAX_BACKLOG_EVENTS } = this.#options;
    if (this.#outbox.length >= maxBacklogEvents || this.#backlogChars >= MAX_BACKLOG_CHARS)
      throw backlogFull();
    const tenant = isOfService(event.type) ? (event.tenantId ?? undefined) : undefined;
    const share = tenant === undefined ? undefined : this.#shares.get(tenant);
    if (
      share !== undefined &&
      (share.events >= maxBacklogEvents * TENANT_SHARE ||
        share.chars >= MAX_BACKLOG_CHARS * TENANT_SHARE)
    ) {
      throw shareFull(tenant!);
    }
    const id = this.#nextId;
    const entry = new Entry(event, {
      id,
      timestamp: String(clock.nowNs()),
      wallMs: clock.wallMs(),
      bootId,
    });
    this.#nextId = id + 1;
    this.#backlogChars += entry.payload.length;
    if (tenant !== undefined) {
      this.#shares.set(tenant, {
        events: (share?.events ?? 0) + 1,
        chars: (share?.chars ?? 0) + entry.payload.length,
      });
    }
    this.#outbox.push(entry);
    return id;
  }

  /**
   * Records an event; resolves with its id when it is on the disk. If it rejects because the
   * store failed meanwhile, the event is still written once the store is back.
   */
  append<T extends EventType>(event: NewEvent<T>): Promise<EventId> {
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal);
    try {
      return this.#durable(this.emit(event));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Resolves when everything emitted so far is on the disk. */
  async flushed(): Promise<void> {
    if (this.#outbox.length === 0) return;
    if (this.#refusal !== undefined) throw this.#refusal;
    await this.#durable(this.#nextId - 1);
  }

  /** The newest acknowledged event; 0 when there is none. */
  head(): EventId {
    return this.#head;
  }

  async read(options: ReadOptions): Promise<Event[]> {
    const { limit = DEFAULT_READ_LIMIT, order = "asc", ...filter } = options;
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_READ_LIMIT) {
      const message = `must be a whole number from 1 to ${MAX_READ_LIMIT}`;
      throw new SoloError("invalid_argument", `limit ${message}.`, {
        fields: [{ field: "limit", message }],
      });
    }
    const events: Event[] = [];
    const range = {
      ...storedFilter(filter),
      order,
      untilId: Math.min(filter.untilId ?? Infinity, this.#head),
    };
    for (;;) {
      const page = await this.#attached().read({ ...range, limit: limit - events.length });
      for (const stored of page.events) events.push(toEvent(stored));
      const last = page.events.at(-1);
      if (page.complete || last === undefined || events.length >= limit) return events;
      if (order === "asc") range.sinceId = last.id;
      else range.untilId = last.id - 1;
    }
  }

  /** Matching events after `sinceId`, then those that come, none missed and none twice, until the signal fires. */
  async *tail(filter: TailFilter, signal: AbortSignal): AsyncGenerator<Event, void, void> {
    for await (const page of this.pages(filter, signal)) yield* page;
  }

  /** As `tail`, in runs of what is there at once: for those who write many events in one go. */
  pages(filter: TailFilter, signal: AbortSignal): AsyncGenerator<readonly Event[], void, void> {
    const { sinceId = 0, ...matching } = filter;
    return follow<Event>({
      sinceId,
      signal,
      source: {
        head: () => this.#head,
        recent: (cursor) =>
          this.#recent
            .after(cursor)
            ?.filter((entry) => matches(matching, entry))
            .map((entry) => entry.event),
        read: (cursor, untilId) => this.#readPage(matching, cursor, untilId),
        onChange: (callback) => this.#changes.add(callback),
      },
    });
  }

  async verify(options: { fromId?: EventId | undefined } = {}): Promise<VerifyResult> {
    return await this.#attached().verify(options);
  }

  async prune(options: {
    beforeId: EventId;
  }): Promise<{ firstId: EventId; archived: readonly string[] }> {
    return await this.#attached().prune(options);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#store = undefined;
    this.#outbox.detach();
    this.#refuse(noStore());
  }

  #acknowledge(entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.#backlogChars -= entry.payload.length;
      this.#leaveShare(entry);
      this.#recent.push(entry);
    }
    this.#head = (entries.at(-1) as Entry).id;
    if (this.#refusal !== undefined) this.#accepting();
    const durable = this.#waiters.countWhile(({ id }) => id <= this.#head);
    for (const { id, resolve } of this.#waiters.take(durable)) resolve(id);
    this.#changes.notify();
  }

  #leaveShare({ tenant, type, payload }: Entry): void {
    const share = tenant !== null && isOfService(type) ? this.#shares.get(tenant) : undefined;
    if (share === undefined) return;
    if (share.events === 1) this.#shares.delete(tenant!);
    else {
      const { events, chars } = share;
      this.#shares.set(tenant!, { events: events - 1, chars: chars - payload.length });
    }
  }

  #fail(error: SoloError): void {
    if (error.code === "unavailable") return this.detach();
    this.#refuse(error);
    this.#restartTimer(this.#options.retryMs ?? RETRY_MS, () => this.#outbox.retry());
  }

  #refuse(error: SoloError): void {
    this.#refusal = error;
    for (const { reject } of this.#waiters.take(this.#waiters.length)) reject(error);
  }

  #accepting(): void {
    this.#refusal = undefined;
    clearTimeout(this.#timer);
  }

  #restartTimer(ms: number, then: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, ms).unref();
  }

  #durable(id: EventId): Promise<EventId> {
    return new Promise((resolve, reject) => this.#waiters.push({ id, resolve, reject }));
  }

  #attached(): EventStore {
    if (this.#store === undefined) throw noStore();
    return this.#store;
  }

  async #readPage(
    filter: TailFilter,
    cursor: EventId,
    untilId: EventId,
  ): Promise<{ items: Event[]; readTo: EventId }> {
    const range: StoredFilter = {
      ...storedFilter(filter),
      sinceId: cursor,
      untilId,
      limit: TAIL_PAGE,
    };
    const page = await this.#attached().read(range);
    return {
      items: page.events.map(toEvent),
      readTo: page.complete ? untilId : (page.events.at(-1)?.id ?? cursor),
    };
  }

  #toBatch(entries: readonly Entry[]): Parameters<EventStore["append"]>[0] {
    const fields: Field[] = [];
    for (const { timestamp, wallMs, tenant, type, subject, payload, causationId } of entries) {
      fields.push(timestamp, wallMs, tenant, type, subject, payload, causationId);
    }
    return { firstId: (entries[0] as Entry).id, bootId: this.#options.bootId, fields };
  }
}

const isOfService = (type: string): boolean => type.startsWith("service.");

const shareFull = (tenant: string): SoloError =>
  new SoloError("overloaded", `Too many events of tenant ${tenant} wait for the disk.`, {
    hint: "Emit them more slowly.",
    retryAfterMs: 1_000,
  });

const backlogFull = (): SoloError =>
  new SoloError("overloaded", "More events are waiting for the disk than Solo keeps in memory.", {
    hint: "See whether the disk is full or slow.",
    retryAfterMs: 1_000,
  });
