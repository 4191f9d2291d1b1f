/** Stored bytes that vouch for themselves: a SHA-256, then what it is of. */
import { createHash } from "node:crypto";

const DIGEST_BYTES = 32;

const digest = (body: Uint8Array): Buffer => createHash("sha256").update(body).digest();

export const withChecksum = (body: Buffer): Buffer => Buffer.concat([digest(body), body]);

/** The body, or undefined when it is torn or altered. */
export function checked(value: Uint8Array): Buffer | undefined {
  const stored = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const body = stored.subarray(DIGEST_BYTES);
  return digest(body).equals(stored.subarray(0, DIGEST_BYTES)) ? body : undefined;
}
