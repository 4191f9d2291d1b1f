/** Whether one more service may be deployed: pure. */
import { SoloError } from "#base/errors.ts";
import type { TenantId } from "#base/ids.ts";

export interface AdmissionLimits {
  /** Why nothing new is taken now, if so. */
  readonly refusal: (tenant: TenantId) => SoloError | undefined;
  readonly maxTotal: () => number;
  readonly maxPerTenant: (tenant: TenantId) => number;
}

export interface Population {
  readonly tenant: TenantId;
  /** Services of all tenants. */
  readonly total: number;
  /** Services of this one. */
  readonly own: number;
}

/** Why the tenant's next service is refused, if it is. */
export function admissionRefusal(
  { tenant, total, own }: Population,
  { refusal, maxTotal, maxPerTenant }: AdmissionLimits,
): SoloError | undefined {
  const now = refusal(tenant);
  if (now !== undefined) return now;
  const most = maxTotal();
  if (total >= most) return full(`There are ${total} services`, most, "limits.max_total");
  const mostOwn = maxPerTenant(tenant);
  if (own < mostOwn) return undefined;
  return full(`Tenant ${tenant} has ${own} services`, mostOwn, "limits.max_per_tenant");
}

const full = (what: string, limit: number, setting: string): SoloError =>
  new SoloError("limit_exceeded", `${what} already; ${setting} allows ${limit}.`, {
    hint: "Kill services that are no longer needed, or raise the limit in the configuration.",
  });
