/** The bounds of outbound requests that no setting changes; the others are under [egress]. */

const KIB = 1024;

export const MAX_REDIRECTS = 10;
export const MAX_URL_CHARS = 16 * KIB;
/** Of one request, names and values, also after secrets were filled in. */
export const MAX_REQUEST_HEADER_BYTES = 64 * KIB;
export const MAX_RESPONSE_HEADER_BYTES = 64 * KIB;
/** Looking a name up occupies a thread of Node's pool of four, which others need too. */
export const MAX_LOOKUPS = 2;
export const MAX_WAITING_LOOKUPS = 1000;
export const LOOKUP_TIMEOUT_MS = 5000;
/** Of one name; more are refused rather than chosen from. */
export const MAX_ADDRESSES = 64;
export const CONNECT_TIMEOUT_MS = 10_000;
/** How long a connection is kept for the same service's next request to the same place. */
export const IDLE_CONNECTION_MS = 10_000;
/** Compressions on top of each other in one response. */
export const MAX_CODINGS = 2;
/** Requests of one tenant that wait for one of its requests to end. */
export const MAX_WAITING_PER_TENANT = 256;
/** Requests of all tenants at a time. */
export const MAX_IN_ALL = 2048;
/** Bodies that the kernel holds until they are sent, waiting requests included. */
export const MAX_BODY_BYTES_PER_TENANT = 32 * KIB * KIB;
export const MAX_BODY_BYTES_IN_ALL = 256 * KIB * KIB;
