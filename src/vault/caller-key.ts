/** The key that a caller may bring for one secret: text, which is stretched, or 32 bytes. */
import { SoloError } from "#base/errors.ts";
import type { Random } from "#vault/keyring.ts";
import { type Argon2, checkedKey, stretch } from "#vault/keys.ts";
import { SALT_BYTES } from "#vault/limits.ts";
import type { CallerKey } from "#vault/row.ts";

export type CallerSecret = string | Uint8Array;

export async function newCallerKey(
  secret: CallerSecret | undefined,
  { params, random }: { params: Argon2; random: Random },
): Promise<{ readonly caller: CallerKey; readonly callerKey: Buffer | undefined }> {
  if (secret === undefined) return { caller: { kind: "none" }, callerKey: undefined };
  const caller: CallerKey =
    typeof secret === "string"
      ? { kind: "passphrase", salt: random(SALT_BYTES), params }
      : { kind: "key" };
  return { caller, callerKey: await deriveCallerKey(caller, secret) };
}

/** The key's bytes from what is brought now, for a row that says how they were made. */
export async function deriveCallerKey(
  caller: CallerKey,
  secret: CallerSecret | undefined,
): Promise<Buffer | undefined> {
  if (caller.kind === "none") {
    if (secret === undefined) return undefined;
    throw refused("The secret was stored without a key of its own.", "Ask for it without a key.");
  }
  if (secret === undefined)
    throw refused(
      "The secret opens only with its own key.",
      "Give the key that it was stored with.",
    );
  if (caller.kind === "key" && typeof secret !== "string") return Buffer.from(checkedKey(secret));
  if (caller.kind === "passphrase" && typeof secret === "string") {
    return await stretch(secret, caller.salt, caller.params);
  }
  throw refused("The key does not open the secret.", "Give the key that it was stored with.");
}

const refused = (detail: string, hint: string): SoloError =>
  new SoloError("permission_denied", detail, { hint });
