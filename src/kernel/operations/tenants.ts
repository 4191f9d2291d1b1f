/** Tenants, as the catalogue shows them. */
import type { OutputOf } from "#api/catalogue.ts";
import type { Json } from "#api/operation.ts";
import { SoloError } from "#base/errors.ts";
import { tenantId, type TenantId } from "#base/ids.ts";
import { KEYS, TENANT_KEYS } from "#config/keys.ts";
import type { EventLog } from "#events/event-log.ts";
import type { Authority } from "#kernel/authority.ts";
import type { Remover } from "#kernel/deploys/remover.ts";
import type { Handlers } from "#kernel/operations/handlers.ts";
import type { Changes, Settings } from "#kernel/settings.ts";
import type { Secrets } from "#kernel/secrets.ts";
import { unknownTenant, type TenantRegister } from "#kernel/tenant-register.ts";
import type { Tenants } from "#kernel/tenants.ts";

const DEFAULT_PAGE = 100;

export interface TenantParts {
  readonly register: TenantRegister;
  readonly settings: Settings;
  readonly tenants: Tenants;
  readonly remover: Remover;
  readonly authority: Authority;
  readonly events: EventLog;
  readonly secrets: Secrets;
}

type TenantHandlers = Pick<
  Handlers,
  "CreateTenant" | "ListTenants" | "GetTenant" | "DeleteTenant" | "SetTenantLimits"
>;

export const tenantHandlers = (parts: TenantParts): TenantHandlers => {
  const { register, settings, tenants, remover, events, secrets } = parts;
  const view = (tenant: TenantId) => viewOf(tenant, parts);
  const has = (tenant: TenantId) => ({
    services: tenants.count(tenant),
    secrets: secrets.list(tenant).length,
  });
  const known = (name: string): TenantId => {
    const tenant = tenantId(name);
    if (register.has(tenant)) return tenant;
    throw unknownTenant(tenant);
  };
  return {
    async CreateTenant({ tenant_id, limits }) {
      const tenant = tenantId(tenant_id);
      const changes = changesOf(tenant, limits);
      await register.create(tenant);
      try {
        if (limits !== undefined) await settings.change(changes);
      } catch (error) {
        await register.forget(tenant);
        throw error;
      }
      await events.append({ type: "tenant_created", tenantId: tenant, payload: {} });
      return view(tenant);
    },
    ListTenants({ limit = DEFAULT_PAGE, after = "" }) {
      const rest = register.all().filter((tenant) => tenant > after);
      const page = rest.slice(0, limit);
      return {
        tenants: page.map(view),
        ...(rest.length > page.length && { next: page.at(-1)! }),
      };
    },
    GetTenant: ({ tenant_id }) => view(known(tenant_id)),
    async SetTenantLimits({ tenant_id, limits }) {
      const tenant = known(tenant_id);
      await settings.change(changesOf(tenant, limits));
      return view(tenant);
    },
    async DeleteTenant({ tenant_id, force = false }) {
      const tenant = tenantId(tenant_id);
      const used = has(tenant);
      if (used.services + used.secrets > 0) {
        if (!force) throw stillUsed(tenant, used);
      } else known(tenant);
      const services = tenants.list(tenant);
      // First what could bring it back: nobody acts for it any longer.
      const capabilities_revoked = await endCapabilities(tenant, parts);
      for (const { key } of services) await remover.kill(key, { force: true });
      if (tenants.has(tenant)) throw stillUsed(tenant, has(tenant));
      const secrets_revoked = await endSecrets(tenant, secrets);
      await settings.change(
        Object.fromEntries(settings.ownOf(tenant).map((key) => [key, null] as const)),
      );
      await register.forget(tenant);
      const payload = { services_killed: services.length, capabilities_revoked, secrets_revoked };
      await events.append({ type: "tenant_deleted", tenantId: tenant, payload });
      return { tenant_id: tenant, ...payload };
    },
  };
};

const changesOf = (tenant: TenantId, limits: Readonly<Record<string, Json>> = {}): Changes =>
  Object.fromEntries(
    Object.entries(limits).map(([name, value]) => [`tenants.${tenant}.${name}`, value]),
  );

function viewOf(
  tenant: TenantId,
  { register, settings, tenants }: TenantParts,
): OutputOf<"GetTenant"> {
  const own = settings.live.tenants[tenant] as Readonly<Record<string, Json>> | undefined;
  const createdAtMs = register.createdAtMs(tenant);
  return {
    tenant_id: tenant,
    services: tenants.count(tenant),
    ...(createdAtMs !== undefined && { created_at: new Date(createdAtMs).toISOString() }),
    limits: TENANT_KEYS.map(({ name }) => {
      const mine = own?.[name];
      const key = mine === undefined ? sharedKey(name) : `tenants.${tenant}.${name}`;
      const [{ value, from } = NO_VALUE] = settings.list(key);
      return { name, value, own: mine !== undefined, from };
    }),
  };
}

const NO_VALUE = { value: null, from: "default" };

/** What a tenant follows that has no value of its own: nearly always a limit. */
const sharedKey = (name: string): string =>
  (KEYS.find(({ path }) => path === `limits.${name}`) ?? KEYS.find((key) => key.name === name))
    ?.path ?? name;

/** Until none of the tenant's is in force; how many there were. */
async function endCapabilities(
  tenant: TenantId,
  { authority: { capabilities }, events }: TenantParts,
): Promise<number> {
  let count = 0;
  for (;;) {
    const page = capabilities.list({ tenant });
    if (page.length === 0) return count;
    for (const { id } of page) {
      const { ended, event } = await capabilities.revoke(id);
      if (event !== undefined) await events.append(event);
      count += ended;
    }
  }
}

/** Whoever has the tenant's name next finds none of them; how many there were. */
async function endSecrets(tenant: TenantId, secrets: Secrets): Promise<number> {
  const names = secrets.list(tenant).map(({ name }) => name);
  for (const name of names) await secrets.revoke({ tenant, name });
  return names.length;
}

const stillUsed = (
  tenant: TenantId,
  { services, secrets }: { readonly services: number; readonly secrets: number },
): SoloError =>
  new SoloError("conflict", `The tenant ${tenant} has ${services} services, ${secrets} secrets.`, {
    hint: "Kill and revoke them first, or delete it with force.",
  });
