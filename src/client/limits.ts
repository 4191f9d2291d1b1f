/** Every bound of the client, by name. */

/** How long a request may take unless its caller or its own input says otherwise. */
export const DEFAULT_TIMEOUT_MS = 60_000;
/** What a request may take beyond the time its input gives the kernel. */
export const TIMEOUT_MARGIN_MS = 5_000;
/** The longest answer that is read into memory. */
export const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** The longest line of a stream. */
export const MAX_LINE_CHARS = 16 * 1024 * 1024;
/** A stream of events that is silent for longer is taken for broken; the kernel writes every 15 s. */
export const STREAM_IDLE_MS = 45_000;
/** Reconnects in a row that brought nothing before a stream gives up. */
export const MAX_RECONNECTS = 10;
export const RECONNECT_FIRST_MS = 100;
export const RECONNECT_MAX_MS = 5_000;
/** A connection that stood this long counts as one that worked. */
export const STEADY_MS = 10_000;
