/**
 * The check of a use: the whole chain, each time.
 *
 * 1. A use passes only if every link of the chain allows it; so a derived capability can never
 *    do what one above it cannot, and revoking a link stops all below it at once.
 * 2. A use that passes is charged to every link; one that does not is charged to none.
 */
import type { ServiceId, TenantId } from "#base/ids.ts";
import { type Call, refuseCall } from "#capability/attenuated-service.ts";
import type { Capability, Now } from "#capability/capability.ts";
import { type Permission, permissionBit } from "#capability/permission.ts";
import { matches, SELF } from "#capability/resource.ts";

/** Who presents a capability: what the transport has proved, nothing that was merely claimed. */
export interface Presenter {
  readonly tenant?: TenantId | undefined;
  readonly service?: ServiceId | undefined;
}

export interface Ask {
  readonly permission: Permission;
  /** As resource.ts writes it, canonical. */
  readonly resource: string;
  /** Whose resource; `null`: the kernel's own, beyond any tenant. */
  readonly tenant: TenantId | null;
  readonly presenter: Presenter;
  /** Of an invocation: what is called. Without it a capability limited to some calls refuses. */
  readonly call?: Call | undefined;
}

export type ChainFault = "revoked" | "expired" | "tenant" | "narrowed" | "uses" | "rate";
/** Which fault is told when there are several: the one that would still stand if others went. */
const WEIGHT: Readonly<Record<ChainFault, number>> = {
  revoked: 6,
  expired: 5,
  tenant: 4,
  narrowed: 3,
  uses: 2,
  rate: 1,
};

export type Fault =
  | { readonly why: "holder" }
  /** `link`: the highest link with that fault, which took the permission from those below. */
  | { readonly why: ChainFault; readonly link: Capability };

/** Why the use may not pass, or undefined when it may. Changes nothing that counts. */
export function faultOf(capability: Capability, ask: Ask, now: Now): Fault | undefined {
  if (!isHolder(capability, ask.presenter)) return { why: "holder" };
  const bit = permissionBit(ask.permission);
  let why: ChainFault | undefined;
  let at: Capability | undefined;
  for (let link: Capability | undefined = capability; link !== undefined; link = link.parent) {
    const fault = linkFault(link, bit, ask, now);
    if (fault !== undefined && (why === undefined || WEIGHT[fault] >= WEIGHT[why])) {
      why = fault;
      at = link;
    }
  }
  return why && { why, link: at! };
}

/** Counts the use; true when a count changed that must be on disk before the use goes on. */
export function charge(capability: Capability, now: Now): boolean {
  let counted = false;
  for (let link: Capability | undefined = capability; link !== undefined; link = link.parent) {
    if (link.ratePerMinute !== Infinity) link.lastMinute.take(now.monotonicMs);
    if (link.maxUses === Infinity) continue;
    link.uses += 1;
    counted = true;
  }
  return counted;
}

/** Whether it, or any link above it, has ended. */
export function hasEnded(capability: Capability, now: Now): boolean {
  for (let link: Capability | undefined = capability; link !== undefined; link = link.parent) {
    if (link.revoked || link.isExpired(now)) return true;
  }
  return false;
}

/** Whether its own terms name what is asked, whatever else stands against it. */
export const covers = (capability: Capability, ask: Ask): boolean =>
  (capability.bits & permissionBit(ask.permission)) !== 0 && reaches(capability, ask);

function linkFault(link: Capability, bit: number, ask: Ask, now: Now): ChainFault | undefined {
  if (link.revoked) return "revoked";
  if (link.isExpired(now)) return "expired";
  const { tenant } = link.record;
  if (tenant !== null && tenant !== ask.tenant) return "tenant";
  if (ask.resource !== SELF && ((link.bits & bit) === 0 || !reaches(link, ask))) return "narrowed";
  if (link.uses >= link.maxUses) return "uses";
  if (
    link.ratePerMinute !== Infinity &&
    link.lastMinute.count(now.monotonicMs) >= link.ratePerMinute
  ) {
    return "rate";
  }
  return undefined;
}

function reaches(link: Capability, { permission, resource, call }: Ask): boolean {
  let matched = false;
  for (const pattern of link.patterns) {
    if (matches(pattern, resource)) {
      matched = true;
      break;
    }
  }
  if (!matched || link.calls === null || permission !== "invoke") return matched;
  return call !== undefined && refuseCall(link.calls, call) === undefined;
}

function isHolder({ record: { holder } }: Capability, presenter: Presenter): boolean {
  switch (holder.kind) {
    case "bearer":
      return true;
    case "tenant":
      return presenter.tenant === undefined || presenter.tenant === holder.tenant;
    case "service":
      return presenter.tenant === holder.tenant && presenter.service === holder.service;
  }
}
