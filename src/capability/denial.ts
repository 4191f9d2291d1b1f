/**
 * A denial as data that teaches: what was missing, what took it away, what to do.
 *
 * 1. A stranger learns only that the token does not work here; no id, no name, no existence, not
 *    even that it is a token: who presents another's hears `unknown`, and the audit trail `holder`.
 * 2. A holder learns about its own chain and about what else it holds, nothing of others.
 */
import { SoloError } from "#base/errors.ts";
import { type CallRefusal, type Constraint, refuseCall } from "#capability/attenuated-service.ts";
import type { Capability, Now } from "#capability/capability.ts";
import { type Ask, type ChainFault, type Fault, faultOf } from "#capability/check.ts";
import { MAX_NEAREST_CANDIDATES } from "#capability/limits.ts";
import { type Permission, permissionBit } from "#capability/permission.ts";
import type { CapabilityId } from "#capability/record.ts";
import { matches } from "#capability/resource.ts";

export type Why = "unknown" | "holder" | ChainFault;

/** The form that goes to the caller, in every protocol. */
export interface Denial {
  readonly code: "unauthenticated" | "permission_denied" | "limit_exceeded";
  readonly permission: Permission;
  readonly resource: string;
  readonly why: Why;
  /** The link of the caller's chain that took it away; level 0 is the owner's. */
  readonly link: {
    readonly id: CapabilityId;
    readonly level: number;
    readonly label: string;
  } | null;
  /** What else the caller holds that comes closest, and what that lacks. */
  readonly nearest: {
    readonly id: CapabilityId;
    readonly permissions: readonly Permission[];
    readonly resources: readonly string[];
    readonly lacks: "nothing" | "permission" | "resource";
  } | null;
  /** Capabilities above that still hold it, the closest first; `owner` can always. */
  readonly grantable_by: readonly string[];
  readonly retry_after_ms?: number;
  /** Of an attenuated service: which rule refused the call. */
  readonly call?: CallRefusal;
}

/** The answer to whoever has no capability here. */
export const strangerDenial = (ask: Ask, why: "unknown" | "holder" = "unknown"): Denial => ({
  code: "unauthenticated",
  permission: ask.permission,
  resource: ask.resource,
  why,
  link: null,
  nearest: null,
  grantable_by: [OWNER],
});

/** The answer to a known caller, a service say, that holds no capability at all. */
export const nothingHeld = (ask: Ask): Denial => ({
  ...strangerDenial(ask),
  code: "permission_denied",
  why: "narrowed",
});

export interface DenialOptions {
  readonly capability: Capability;
  readonly ask: Ask;
  readonly fault: Fault;
  /** What else the same holder has. */
  readonly held: Iterable<Capability>;
  readonly now: Now;
}

export function denialOf(options: DenialOptions): Denial {
  const { capability, ask, fault, now } = options;
  if (fault.why === "holder") return strangerDenial(ask, "holder");
  const { why, link } = fault;
  const call = why === "narrowed" ? refusedCall(link, ask) : undefined;
  return {
    code: why === "rate" ? "limit_exceeded" : "permission_denied",
    permission: ask.permission,
    resource: ask.resource,
    why,
    link: { id: link.id, level: link.chainLength - 1, label: link.record.label },
    nearest: nearestHeld(options),
    grantable_by: [...granters(link, ask, now), OWNER],
    ...(why === "rate" && { retry_after_ms: msUntilRoom(capability, now) }),
    ...(call && { call }),
  };
}

/** As a caller sees it. What is given replaces the general words, where the asker knows better. */
export function denialError(
  denial: Denial,
  better: { readonly detail?: string; readonly hint?: string } = {},
): SoloError {
  const { code, ...body } = denial;
  const { permission, resource, why, link, nearest, grantable_by, retry_after_ms } = body;
  const wanted = `${permission} on ${resource}`;
  const owner = "the machine's owner";
  const others = grantable_by.filter((each) => each !== OWNER).slice(0, 1);
  const from = [...others.map((id) => `the holder of ${id}`), owner].join(" or ");
  if (why === "unknown" || why === "holder") {
    return new SoloError(code, better.detail ?? "The token is not known here.", {
      hint: better.hint ?? `Ask ${owner}, who has \`solo token\`, for a token with ${wanted}.`,
      denial: { ...body, why: "unknown" },
    });
  }
  const hint =
    why === "rate"
      ? "Slow down, or spread the work over capabilities with rates of their own."
      : nearest?.lacks === "nothing"
        ? `You hold ${nearest.id}, which allows it.`
        : `Ask ${from} for a capability with ${wanted}.${nearest ? ` The nearest that you hold is ${nearest.id}; it lacks the ${nearest.lacks}.` : ""}`;
  const found = denial.call === undefined ? REASONS[why] : callReason(denial.call);
  const reason = link ? `${link.id} ${found}` : "no capability that you hold includes it";
  return new SoloError(code, `${wanted} was refused: ${reason}.`, {
    hint: better.hint ?? hint,
    denial: body,
    ...(retry_after_ms !== undefined && { retryAfterMs: retry_after_ms }),
  });
}

const OWNER = "owner";

const REASONS: Readonly<Record<ChainFault, string>> = {
  revoked: "was revoked",
  expired: "has expired",
  tenant: "belongs to another tenant",
  narrowed: "does not include it",
  uses: "has no uses left",
  rate: "is over its rate",
};

/** Which rule of an attenuated service stands against the call. */
function callReason(refusal: CallRefusal): string {
  if (refusal.why === "handler") {
    return `allows only ${refusal.allowed.slice(0, 10).join(", ") || "nothing"}`;
  }
  const { handler, max_args } = refusal.rule;
  return refusal.why === "max_args"
    ? `allows ${handler} with at most ${max_args} arguments`
    : `allows ${handler} only with ${constraintText(refusal.constraint)}`;
}

function constraintText({ index, path = [], ...test }: Constraint): string {
  const where = [`argument ${index}`, ...path].join(".");
  const { equals, one_of, min, max, prefix } = test;
  if (equals !== undefined) return `${where} equal to ${JSON.stringify(equals)}`;
  if (one_of !== undefined) return `${where} one of ${JSON.stringify(one_of.slice(0, 10))}`;
  if (prefix !== undefined) return `${where} starting with ${JSON.stringify(prefix)}`;
  return `${where} a number${min === undefined ? "" : ` from ${min}`}${max === undefined ? "" : ` to ${max}`}`;
}

/** Links above the one that took it away which could still pass it on. */
function granters(link: Capability, ask: Ask, now: Now): CapabilityId[] {
  const above = [...(link.parent?.chain() ?? [])].filter(({ parent }) => parent !== undefined);
  return above
    .filter((each) => each.record.maxDepth > 0 && faultOfChain(each, ask, now) === undefined)
    .map(({ id }) => id);
}

/** Its fault for whoever may hold it. */
function faultOfChain(capability: Capability, ask: Ask, now: Now): Fault | undefined {
  const { holder } = capability.record;
  const presenter =
    holder.kind === "bearer"
      ? {}
      : { tenant: holder.tenant, service: holder.kind === "service" ? holder.service : undefined };
  return faultOf(capability, { ...ask, presenter }, now);
}

function nearestHeld({ capability, ask, held, now }: DenialOptions): Denial["nearest"] {
  let best:
    | { readonly each: Capability; readonly lacks: "nothing" | "permission" | "resource" }
    | undefined;
  let looked = 0;
  for (const each of held) {
    if (++looked > MAX_NEAREST_CANDIDATES) break;
    const fault = faultOf(each, ask, now);
    if (fault !== undefined && (fault.why !== "narrowed" || each === capability)) continue;
    const lacks = fault === undefined ? "nothing" : lackOf(each, ask);
    if (lacks === undefined || (best && CLOSENESS[lacks] <= CLOSENESS[best.lacks])) continue;
    best = { each, lacks };
  }
  if (best === undefined) return null;
  const { id, record } = best.each;
  return { id, permissions: record.permissions, resources: record.resources, lacks: best.lacks };
}

const CLOSENESS = { nothing: 3, permission: 2, resource: 1 } as const;

function lackOf(
  capability: Capability,
  { permission, resource }: Ask,
): "permission" | "resource" | undefined {
  if (capability.patterns.some((pattern) => matches(pattern, resource))) return "permission";
  const kind = resource.split(":", 1)[0]!;
  const sameKind = capability.record.resources.some((text) => text.split(":", 1)[0] === kind);
  return (capability.bits & permissionBit(permission)) !== 0 && sameKind ? "resource" : undefined;
}

const refusedCall = ({ calls }: Capability, { call }: Ask): CallRefusal | undefined =>
  calls && call ? refuseCall(calls, call) : undefined;

const msUntilRoom = (capability: Capability, now: Now): number =>
  Math.max(
    ...[...capability.chain()]
      .filter((link) => link.lastMinute.count(now.monotonicMs) >= link.ratePerMinute)
      .map((link) => link.lastMinute.msUntilRoom(now.monotonicMs)),
  );
