/** What the audit trail hears of secrets: names, versions and codes, never a value or a key. */
import type { SoloError } from "#base/errors.ts";
import type { TenantId } from "#base/ids.ts";
import type { NewEvent } from "#events/event.ts";

export interface SecretName {
  readonly tenant: TenantId;
  readonly name: string;
}

const about = (
  type: "secret_stored" | "secret_accessed" | "secret_access_denied" | "secret_revoked",
  { tenant, name }: SecretName,
  payload: Readonly<Record<string, unknown>>,
): NewEvent => ({ type, tenantId: tenant, subject: name, payload });

/** `vault_counter` in the audit trail shows when a whole data directory was set back. */
export const storedEvent = (
  secret: SecretName,
  at: { version: number; counter: number },
): NewEvent => about("secret_stored", secret, { version: at.version, vault_counter: at.counter });

export const accessedEvent = (secret: SecretName, version: number): NewEvent =>
  about("secret_accessed", secret, { version });

export const revokedEvent = (
  secret: SecretName,
  at: { versions: readonly number[]; counter: number },
): NewEvent =>
  about("secret_revoked", secret, { versions: at.versions, vault_counter: at.counter });

/** For whoever calls the vault and was refused. */
export const accessDeniedEvent = (secret: SecretName, error: SoloError): NewEvent =>
  about("secret_access_denied", secret, { code: error.code, detail: error.message });
