/** Keys that come from outside: master keys, and keys that callers bring for one secret. */
import { argon2, createHmac, hkdfSync } from "node:crypto";
import { SoloError } from "#base/errors.ts";
import { ARGON2_MAX, KEY_BYTES, KEY_ID_BYTES, MAX_PASSPHRASE_CHARS } from "#vault/limits.ts";

/** A passphrase goes through argon2id; 32 random bytes are a key as they are. */
export type MasterKey =
  | { readonly kind: "passphrase"; readonly passphrase: string }
  | { readonly kind: "key"; readonly key: Uint8Array };

/** Said to argon2id; stored beside what was derived, since defaults grow with the years. */
export interface Argon2 {
  readonly memoryKib: number;
  readonly passes: number;
  readonly parallelism: number;
}

/** A key that wraps data keys, with the name that rows know it by. */
export interface Kek {
  /** 16 hex digits, derived from the key and telling nothing of it. */
  readonly id: string;
  readonly key: Buffer;
}

export const kekOf = (key: Uint8Array): Kek => ({
  id: createHmac("sha256", key)
    .update("solo vault key id")
    .digest("hex")
    .slice(0, KEY_ID_BYTES * 2),
  key: Buffer.from(key),
});

export const isAllowed = (params: Argon2): boolean =>
  (["memoryKib", "passes", "parallelism"] as const).every(
    (name) =>
      Number.isInteger(params[name]) && params[name] >= 1 && params[name] <= ARGON2_MAX[name],
  ) && params.memoryKib >= 8 * params.parallelism;

export function stretch(passphrase: string, salt: Uint8Array, params: Argon2): Promise<Buffer> {
  if (passphrase === "" || passphrase.length > MAX_PASSPHRASE_CHARS) {
    throw invalidKey(`must have 1 to ${MAX_PASSPHRASE_CHARS} characters`);
  }
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  argon2(
    "argon2id",
    {
      message: Buffer.from(passphrase.normalize("NFKC")),
      nonce: salt,
      memory: params.memoryKib,
      passes: params.passes,
      parallelism: params.parallelism,
      tagLength: KEY_BYTES,
    },
    (error, derived) => (error ? reject(error) : resolve(derived)),
  );
  return promise;
}

export function checkedKey(key: Uint8Array): Uint8Array {
  if (key.length === KEY_BYTES) return key;
  throw invalidKey(`must have ${KEY_BYTES} bytes`);
}

/** The key that seals a value when the caller brought one: neither key alone opens it. */
export const combine = (dataKey: Uint8Array, callerKey: Uint8Array): Buffer =>
  Buffer.from(hkdfSync("sha256", dataKey, callerKey, "solo vault caller key", KEY_BYTES));

const invalidKey = (message: string): SoloError =>
  new SoloError("invalid_argument", `The key ${message}.`, { fields: [{ field: "key", message }] });
