/** Random bytes from the host's pool, in the portions it gives out. */
import { host } from "./platform.ts";

/** The Web Crypto quota, which is also what the host fills at once. */
export const MAX_ENTROPY_BYTES = 65_536;

export function randomBytes(count: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(count);
  host.entropy(bytes);
  return bytes;
}

const RANDOM_BYTES = 6;
const RANDOM_RANGE = 2 ** (8 * RANDOM_BYTES);

/** A whole number in [0, max), evenly, as node:crypto's randomInt; max is below 2^48. */
export function randomInt(max: number): number {
  const limit = RANDOM_RANGE - (RANDOM_RANGE % max);
  for (;;) {
    const value = randomBytes(RANDOM_BYTES).reduce((sum, byte) => sum * 256 + byte, 0);
    if (value < limit) return value % max;
  }
}
