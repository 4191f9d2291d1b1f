/** Stored bytes that vouch for themselves: a SHA-256, then what it is of. */
import { hash } from "node:crypto";

const DIGEST_BYTES = 32;

const digest = (body: Uint8Array): Buffer => hash("sha256", body, "buffer");

/** In a buffer of its own, so that it travels to the storage thread without being copied out. */
export function withChecksum(body: string | Uint8Array): Buffer {
  const bytes = typeof body === "string" ? Buffer.byteLength(body) : body.length;
  const stored = Buffer.allocUnsafeSlow(DIGEST_BYTES + bytes);
  const place = stored.subarray(DIGEST_BYTES);
  if (typeof body === "string") place.write(body);
  else place.set(body);
  digest(place).copy(stored);
  return stored;
}

/** The body, or undefined when it is torn or altered. */
export function checked(value: Uint8Array): Buffer | undefined {
  const stored = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const body = stored.subarray(DIGEST_BYTES);
  return digest(body).equals(stored.subarray(0, DIGEST_BYTES)) ? body : undefined;
}
