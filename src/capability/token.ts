/**
 * Tokens: `solo_`, 32 random bytes, a checksum.
 *
 * 1. Only the SHA-256 of a token is kept; looking one up by its hash tells a guesser nothing,
 *    since nobody can choose where a guess falls.
 * 2. The checksum is no secret: it tells a mistyped or cut token from an unknown one, and lets
 *    a scanner find leaked tokens in text.
 */
import { hash } from "node:crypto";
import { crc32 } from "node:zlib";

const TOKEN_BYTES = 32;
const TOKEN_PATTERN = /^solo_[A-Za-z0-9_-]{49}$/;
/** Longer texts are not even hashed. */
export const MAX_TOKEN_CHARS = 256;

const PREFIX = "solo_";
const SECRET_CHARS = 43;

export function newToken(random: (bytes: number) => Uint8Array): string {
  const secret = Buffer.from(random(TOKEN_BYTES)).toString("base64url");
  return PREFIX + secret + checksum(secret);
}

/** Right in form and checksum; whether it was ever given out is another question. */
export function isToken(text: string): boolean {
  if (!TOKEN_PATTERN.test(text)) return false;
  const secret = text.slice(PREFIX.length, PREFIX.length + SECRET_CHARS);
  return text.slice(PREFIX.length + SECRET_CHARS) === checksum(secret);
}

/** Lower-case hex. */
export const tokenHash = (token: string): string => hash("sha256", token, "hex");

function checksum(secret: string): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(secret));
  return bytes.toString("base64url");
}
