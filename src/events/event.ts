/** The event: what is emitted, what is read, what is filtered for. */
import { type EventId, isName, type TenantId } from "#base/ids.ts";
import { SoloError } from "#base/errors.ts";
import type { StoredEvent } from "#storage/chain.ts";
import type { EventFilter as StoredFilter } from "#storage/protocol.ts";
import { type EventType, isEventType, type PayloadOf } from "#events/types.ts";

/** An event as it is read, in the words of SPEC E1. Shared between readers: not to be changed. */
export interface Event {
  /** Dense, from 1, never reused. */
  readonly id: EventId;
  /** Monotonic nanoseconds, a decimal text; comparable only within one `boot_id`. */
  readonly timestamp: string;
  /** UTC, ISO 8601, milliseconds; may jump when the host's clock is set. */
  readonly wall_clock: string;
  /** Null for events of the system. */
  readonly tenant_id: string | null;
  readonly event_type: string;
  /** What the event is about: a service id, as a rule. */
  readonly subject: string | null;
  readonly payload: Readonly<Record<string, unknown>>;
  /** The event that led to this one. */
  readonly causation_id: EventId | null;
  /** The run of the kernel that recorded it. */
  readonly boot_id: string;
}

export interface NewEvent<T extends EventType = EventType> {
  readonly type: T;
  /** Left out for events of the system. */
  readonly tenantId?: TenantId | null | undefined;
  readonly subject?: string | null | undefined;
  /** A JSON object; it is copied at once. */
  readonly payload?: PayloadOf<T>;
  readonly causationId?: EventId | null | undefined;
}

export interface EventFilter {
  /** `null`: only events of the system. */
  readonly tenantId?: string | null | undefined;
  /** Only events whose subject this is. */
  readonly serviceId?: string | undefined;
  readonly eventTypes?: readonly string[] | undefined;
  /** After this id. */
  readonly sinceId?: EventId | undefined;
  /** Up to this id, included. */
  readonly untilId?: EventId | undefined;
  /** Not before this wall time. */
  readonly fromWallMs?: number | undefined;
  /** Before this wall time. */
  readonly toWallMs?: number | undefined;
}

const MAX_SUBJECT_CHARS = 256;
const MAX_PAYLOAD_CHARS = 64 * 1024;

/** Who records the event, and when: what the emitter does not say. */
export interface Stamp {
  readonly id: EventId;
  readonly timestamp: string;
  readonly wallMs: number;
  readonly bootId: string;
}

/** An event on its way to disk and shortly after; `event` is made once, for the first who asks. */
export class Entry implements StoredEvent {
  readonly id: EventId;
  readonly timestamp: string;
  readonly wallMs: number;
  readonly bootId: string;
  readonly tenant: string | null;
  readonly type: string;
  readonly subject: string | null;
  readonly payload: string;
  readonly causationId: EventId | null;
  #event: Event | undefined;

  constructor(event: NewEvent, stamp: Stamp) {
    this.id = stamp.id;
    this.timestamp = stamp.timestamp;
    this.wallMs = stamp.wallMs;
    this.bootId = stamp.bootId;
    this.tenant = event.tenantId ?? null;
    this.type = event.type;
    this.subject = event.subject ?? null;
    this.payload = payloadText(event.payload);
    this.causationId = event.causationId ?? null;
    checkEntry(this);
  }

  get event(): Event {
    return (this.#event ??= toEvent(this));
  }
}

export const toEvent = (stored: StoredEvent): Event => ({
  id: stored.id,
  timestamp: stored.timestamp,
  wall_clock: new Date(stored.wallMs).toISOString(),
  tenant_id: stored.tenant,
  event_type: stored.type,
  subject: stored.subject,
  payload: JSON.parse(stored.payload) as Event["payload"],
  causation_id: stored.causationId,
  boot_id: stored.bootId,
});

/** The filter in the store's words. */
export const storedFilter = (filter: EventFilter): Omit<StoredFilter, "limit"> => ({
  tenant: filter.tenantId,
  subject: filter.serviceId,
  types: filter.eventTypes,
  sinceId: filter.sinceId,
  untilId: filter.untilId,
  fromWallMs: filter.fromWallMs,
  toWallMs: filter.toWallMs,
});

export function matches(filter: EventFilter, event: StoredEvent): boolean {
  const { tenantId, serviceId, eventTypes, sinceId, untilId, fromWallMs, toWallMs } = filter;
  return (
    (tenantId === undefined || event.tenant === tenantId) &&
    (serviceId === undefined || event.subject === serviceId) &&
    (eventTypes === undefined || eventTypes.includes(event.type)) &&
    (sinceId === undefined || event.id > sinceId) &&
    (untilId === undefined || event.id <= untilId) &&
    (fromWallMs === undefined || event.wallMs >= fromWallMs) &&
    (toWallMs === undefined || event.wallMs < toWallMs)
  );
}

function payloadText(payload: object | undefined): string {
  if (payload === undefined) return "{}";
  let text: string | undefined;
  try {
    text = JSON.stringify(payload);
  } catch (error) {
    throw invalid("payload", `must be JSON: ${(error as Error).message}`);
  }
  if (text === undefined || text[0] !== "{") throw invalid("payload", "must be a JSON object");
  if (text.length > MAX_PAYLOAD_CHARS) {
    throw new SoloError(
      "payload_too_large",
      `The event's payload has ${text.length} characters; at most ${MAX_PAYLOAD_CHARS} are recorded.`,
    );
  }
  return text;
}

function checkEntry({ id, type, tenant, subject, causationId }: Entry): void {
  if (!isEventType(type))
    throw invalid(
      "event_type",
      `has no type ${JSON.stringify(type)}; a service's own types start with "service."`,
    );
  if (tenant !== null && !isName(tenant)) throw invalid("tenant_id", "is not a tenant's name");
  if (
    subject !== null &&
    (subject === "" ||
      subject.length > MAX_SUBJECT_CHARS ||
      UNPRINTABLE.test(subject) ||
      !subject.isWellFormed())
  ) {
    throw invalid("subject", `must have 1 to ${MAX_SUBJECT_CHARS} printable characters`);
  }
  if (
    causationId !== null &&
    !(Number.isInteger(causationId) && causationId > 0 && causationId < id)
  ) {
    throw invalid("causation_id", "must be the id of an earlier event");
  }
}

const UNPRINTABLE = /\p{Cc}/u;

const invalid = (field: string, message: string): SoloError =>
  new SoloError("invalid_argument", `${field} ${message}.`, { fields: [{ field, message }] });
