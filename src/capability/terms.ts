/**
 * What a derived capability is allowed, decided purely.
 *
 * 1. Derived terms never exceed their parent's: fewer or equal permissions, resources held by
 *    the parent's, the same tenant, a life that ends no later, no more uses, no higher rate.
 * 2. What is asked beyond the parent is refused with its field, never cut down silently; what
 *    is left out is the parent's.
 */
import { type FieldError, SoloError } from "#base/errors.ts";
import type { TenantId } from "#base/ids.ts";
import { type CallRule, checkRules, holdsHandlers } from "#capability/attenuated-service.ts";
import {
  DEFAULT_CHILDREN,
  DEFAULT_DEPTH,
  MAX_CAPABILITIES,
  MAX_CHAIN,
  MAX_CHILDREN,
  MAX_RATE_PER_MINUTE,
  MAX_RESOURCES,
  MAX_USES,
} from "#capability/limits.ts";
import { ALL_PERMISSIONS, isPermission } from "#capability/permission.ts";
import type { Terms } from "#capability/record.ts";
import { contains, parsePattern, type Pattern, RESOURCE_RULE } from "#capability/resource.ts";

export interface TermsRequest {
  readonly tenant?: TenantId | null | undefined;
  /** Checked against the closed list. */
  readonly permissions?: readonly string[] | undefined;
  readonly resources?: readonly string[] | undefined;
  readonly calls?: readonly CallRule[] | undefined;
  readonly ttlMs?: number | undefined;
  readonly maxUses?: number | undefined;
  /** `null`: without limit, where the parent has none. */
  readonly ratePerMinute?: number | null | undefined;
  readonly maxDepth?: number | undefined;
  readonly maxChildren?: number | undefined;
}

/** What the machine's owner may do: everything. All other terms are derived from these. */
export const OWNER_TERMS: Terms = Object.freeze({
  tenant: null,
  permissions: ALL_PERMISSIONS,
  resources: Object.freeze(["*"]),
  calls: null,
  expiresAtMs: null,
  maxUses: null,
  ratePerMinute: null,
  maxDepth: MAX_CHAIN - 1,
  maxChildren: MAX_CAPABILITIES,
});

export interface NarrowOptions {
  readonly parent: Terms;
  readonly request: TermsRequest;
  readonly wallMs: number;
  readonly defaultRatePerMinute: number;
}

export function narrowTerms(options: NarrowOptions): Terms {
  const { parent, request, wallMs, defaultRatePerMinute } = options;
  const problems: FieldError[] = [];
  const refuse = (field: string, message: string) => void problems.push({ field, message });
  const count = (field: string, value: number | undefined, least: number, most: number) => {
    if (value !== undefined && !(Number.isInteger(value) && value >= least && value <= most)) {
      refuse(field, `must be a whole number from ${least} to ${most}`);
    }
  };
  const { tenant = parent.tenant, ttlMs, maxUses, ratePerMinute, maxDepth, maxChildren } = request;

  if (parent.maxDepth < 1) refuse("parent", "may not be derived from: its depth is used up");
  if (parent.tenant !== null && tenant !== parent.tenant)
    refuse("tenant_id", "is not the parent's");
  const permissions = checkPermissions(parent, request.permissions, refuse);
  const resources = checkResources(parent, request.resources, refuse);
  problems.push(...checkRules(request.calls ?? []));
  if (
    request.calls !== undefined &&
    parent.calls !== null &&
    !holdsHandlers(parent.calls, request.calls)
  ) {
    refuse("calls", "names a handler that the parent does not");
  }
  if (ttlMs !== undefined && !(Number.isSafeInteger(ttlMs) && ttlMs > 0)) {
    refuse("ttl_ms", "must be a whole number above 0");
  }
  const expiresAtMs = ttlMs === undefined ? parent.expiresAtMs : wallMs + ttlMs;
  if ((expiresAtMs ?? Infinity) > (parent.expiresAtMs ?? Infinity)) {
    refuse("ttl_ms", "would outlive the parent");
  }
  count("max_uses", maxUses, 1, parent.maxUses ?? MAX_USES);
  count(
    "rate_per_minute",
    ratePerMinute ?? undefined,
    1,
    parent.ratePerMinute ?? MAX_RATE_PER_MINUTE,
  );
  if (ratePerMinute === null && parent.ratePerMinute !== null) {
    refuse("rate_per_minute", `must be at most the parent's ${parent.ratePerMinute}`);
  }
  const deepest = Math.max(parent.maxDepth - 1, 0);
  count("max_depth", maxDepth, 0, deepest);
  count("max_children", maxChildren, 0, Math.min(parent.maxChildren, MAX_CHILDREN));
  if (problems.length > 0) throw tooMuch(problems);

  return Object.freeze({
    tenant,
    permissions,
    resources,
    calls: request.calls ?? parent.calls,
    expiresAtMs,
    maxUses: maxUses ?? parent.maxUses,
    ratePerMinute:
      ratePerMinute === undefined ? (parent.ratePerMinute ?? defaultRatePerMinute) : ratePerMinute,
    maxDepth: maxDepth ?? Math.min(deepest, DEFAULT_DEPTH),
    maxChildren: maxChildren ?? Math.min(parent.maxChildren, DEFAULT_CHILDREN),
  });
}

type Refuse = (field: string, message: string) => void;

function checkPermissions(
  parent: Terms,
  asked: readonly string[] | undefined,
  refuse: Refuse,
): Terms["permissions"] {
  if (asked === undefined) return parent.permissions;
  if (asked.length === 0) refuse("permissions", "is empty");
  const known = [...new Set(asked.slice(0, ALL_PERMISSIONS.length))].filter((each) => {
    if (!isPermission(each)) refuse("permissions", `must be of ${ALL_PERMISSIONS.join(", ")}`);
    else if (!parent.permissions.includes(each))
      refuse("permissions", `has ${each}, which the parent does not`);
    return isPermission(each);
  });
  if (asked.length > ALL_PERMISSIONS.length) refuse("permissions", "names one twice");
  return Object.freeze(known);
}

function checkResources(
  parent: Terms,
  asked: readonly string[] | undefined,
  refuse: Refuse,
): readonly string[] {
  if (asked === undefined) return parent.resources;
  if (asked.length === 0) refuse("resources", "is empty");
  if (asked.length > MAX_RESOURCES) refuse("resources", `has more than ${MAX_RESOURCES} patterns`);
  const held = parent.resources
    .map(parsePattern)
    .filter((each): each is Pattern => each !== undefined);
  asked.slice(0, MAX_RESOURCES).forEach((text, i) => {
    const pattern = parsePattern(text);
    if (pattern === undefined) refuse(`resources.${i}`, RESOURCE_RULE);
    else if (!held.some((outer) => contains(outer, pattern))) {
      refuse(
        `resources.${i}`,
        `is not within what the parent reaches (${parent.resources.join(", ")})`,
      );
    }
  });
  return Object.freeze([...asked]);
}

const tooMuch = (fields: readonly FieldError[]): SoloError =>
  new SoloError(
    "invalid_argument",
    `The capability cannot be made: ${fields.map(({ field, message }) => `${field} ${message}`).join("; ")}.`,
    { fields, hint: "A capability can only hold less than the one it comes from." },
  );
