/** Every bound of the vault, in one place. */

export const KEY_BYTES = 32;
/** NIST SP 800-38D: 96 bits, random, a new one for every sealing. */
export const IV_BYTES = 12;
/** Said to Node explicitly: without it Node accepts a tag of 4 bytes. */
export const TAG_BYTES = 16;
export const SALT_BYTES = 16;
export const MAC_BYTES = 32;
export const KEY_ID_BYTES = 8;

export const MAX_SECRET_BYTES = 64 * 1024;
export const MAX_PASSPHRASE_CHARS = 1_024;
/** Versions of one secret that can be read; storing another drops the oldest. */
export const VERSIONS_KEPT = 10;
/** Names of one tenant, revoked ones included: their version numbers are never given again. */
export const MAX_NAMES_PER_TENANT = 10_000;
/** Changes that share one commit. */
export const MAX_CHANGES_PER_COMMIT = 256;
/** Changes waiting for a commit; beyond it callers are refused. */
export const MAX_PENDING_CHANGES = 10_000;
/** Rows sealed anew between two looks at other work during a rotation of the master key. */
export const REWRAP_PAGE = 200;

/** RFC 9106, second recommendation: 64 MiB, 3 passes, 4 lanes. */
export const ARGON2_DEFAULTS = { memoryKib: 65_536, passes: 3, parallelism: 4 } as const;
/** What stored parameters may ask for; more was not written by Solo. */
export const ARGON2_MAX = { memoryKib: 1_048_576, passes: 100, parallelism: 64 } as const;

/** Shorter values are not looked for in text: they would redact ordinary words. */
export const MIN_REDACTED_CHARS = 4;
/** The same for lines of a value that has several. */
export const MIN_REDACTED_LINE_CHARS = 12;
/** The same for a value with white space in it that is not its own: wrapped, or said in pieces. */
export const MIN_REDACTED_SPREAD_CHARS = 8;
/** Longer values are not looked for as a list of their bytes. */
export const MAX_LISTED_BYTES = 4 * 1024;
/** Characters compared with those of known values, for each of a text. */
export const STEPS_PER_CHAR = 64;
export const MAX_REDACTED_VALUES = 1_000;

/** Requests at once that bring a key of their own: argon2id takes 64 MiB for each that runs. */
export const MAX_KEYED_REQUESTS = 64;
