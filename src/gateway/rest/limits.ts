/** Every bound of the HTTP side, by name. Node's own defaults are far too generous. */

export interface RestLimits {
  /** From connection (or the end of the last request) to complete request headers. */
  readonly headerTimeoutMs: number;
  /** From headers to the complete JSON body of an operation. */
  readonly bodyTimeoutMs: number;
  /** Longest silence of a client that uploads to a service. */
  readonly uploadIdleMs: number;
  /** Longest time a client may leave a full send buffer unread. */
  readonly stallMs: number;
  /** How long an idle connection is kept for the next request. */
  readonly keepAliveMs: number;
  /** Time to read the rest of an upload that a service answered without reading it all. */
  readonly lingerMs: number;
  readonly headerBytes: number;
  readonly urlBytes: number;
  /** Of a JSON body; uploads to services are streamed and have no bound here. */
  readonly bodyBytes: number;
  /** Nesting of arrays and objects in a JSON body. */
  readonly jsonDepth: number;
  readonly connections: number;
  /** Silence after which an event stream carries a comment, so that proxies keep it open. */
  readonly heartbeatMs: number;
  /** How long a stream may wait for its first message before its headers are sent;
   *  a refusal within that time is a plain HTTP error, a later one an error frame. */
  readonly streamOpenMs: number;
  /** What an EventSource is told to wait before it reconnects. */
  readonly reconnectMs: number;
}

export const REST_LIMITS: RestLimits = Object.freeze({
  headerTimeoutMs: 10_000,
  bodyTimeoutMs: 30_000,
  uploadIdleMs: 60_000,
  stallMs: 60_000,
  keepAliveMs: 30_000,
  lingerMs: 2_000,
  headerBytes: 16 * 1024,
  urlBytes: 8 * 1024,
  bodyBytes: 8 * 1024 * 1024,
  jsonDepth: 64,
  connections: 4096,
  heartbeatMs: 15_000,
  streamOpenMs: 50,
  reconnectMs: 2_000,
});
