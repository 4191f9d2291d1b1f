/** Random bytes from the host's pool, in the portions it gives out. */
import { host } from "./platform.ts";

/** The Web Crypto quota, which is also what the host fills at once. */
export const MAX_ENTROPY_BYTES = 65_536;

export function randomBytes(count: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(count);
  host.entropy(bytes);
  return bytes;
}

/** A whole number in [0, max), as node:crypto's randomInt; max is at most 2^32. */
export function randomInt(max: number): number {
  const limit = 2 ** 32 - (2 ** 32 % max);
  for (;;) {
    const value = new DataView(randomBytes(4).buffer).getUint32(0);
    if (value < limit) return value % max;
  }
}
