/** Every bound of the storage layer, in one place. */

/** Older SQLite had a WAL-reset bug that could lose committed rows. */
export const MIN_SQLITE_VERSION = "3.51.3";

/** Rows of one event file before the next is begun; a file may overshoot by one commit. */
export const EVENTS_PER_FILE = 1_048_576;
/** Events covered by one set of posting lists; offsets within it are 16-bit. */
export const EVENTS_PER_BLOCK = 16_384;
/** Events taken into one commit; a longer queue waits for the next. */
export const MAX_EVENTS_PER_COMMIT = 4_096;
/** Requests taken into one commit; those that came together are not parted. */
export const MAX_REQUESTS_PER_COMMIT = 4_096;
/** Requests on their way to a storage thread; beyond it callers are refused. */
export const MAX_PENDING_REQUESTS = 50_000;

/** Payload bytes after which a page of a read ends early. */
export const MAX_READ_BYTES = 8 * 1024 * 1024;
/** Events that `verify` checks before other reads get their turn. */
export const VERIFY_STEP_EVENTS = 8_192;
/** Event files that the reader keeps open. */
export const MAX_OPEN_EVENT_FILES = 8;

export const MAX_NAMESPACE_CHARS = 256;
export const MAX_KEY_CHARS = 1_024;
export const MAX_VALUE_BYTES = 16 * 1024 * 1024;
export const MAX_LIST_LIMIT = 10_000;
/** Rows past their expiry are invisible at once and removed this often. */
export const EXPIRY_SWEEP_MS = 60_000;

/** Log lines kept per service. */
export const LOG_LINES_PER_SERVICE = 10_000;
/** Lines a service adds between two prunings of its log. */
export const LOG_PRUNE_EVERY = 1_000;
/**
 * Log lines that may be on their way to disk. Sequence numbers start this far above the
 * newest stored line, so a line lost in a crash never shares its number with another.
 */
export const MAX_LOG_BACKLOG = 20_000;

/** How long SQLite waits for a lock that a reader or a checkpoint holds. */
export const BUSY_TIMEOUT_MS = 5_000;
/** Page cache per database, in KiB. */
export const WRITER_CACHE_KIB = 65_536;
export const READER_CACHE_KIB = 8_192;

/** Pages of a write-ahead log after which SQLite carries them over into the database. */
export const CHECKPOINT_PAGES = 1_000;
/** What a write-ahead log needs until then: 4 KiB a page and its header, and a large commit. */
export const WAL_ROOM_BYTES = 4_608 * 1_024;
/** Free space below which no room is taken ahead of need. */
export const PLENTY_OF_ROOM_BYTES = 1_024 * 1_024 * 1_024;
