/**
 * What a deploy asks for its service, checked: the entries of `capabilities`.
 *
 * 1. Every bad field is named by its path; whether the deployer may give so much is not asked
 *    here.
 */
import { type CallRule, checkRules } from "#capability/attenuated-service.ts";
import { MAX_RATE_PER_MINUTE, MAX_RESOURCES } from "#capability/limits.ts";
import { ALL_PERMISSIONS, isPermission, type Permission } from "#capability/permission.ts";
import { parsePattern, RESOURCE_RULE } from "#capability/resource.ts";

const MAX_SERVICE_CAPABILITIES = 32;

/** One capability that the service shall hold. */
export interface CapabilitySpec {
  readonly permissions: readonly Permission[];
  readonly resources: readonly string[];
  /** Of what may be invoked, only this. */
  readonly calls: readonly CallRule[] | null;
  /** `null`: as the deployer's own. */
  readonly ratePerMinute: number | null;
}

/** As the request has it; see src/api/fields.ts. */
export interface CapabilityInput {
  readonly resources: readonly string[];
  readonly permissions?: readonly string[] | undefined;
  readonly calls?: readonly unknown[] | undefined;
  readonly rate_per_minute?: number | undefined;
}

/** What an entry without `permissions` means, by the kind of its resources. */
const USUAL: Readonly<Record<string, readonly Permission[]>> = {
  service: ["invoke"],
  net: ["connect"],
  secret: ["read"],
  topic: ["publish", "subscribe"],
  registry: ["read", "write"],
  events: ["read"],
};

type Refuse = (field: string, message: string) => void;

export function resolveCapabilities(
  entries: readonly CapabilityInput[],
  refuse: Refuse,
): readonly CapabilitySpec[] {
  if (entries.length > MAX_SERVICE_CAPABILITIES) {
    refuse("capabilities", `has ${entries.length} entries; at most ${MAX_SERVICE_CAPABILITIES}`);
    return [];
  }
  return Object.freeze(
    entries.map((entry, i) =>
      resolveEntry(entry, (field, message) => refuse(`capabilities.${i}.${field}`, message)),
    ),
  );
}

function resolveEntry(entry: CapabilityInput, refuse: Refuse): CapabilitySpec {
  const { resources, rate_per_minute: rate } = entry;
  const calls = (entry.calls ?? null) as readonly CallRule[] | null;
  if (resources.length === 0) refuse("resources", "is empty");
  if (resources.length > MAX_RESOURCES) refuse("resources", `has more than ${MAX_RESOURCES}`);
  else {
    resources.forEach((text, i) => {
      if (parsePattern(text) === undefined) refuse(`resources.${i}`, RESOURCE_RULE);
    });
  }
  for (const { field, message } of checkRules(calls ?? [])) refuse(field, message);
  if (rate !== undefined && !(rate >= 1 && rate <= MAX_RATE_PER_MINUTE)) {
    refuse("rate_per_minute", `must be a whole number from 1 to ${MAX_RATE_PER_MINUTE}`);
  }
  return Object.freeze({
    permissions: Object.freeze(permissionsOf(entry, refuse)),
    resources: Object.freeze([...resources]),
    calls,
    ratePerMinute: rate ?? null,
  });
}

function permissionsOf({ permissions, resources }: CapabilityInput, refuse: Refuse): Permission[] {
  if (permissions === undefined) {
    const kinds = [...new Set(resources.map((text) => text.split(":", 1)[0]!))];
    const usual = kinds.length === 1 ? USUAL[kinds[0]!] : undefined;
    if (usual === undefined) {
      refuse("permissions", "must be named, since they do not follow from these resources");
    }
    return [...(usual ?? [])];
  }
  if (permissions.length === 0) refuse("permissions", "is empty");
  const known = permissions.slice(0, ALL_PERMISSIONS.length).filter(isPermission);
  if (known.length < permissions.length) {
    refuse("permissions", `must be of ${ALL_PERMISSIONS.join(", ")}, each once`);
  }
  return [...new Set(known)];
}
