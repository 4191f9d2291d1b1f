/** Every bound of the event log's in-memory side, in one place. */

/** Events emitted but not yet on the disk; beyond it emitters are refused with `overloaded`. */
export const MAX_BACKLOG_EVENTS = 131_072;
export const MAX_BACKLOG_CHARS = 64 * 1024 * 1024;
/** The part of the backlog that the services of one tenant may fill with events of their own. */
export const TENANT_SHARE = 1 / 4;
/** Events sent to the store in one message. */
export const MAX_BATCH = 1_024;
/** Messages of events on their way to the store. */
export const MAX_IN_FLIGHT = 8;
/**
 * Acknowledged events kept in memory for tails; slower tails read from the disk. More than one
 * commit brings, so that a tail which keeps up never has to.
 */
export const RECENT_EVENTS = 8_192;
export const RECENT_CHARS = 8 * 1024 * 1024;
/** Events that a tail reads from the disk at a time. */
export const TAIL_PAGE = 512;
export const MAX_READ_LIMIT = 10_000;
export const DEFAULT_READ_LIMIT = 100;
/** How long awaited events wait for a restarting store before they are answered `unavailable`. */
export const RESTART_GRACE_MS = 5_000;
/** How often a store that refused a commit (a full disk) is tried again. */
export const RETRY_MS = 500;

/** Characters of a log line; the rest is cut. */
export const MAX_LINE_CHARS = 8_192;
/** Log lines kept in memory for followers. */
export const RECENT_LINES = 4_096;
