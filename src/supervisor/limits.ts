/** Every bound of the supervision layer. */

/** OTP's defaults: one restart in five seconds. */
export const DEFAULT_MAX_RESTARTS = 1;
export const DEFAULT_MAX_SECONDS = 5;
export const MAX_RESTARTS = 10_000;
export const MAX_SECONDS = 86_400;
export const MAX_SHUTDOWN_MS = 86_400_000;
export const MAX_CHILD_ID_LENGTH = 256;
export const MAX_CHILDREN = 100_000;
/** Commands that wait for their turn in one supervisor. */
export const MAX_PENDING_COMMANDS = 10_000;
/** How long a killed child may take to be gone before it is given up as lost. */
export const KILL_GRACE_MS = 2_000;
