/** The settings as a flat table, with the names each of them has in every place. */
import type { z } from "zod";
import { isName } from "#base/ids.ts";
import { SECTIONS, TENANT_SECTION, type KeyMeta } from "#config/schema.ts";

export interface ConfigKey extends KeyMeta {
  readonly section: string;
  readonly name: string;
  /** `section.name` */
  readonly path: string;
  /** Undefined when there is none: a derived default, or a tenant's override. */
  readonly defaultValue: unknown;
  readonly schema: z.ZodType;
  /** `SOLO_HTTP_PORT`, `SOLO_LIMITS_MEMORY_MB`; a tenant's settings have none. */
  readonly env: string | undefined;
}

/** The section that needs no prefix: SOLO_HTTP_PORT, --http-port. */
export const MAIN_SECTION = "solo";
export const TENANTS = "tenants";

function keysOf(section: string, shape: Readonly<Record<string, z.ZodType>>): ConfigKey[] {
  const prefix = section === MAIN_SECTION ? "SOLO" : `SOLO_${section.toUpperCase()}`;
  return Object.entries(shape).map(([name, schema]) => ({
    ...(schema.meta() as unknown as KeyMeta),
    section,
    name,
    path: `${section}.${name}`,
    defaultValue: schema.parse(undefined),
    schema,
    env: section === TENANTS ? undefined : `${prefix}_${name.toUpperCase()}`,
  }));
}

export const KEYS: readonly ConfigKey[] = Object.entries(SECTIONS).flatMap(([section, schema]) =>
  keysOf(section, schema.shape),
);
export const TENANT_KEYS: readonly ConfigKey[] = keysOf(TENANTS, TENANT_SECTION.shape);

const byPath = new Map(KEYS.map((key) => [key.path, key]));
const byEnv = new Map(KEYS.map((key) => [key.env, key]));
const tenantByName = new Map(TENANT_KEYS.map((key) => [key.name, key]));

/** The key at a path such as ["limits", "memory_mb"] or ["tenants", "acme", "mailbox"]. */
export function keyAt(path: readonly string[]): ConfigKey | undefined {
  const [section, tenant, name] = path;
  if (section !== TENANTS) return byPath.get(path.join("."));
  return path.length === 3 && isName(tenant ?? "") ? tenantByName.get(name ?? "") : undefined;
}

/** `tenants.a.b.mailbox` is a setting of the tenant "a.b": names may hold dots. */
export function pathOf(dotted: string): readonly string[] {
  const parts = dotted.split(".");
  return parts[0] === TENANTS && parts.length > 3
    ? [TENANTS, parts.slice(1, -1).join("."), parts.at(-1)!]
    : parts;
}

export const keyOfEnv = (name: string): ConfigKey | undefined => byEnv.get(name);

/** Whether a table may stand at this path: a section, or one tenant's. */
export function isTable(path: readonly string[]): boolean {
  const [section = "", tenant] = path;
  if (section === TENANTS) {
    return path.length === 1 || (path.length === 2 && isName(tenant ?? ""));
  }
  return path.length === 1 && Object.hasOwn(SECTIONS, section);
}

/** What could have been meant at the last part of this path. */
export function namesBeside(path: readonly string[]): readonly string[] {
  const [section = ""] = path;
  if (path.length === 1) return [...Object.keys(SECTIONS), TENANTS];
  const keys = section === TENANTS ? TENANT_KEYS : KEYS.filter((key) => key.section === section);
  return keys.map((key) => key.name);
}
