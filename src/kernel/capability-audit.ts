/**
 * What the audit trail hears of authority.
 *
 * 1. Every denial counts: each has an event of its own up to MAX_DENIED_PER_SECOND for one
 *    tenant; beyond that the next event says how many more there were.
 * 2. Checks that passed are sampled.
 * 3. A secret that was asked for and not given is `secret_access_denied` as well.
 * 4. An event that cannot be recorded changes nothing of the decision.
 */
import type { Clock } from "#base/clock.ts";
import { isName } from "#base/ids.ts";
import type { Logger } from "#base/log.ts";
import type { Capability } from "#capability/capability.ts";
import type { Ask } from "#capability/check.ts";
import { type Denial, denialError } from "#capability/denial.ts";
import { deniedEvent, verifiedEvent } from "#capability/events.ts";
import type { Permission } from "#capability/permission.ts";
import type { NewEvent } from "#events/event.ts";
import type { EventLog } from "#events/event-log.ts";
import { accessDeniedEvent } from "#vault/events.ts";

const MAX_DENIED_PER_SECOND = 100;
/** Tenants whose denials are counted apart; beyond that they share one count. */
const MAX_COUNTED = 1_000;
const SHARED = "";

const SECRET = "secret:";
/** What gives a secret's value to somebody. */
const GIVES: ReadonlySet<Permission> = new Set(["read", "use"]);

interface Recent {
  second: number;
  count: number;
  unrecorded: number;
}

export interface CapabilityAuditOptions {
  readonly events: Pick<EventLog, "emit">;
  readonly clock: Clock;
  readonly log: Logger;
  /** One of so many checks that passed is recorded; 0: none. */
  readonly verifiedEvery: number;
}

export class CapabilityAudit {
  readonly #options: CapabilityAuditOptions;
  readonly #recent = new Map<string, Recent>();
  #passed = 0;

  constructor(options: CapabilityAuditOptions) {
    this.#options = options;
  }

  denied(denial: Denial, ask: Ask): void {
    const isRecorded = this.wouldBeDenied(denial, ask);
    const { tenant, permission, resource } = ask;
    if (!isRecorded || tenant === null || !GIVES.has(permission) || !resource.startsWith(SECRET))
      return;
    const name = resource.slice(SECRET.length);
    this.record(accessDeniedEvent({ tenant, name }, denialError(denial)));
  }

  /** Somebody asked whether it would be allowed. False when there were too many to record. */
  wouldBeDenied(denial: Denial, ask: Ask): boolean {
    const tenant = ask.tenant !== null && isName(ask.tenant) ? ask.tenant : null;
    const more = this.#unrecorded(tenant ?? SHARED);
    if (more === undefined) return false;
    const event = deniedEvent(denial, { ...ask, tenant });
    this.record({ ...event, payload: { ...event.payload, ...(more > 0 && { more }) } });
    return true;
  }

  verified(capability: Capability, ask: Ask): void {
    const { verifiedEvery } = this.#options;
    if (verifiedEvery === 0 || ++this.#passed % verifiedEvery !== 0) return;
    this.record(verifiedEvent(capability, ask));
  }

  /** Somebody asked whether a token would do. */
  asked(capability: Capability, ask: Ask): void {
    this.record(verifiedEvent(capability, ask));
  }

  record(event: NewEvent): void {
    const { events, log } = this.#options;
    try {
      events.emit(event);
    } catch (error) {
      log.error("event not recorded", { type: event.type, error: String(error) });
    }
  }

  /** How many denials went unrecorded before this one; undefined when this one does as well. */
  #unrecorded(tenant: string): number | undefined {
    const second = Math.floor(this.#options.clock.now() / 1000);
    const known = this.#recent.has(tenant) || this.#recent.size < MAX_COUNTED;
    const key = known ? tenant : SHARED;
    const recent = this.#recent.get(key) ?? { second, count: 0, unrecorded: 0 };
    this.#recent.set(key, recent);
    if (recent.second !== second) Object.assign(recent, { second, count: 0 });
    if (++recent.count > MAX_DENIED_PER_SECOND) {
      recent.unrecorded += 1;
      return undefined;
    }
    const { unrecorded } = recent;
    recent.unrecorded = 0;
    return unrecorded;
  }
}
