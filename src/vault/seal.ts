/**
 * AES-256-GCM, the only cipher here.
 *
 * 1. Tags have 16 bytes and IVs 12, when sealing and when opening.
 * 2. What does not open says nothing about why, and gives no part of the plaintext.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import { IV_BYTES, KEY_BYTES, TAG_BYTES } from "#vault/limits.ts";

export interface Sealed {
  readonly iv: Uint8Array;
  readonly tag: Uint8Array;
  readonly ciphertext: Uint8Array;
}

export interface SealOptions {
  readonly key: Uint8Array;
  /** Never used twice with one key. */
  readonly iv: Uint8Array;
  readonly aad: Uint8Array;
  readonly plaintext: Uint8Array;
}

const CIPHER = "aes-256-gcm";

export function seal({ key, iv, aad, plaintext }: SealOptions): Sealed {
  const cipher = createCipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(aad);
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return { iv, tag: cipher.getAuthTag(), ciphertext };
}

/** The plaintext, or undefined when key, data and associated data do not belong together. */
export function open(options: {
  key: Uint8Array;
  aad: Uint8Array;
  sealed: Sealed;
}): Buffer | undefined {
  const { key, aad, sealed } = options;
  const { iv, tag, ciphertext } = sealed;
  if (key.length !== KEY_BYTES || iv.length !== IV_BYTES || tag.length !== TAG_BYTES)
    return undefined;
  const decipher = createDecipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES });
  decipher.setAAD(aad);
  decipher.setAuthTag(tag);
  const plaintext = decipher.update(ciphertext);
  try {
    decipher.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    return undefined;
  }
}

/** Associated data of several parts, each where it is: ["a", "bc"] is not ["ab", "c"]. */
export const associated = (...parts: readonly (string | number)[]): Buffer =>
  Buffer.from(JSON.stringify(parts));

/** Sealed as one run of bytes: IV, tag, ciphertext. */
export const pack = ({ iv, tag, ciphertext }: Sealed): Buffer =>
  Buffer.concat([iv, tag, ciphertext]);

export const unpack = (bytes: Uint8Array): Sealed => ({
  iv: bytes.subarray(0, IV_BYTES),
  tag: bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES),
  ciphertext: bytes.subarray(IV_BYTES + TAG_BYTES),
});
