/** What is known of a capability, and its stored form. */
import { SoloError } from "#base/errors.ts";
import type { ServiceId, TenantId } from "#base/ids.ts";
import type { CallRule } from "#capability/attenuated-service.ts";
import type { Permission } from "#capability/permission.ts";

declare const brand: unique symbol;
/** `c_` and 24 hex digits; names a capability without giving it. */
export type CapabilityId = string & { readonly [brand]: "capability" };

/** Who may present it. */
export type Holder =
  /** Whoever has the token. */
  | { readonly kind: "bearer" }
  /** The token, from this tenant where the transport proves the tenant. */
  | { readonly kind: "tenant"; readonly tenant: TenantId }
  /** The service, through the kernel's handle: there is no token. */
  | { readonly kind: "service"; readonly tenant: TenantId; readonly service: ServiceId };

/** What it allows. `null` is "without limit". */
export interface Terms {
  /** Whose resources: `null`, those of every tenant and of the kernel itself. */
  readonly tenant: TenantId | null;
  readonly permissions: readonly Permission[];
  /** Patterns; each permission holds for each of them. */
  readonly resources: readonly string[];
  /** Of what may be invoked, only this (AttenuatedService). */
  readonly calls: readonly CallRule[] | null;
  readonly expiresAtMs: number | null;
  readonly maxUses: number | null;
  readonly ratePerMinute: number | null;
  /** Levels that may be derived below it. */
  readonly maxDepth: number;
  /** Capabilities that may be derived directly from it. */
  readonly maxChildren: number;
}

export interface CapabilityRecord extends Terms {
  readonly id: CapabilityId;
  readonly parent: CapabilityId | null;
  /** SHA-256 of the token; `null` when it is only held as a handle. */
  readonly tokenHash: string | null;
  readonly holder: Holder;
  /** For people: what it was made for. */
  readonly label: string;
  readonly createdAtMs: number;
  readonly revokedAtMs: number | null;
}

const FORM = 1;

export const encodeRecord = (record: CapabilityRecord): Buffer =>
  Buffer.from(JSON.stringify({ form: FORM, ...record }));

export function decodeRecord(bytes: Uint8Array): CapabilityRecord {
  const { form, ...record } = JSON.parse(Buffer.from(bytes).toString()) as CapabilityRecord & {
    form: number;
  };
  if (form === FORM) return Object.freeze(record);
  throw new SoloError("storage_corrupt", `A capability has the form ${form}.`);
}

export const holderKey = (holder: Holder): string => {
  if (holder.kind === "bearer") return "bearer";
  return holder.kind === "tenant"
    ? `tenant ${holder.tenant}`
    : `service ${holder.tenant}/${holder.service}`;
};
