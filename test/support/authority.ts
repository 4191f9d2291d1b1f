/** The kernel's authority over an in-memory store, and what it recorded. */
import { systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import type { NewEvent } from "#events/event.ts";
import { Authority } from "#kernel/authority.ts";
import { CapabilityAudit, type CapabilityAuditOptions } from "#kernel/capability-audit.ts";
import { memoryKv } from "../deploy/support.ts";

export interface OpenAuthority {
  readonly authority: Authority;
  readonly audit: CapabilityAudit;
  readonly recorded: NewEvent[];
}

export async function openAuthority(
  ownerToken: string,
  options: Partial<CapabilityAuditOptions> = {},
): Promise<OpenAuthority> {
  const recorded: NewEvent[] = [];
  const events = { emit: (event: NewEvent) => recorded.push(event) };
  const clock = options.clock ?? systemClock;
  const audit = new CapabilityAudit({
    events,
    clock,
    log: silentLogger,
    verifiedEvery: 0,
    ...options,
  });
  const authority = new Authority({
    ownerToken,
    kv: memoryKv(),
    clock,
    log: silentLogger,
    audit,
    ratePerMinute: () => 1000,
  });
  await authority.open();
  return { authority, audit, recorded };
}
