/**
 * Branded identifiers: a tenant can never be passed where a service is meant.
 * Names come from outside and are checked here, once; instance ids are never reused (K8).
 */
import { randomBytes } from "node:crypto";
import { SoloError } from "#base/errors.ts";

declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

export type TenantId = Brand<string, "tenant">;
export type ServiceId = Brand<string, "service">;
/** `<16 hex of start time and randomness>`; never reused, also across kernel restarts. */
export type InstanceId = Brand<string, "instance">;
/** `r_` and the first 16 hex digits of the SHA-256 of the revision's content. */
export type RevisionId = Brand<string, "revision">;
/** A position in the event log: dense, from 1. */
export type EventId = number;

/** A letter or digit, then letters, digits, `.`, `_`, `-`; 64 characters at most. */
export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
export const NAME_RULE =
  "must start with a letter or digit, hold only letters, digits, '.', '_' and '-', and be at most 64 characters long";

const RESERVED = new Set(["__proto__", "constructor", "prototype"]);

export const isName = (value: string): boolean =>
  NAME_PATTERN.test(value) && !value.includes("..") && !RESERVED.has(value);

function name<T extends string>(field: string, value: string): T {
  if (isName(value)) return value as T;
  throw new SoloError("invalid_argument", `${field} ${NAME_RULE}.`, {
    fields: [{ field, message: NAME_RULE }],
    hint: `Choose another ${field}, such as "counter".`,
  });
}

export const tenantId = (value: string): TenantId => name<TenantId>("tenant_id", value);
export const serviceId = (value: string): ServiceId => name<ServiceId>("service_id", value);
export const newInstanceId = (): InstanceId =>
  `i_${Date.now().toString(36)}${randomBytes(5).toString("hex")}` as InstanceId;

export const newRolloutId = (): string => `ro_${randomBytes(8).toString("hex")}`;

/** What a service is called inside the kernel: unique, and printable in logs. */
export interface ServiceKey {
  readonly tenant: TenantId;
  readonly service: ServiceId;
}
export const keyText = (key: ServiceKey): string => `${key.tenant}/${key.service}`;
