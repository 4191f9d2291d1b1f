/** Landlock's structures and numbers (linux/landlock.h), as bytes. Pure. */

/** System call numbers, the same on every architecture. */
export const LANDLOCK = { createRuleset: 444, addRule: 445, restrictSelf: 446 } as const;
/** Flag of landlock_create_ruleset: answer the version instead. */
export const ASK_VERSION = 1;
export const RULE_PATH_BENEATH = 1;

const READ_FILE = 1n << 2n;
const READ_DIR = 1n << 3n;
const bits = (count: number): bigint => (1n << BigInt(count)) - 1n;

/** How many kinds of file access each version knows; index is the version. */
const FILE_ACCESSES = [0, 13, 14, 15, 15, 16];
const TCP_FROM = 4;
const SCOPES_FROM = 6;
/** bind and connect. */
const TCP = bits(2);
/** Abstract Unix sockets and signals. */
const SCOPES = bits(2);

/** struct landlock_ruleset_attr: everything that the version can hold is held. */
export function rulesetBytes(version: number): Buffer {
  const accesses = FILE_ACCESSES[Math.min(version, FILE_ACCESSES.length - 1)]!;
  const words = [
    bits(accesses),
    ...(version >= TCP_FROM ? [TCP] : []),
    ...(version >= SCOPES_FROM ? [SCOPES] : []),
  ];
  const bytes = Buffer.alloc(words.length * 8);
  words.forEach((word, index) => bytes.writeBigUInt64LE(word, index * 8));
  return bytes;
}

/** struct landlock_path_beneath_attr (packed): reading, and nothing else. */
export function readOnlyRuleBytes(fd: number, isDirectory: boolean): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeBigUInt64LE(isDirectory ? READ_FILE | READ_DIR : READ_FILE, 0);
  bytes.writeInt32LE(fd, 8);
  return bytes;
}
