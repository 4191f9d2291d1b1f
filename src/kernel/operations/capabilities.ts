/**
 * Capabilities, as the catalogue shows them.
 *
 * 1. What is made is derived from what was presented, or from what that one is above of.
 * 2. Whoever may not see a capability hears that there is none; whose capability names no service,
 *    cannot find out by delegating whether there is one.
 * 3. Behind a tenant's certificate there are that tenant's capabilities, whatever the token.
 */
import type { InputOf, OutputOf } from "#api/catalogue.ts";
import { SoloError } from "#base/errors.ts";
import { tenantId, type TenantId } from "#base/ids.ts";
import type { CallRule } from "#capability/attenuated-service.ts";
import type { Capability } from "#capability/capability.ts";
import { type Ask } from "#capability/check.ts";
import { type Denial, strangerDenial } from "#capability/denial.ts";
import type { DeriveRequest, Made } from "#capability/mint.ts";
import { ALL_PERMISSIONS, isPermission, type Permission } from "#capability/permission.ts";
import type { Holder } from "#capability/record.ts";
import { isResource, matches, RESOURCE_RULE } from "#capability/resource.ts";
import type { CapabilityView } from "#capability/view.ts";
import type { Authority } from "#kernel/authority.ts";
import type { CapabilityAudit } from "#kernel/capability-audit.ts";
import { notWholeKernel } from "#kernel/certificate-tenant.ts";
import { type Asked, type Handlers, keyOf, seesEveryTenant } from "#kernel/operations/handlers.ts";
import { DEPLOYED_LABEL } from "#kernel/services/host/service-authority.ts";
import { noService, type Tenants } from "#kernel/tenants.ts";

const DEFAULT_PAGE = 100;
const SELF = "self";

export interface CapabilityParts {
  readonly authority: Authority;
  readonly audit: CapabilityAudit;
  readonly tenants: Tenants;
}

type CapabilityHandlers = Pick<
  Handlers,
  | "GrantCapability"
  | "AttenuateCapability"
  | "DelegateCapability"
  | "RevokeCapability"
  | "ListCapabilities"
  | "InspectCapability"
  | "VerifyCapability"
>;

export function capabilityHandlers({
  authority,
  audit,
  tenants,
}: CapabilityParts): CapabilityHandlers {
  const told = (made: Made): OutputOf<"GrantCapability"> => {
    audit.record(made.event);
    return {
      capability: shown(authority.capabilities.inspect(made.capability.id)),
      ...(made.token !== undefined && { token: made.token }),
    };
  };

  const find = (id: string, { principal, context }: Asked): Capability | undefined => {
    const found = id === SELF ? principal : authority.capabilities.get(id);
    const { certificateTenant } = context.credentials;
    if (found === principal || certificateTenant === undefined) return found;
    return found?.record.tenant === certificateTenant ? found : undefined;
  };

  /** The presented one or one below it. */
  const below = (id: string, asked: Asked): Capability | undefined => {
    const found = find(id, asked);
    return found && authority.capabilities.comesFrom(found, asked.principal!) ? found : undefined;
  };

  const mine = (id: string, asked: Asked): Capability => {
    const found = below(id, asked);
    if (found === undefined) throw noCapability(id);
    forThatTenant(found.record.tenant, asked);
    return found;
  };

  /** Also one that the asker may look at or administer without being above of it. */
  const reachable = (id: string, asked: Asked, permission: Permission): Capability => {
    const own = below(id, asked);
    if (own !== undefined) return own;
    const found = find(id, asked);
    const ask = { permission, resource: "capabilities" } as const;
    if (
      found !== undefined &&
      !authority.capabilities.comesFrom(asked.principal!, found) &&
      authority.allows(asked.principal, { ...ask, tenant: found.record.tenant })
    ) {
      return found;
    }
    throw noCapability(id);
  };

  const holderFrom = (
    holder: InputOf<"GrantCapability">["holder"],
    tenant: TenantId | null,
  ): Holder => {
    if (holder?.service_id !== undefined) {
      if (tenant === null || (holder.tenant_id ?? tenant) !== tenant) {
        const message = "must be a service of the capability's own tenant";
        throw invalid("holder", message);
      }
      const { key } = tenants.get(keyOf({ service_id: holder.service_id }, tenant));
      return { kind: "service", ...key };
    }
    if (holder?.tenant_id === undefined) return { kind: "bearer" };
    return { kind: "tenant", tenant: tenantId(holder.tenant_id) };
  };

  return {
    async GrantCapability(input, asked) {
      const { principal, tenant } = asked;
      const whose = input.every_tenant === true ? null : tenant;
      forThatTenant(whose, asked);
      const to = holderFrom(input.holder, whose);
      const request = { ...termsFrom(input), tenant: whose, to };
      return told(await authority.capabilities.delegate(principal!, request));
    },

    async AttenuateCapability(input, asked) {
      return told(await authority.capabilities.attenuate(mine(input.id, asked), termsFrom(input)));
    },

    async DelegateCapability(input, asked) {
      const parent = mine(input.id, asked);
      const { service_id } = input.holder;
      if (service_id !== undefined && !names(asked.principal!, `service:${service_id}`))
        throw noService(keyOf({ service_id }, asked));
      const to = holderFrom(input.holder, parent.record.tenant);
      return told(await authority.capabilities.delegate(parent, { ...termsFrom(input), to }));
    },

    async RevokeCapability(input, asked) {
      const { id, record } = reachable(input.id, asked, "admin");
      forThatTenant(record.tenant, asked);
      const { ended, event } = await authority.capabilities.revoke(id);
      if (event !== undefined) audit.record(event);
      return { id, ended };
    },

    ListCapabilities(input, asked) {
      const { limit = DEFAULT_PAGE, after, include_ended, service_id } = input;
      const { tenant } = asked;
      const page = authority.capabilities.list({
        ...(!seesEveryTenant(input.tenant_id, asked) && { tenant }),
        ...(service_id !== undefined && {
          holder: { kind: "service", ...keyOf({ service_id }, tenant) },
        }),
        includeEnded: include_ended,
        limit,
        after,
      });
      return {
        capabilities: page.map(shown),
        ...(page.length === limit && { next: page.at(-1)!.id }),
      };
    },

    InspectCapability(input, asked) {
      const { id } = reachable(input.id, asked, "read");
      return shown(authority.capabilities.inspect(id));
    },

    VerifyCapability(input, asked) {
      const { permission, resource, handler, args = [] } = input;
      if (!isPermission(permission)) {
        throw invalid("permission", `must be of ${ALL_PERMISSIONS.join(", ")}`);
      }
      if (!isResource(resource)) throw invalid("resource", RESOURCE_RULE);
      const { capabilities } = authority;
      const capability = capabilities.find(input.token);
      const ask: Ask = {
        permission,
        resource,
        tenant: input.tenant_id === undefined ? (capability?.record.tenant ?? null) : asked.tenant,
        presenter: {},
        ...(handler !== undefined && { call: { handler, args } }),
      };
      const refused = (denial: Denial): OutputOf<"VerifyCapability"> => {
        audit.wouldBeDenied(denial, ask);
        return { allowed: false, denial: structuredClone(denial) as never };
      };
      if (capability === undefined) return refused(strangerDenial(ask));
      const verdict = capabilities.foresee(capability, ask);
      if (!verdict.allowed) return refused(verdict.denial);
      audit.asked(capability, ask);
      return { allowed: true, capability_id: capability.id };
    },
  };
}

function termsFrom(input: Omit<InputOf<"AttenuateCapability">, "id">): DeriveRequest {
  const { permissions, resources, calls, label } = input;
  if (label?.startsWith(DEPLOYED_LABEL)) {
    throw invalid("label", `may not begin with ${DEPLOYED_LABEL}, which the kernel gives`);
  }
  return {
    permissions,
    resources,
    // Checked by the capability itself, value by value.
    calls: calls as readonly CallRule[] | undefined,
    ttlMs: input.ttl_ms,
    maxUses: input.max_uses,
    ratePerMinute: input.rate_per_minute,
    maxDepth: input.max_depth,
    maxChildren: input.max_children,
    label,
  };
}

function shown(view: CapabilityView): OutputOf<"InspectCapability"> {
  const { holder, calls, ratePerMinute, maxUses, expiresAtMs, revokedAtMs } = view;
  return {
    id: view.id,
    parent_id: view.parent ?? "",
    tenant_id: view.tenant,
    holder: {
      kind: holder.kind,
      ...(holder.kind !== "bearer" && { tenant_id: holder.tenant }),
      ...(holder.kind === "service" && { service_id: holder.service }),
    },
    permissions: [...view.permissions],
    resources: [...view.resources],
    ...(calls !== null && { calls: structuredClone(calls) as never }),
    label: view.label,
    state: view.state,
    level: view.level,
    ancestors: [...view.ancestors],
    children: view.children,
    uses: view.uses,
    uses_in_last_minute: view.usesInLastMinute,
    ...(ratePerMinute !== null && { rate_per_minute: ratePerMinute }),
    ...(maxUses !== null && { max_uses: maxUses }),
    max_depth: view.maxDepth,
    max_children: view.maxChildren,
    created_at: new Date(view.createdAtMs).toISOString(),
    ...(expiresAtMs !== null && { expires_at: new Date(expiresAtMs).toISOString() }),
    ...(revokedAtMs !== null && { revoked_at: new Date(revokedAtMs).toISOString() }),
  };
}

/** Whoever is held to one tenant neither makes nor ends what is for all of them. */
const forThatTenant = (tenant: TenantId | null, { context }: Asked): void => {
  if (tenant === null) notWholeKernel(context.credentials.certificateTenant);
};

const names = ({ patterns }: Capability, resource: string): boolean =>
  patterns.some((pattern) => matches(pattern, resource));

const noCapability = (id: string): SoloError =>
  new SoloError("not_found", `There is no capability ${id.slice(0, 64)} here.`, {
    hint: "Those that you hold and those derived from them can be named; self is the presented one.",
  });

const invalid = (field: string, message: string): SoloError =>
  new SoloError("invalid_argument", `${field} ${message}.`, { fields: [{ field, message }] });
