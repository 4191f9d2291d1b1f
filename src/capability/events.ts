/** What the audit trail hears of capabilities: ids and terms, never a token. */
import type { NewEvent } from "#events/event.ts";
import type { Capability } from "#capability/capability.ts";
import type { Ask } from "#capability/check.ts";
import type { Denial } from "#capability/denial.ts";
import { holderKey } from "#capability/record.ts";

export function madeEvent(capability: Capability, kind: "granted" | "attenuated"): NewEvent {
  const { record } = capability;
  return {
    type: `capability_${kind}`,
    tenantId: record.tenant,
    subject: capability.id,
    payload: {
      parent: record.parent,
      holder: holderKey(record.holder),
      permissions: record.permissions,
      resources: record.resources,
      expires_at_ms: record.expiresAtMs,
      max_uses: record.maxUses,
      rate_per_minute: record.ratePerMinute,
    },
  };
}

export const revokedEvent = (capability: Capability, ended: number): NewEvent => ({
  type: "capability_revoked",
  tenantId: capability.record.tenant,
  subject: capability.id,
  payload: { ended },
});

export const deniedEvent = (denial: Denial, { tenant, presenter, call }: Ask): NewEvent => ({
  type: "capability_denied",
  tenantId: tenant,
  subject: denial.link?.id ?? null,
  payload: {
    permission: denial.permission,
    resource: denial.resource,
    why: denial.why,
    by_tenant: presenter.tenant ?? null,
    by_service: presenter.service ?? null,
    handler: call?.handler ?? null,
  },
});

export const verifiedEvent = (
  capability: Capability,
  { permission, resource, tenant }: Ask,
): NewEvent => ({
  type: "capability_verified",
  tenantId: tenant,
  subject: capability.id,
  payload: { permission, resource },
});
