/** Every bound of the capability layer, in one place. */

/** Capabilities that may exist at once, ended ones included until they are swept. */
export const MAX_CAPABILITIES = 100_000;
/** Of one tenant: what its tokens derive must not keep others from deploying. */
export const MAX_CAPABILITIES_PER_TENANT = 20_000;
/** Links from a root to its deepest descendant, the root included. */
export const MAX_CHAIN = 16;
export const DEFAULT_DEPTH = 8;
/** Capabilities derived directly from one. */
export const MAX_CHILDREN = 10_000;
export const DEFAULT_CHILDREN = 100;

export const MAX_RESOURCES = 32;
export const MAX_RESOURCE_CHARS = 300;
export const MAX_LABEL_CHARS = 100;
export const MAX_CALL_RULES = 64;
/** Of all rules together, as JSON: they are held in memory. */
export const MAX_CALLS_CHARS = 16_384;
export const MAX_CONSTRAINTS = 16;
export const MAX_CHOICES = 100;
export const MAX_CHOICE_CHARS = 256;
export const MAX_FIELD_DEPTH = 8;

export const DEFAULT_RATE_PER_MINUTE = 1_000;
export const MAX_RATE_PER_MINUTE = 1_000_000_000;
export const MAX_USES = 1_000_000_000;

export const SWEEP_MS = 60_000;
/** How long an expired capability stays, so that a denial can still say "expired". */
export const EXPIRED_KEPT_MS = 60_000;
/** The same for a revoked one. */
export const REVOKED_KEPT_MS = 24 * 60 * 60_000;

/** Capabilities that a denial looks through for the nearest one. */
export const MAX_NEAREST_CANDIDATES = 100;
export const MAX_LIST = 1_000;
