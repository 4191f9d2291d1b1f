/** A capability as people and agents see it. */
import type { Capability, Now } from "#capability/capability.ts";
import type { CapabilityId, CapabilityRecord } from "#capability/record.ts";

export interface CapabilityView extends Omit<CapabilityRecord, "tokenHash"> {
  /** `ended_above`: something it was derived from has expired or was revoked. */
  readonly state: "active" | "expired" | "revoked" | "ended_above";
  readonly level: number;
  readonly children: number;
  readonly uses: number;
  readonly usesInLastMinute: number;
  /** From its parent up to the owner's. */
  readonly ancestors: readonly CapabilityId[];
}

export function viewOf(capability: Capability, now: Now): CapabilityView {
  const { tokenHash: _, ...record } = capability.record;
  return {
    ...record,
    state: stateOf(capability, now),
    level: capability.chainLength - 1,
    children: capability.children.size,
    uses: capability.uses,
    usesInLastMinute: capability.lastMinute.count(now.monotonicMs),
    ancestors: [...(capability.parent?.chain() ?? [])].map(({ id }) => id),
  };
}

function stateOf(capability: Capability, now: Now): CapabilityView["state"] {
  if (capability.revoked) return "revoked";
  if (capability.isExpired(now)) return "expired";
  const above = [...capability.chain()].slice(1);
  return above.some((link) => link.revoked || link.isExpired(now)) ? "ended_above" : "active";
}
