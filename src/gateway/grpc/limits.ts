/** Every bound of the gRPC gateway, by name. */
export interface GrpcLimits {
  /** One request, bytes; also after decompression. */
  readonly maxReceiveBytes: number;
  /** One answer or one message of a stream, bytes. */
  readonly maxSendBytes: number;
  /** Unfinished requests of all connections together, bytes: they are held before anybody
   *  knows who sent them. */
  readonly maxUnfinishedBytes: number;
  readonly maxConnections: number;
  /** Requests in flight on one connection. */
  readonly maxConcurrentStreams: number;
  /** Memory that one connection may hold in HTTP/2 buffers. */
  readonly maxSessionMegabytes: number;
  /** A connection is pinged this often … */
  readonly keepaliveMs: number;
  /** … and closed when it does not answer within this time. */
  readonly keepaliveTimeoutMs: number;
  /** More pings from one connection within a second close it. gRPC clients that measure
   *  bandwidth ping often while data flows, so this is far from tight. */
  readonly maxPingsPerSecond: number;
  /** More SETTINGS frames from one connection within a second close it. */
  readonly maxSettingsPerSecond: number;
  /** Entries in one SETTINGS frame. */
  readonly maxSettings: number;
  /** All headers of one request together, bytes; 65535 until the client knows of this. */
  readonly maxHeaderBytes: number;
  readonly maxHeaders: number;
  /** Frames against the protocol, and streams beyond the limit, after which a connection is closed. */
  readonly maxInvalidFrames: number;
  readonly maxRejectedStreams: number;
  /** Requests that one connection may cancel at once, and each second after that; more close it. */
  readonly streamResetBurst: number;
  readonly streamResetsPerSecond: number;
  /** From a call's headers to its whole request message. */
  readonly requestMs: number;
  /** Longest time a client may leave what was written to it unread. */
  readonly stallMs: number;
}

export const DEFAULT_GRPC_LIMITS: GrpcLimits = Object.freeze({
  maxReceiveBytes: 16 * 1024 * 1024,
  maxSendBytes: 16 * 1024 * 1024,
  maxUnfinishedBytes: 256 * 1024 * 1024,
  maxConnections: 4096,
  maxConcurrentStreams: 1024,
  maxSessionMegabytes: 512,
  keepaliveMs: 60_000,
  keepaliveTimeoutMs: 20_000,
  maxPingsPerSecond: 1000,
  maxSettingsPerSecond: 100,
  maxSettings: 32,
  maxHeaderBytes: 16 * 1024,
  maxHeaders: 128,
  maxInvalidFrames: 100,
  maxRejectedStreams: 100,
  streamResetBurst: 1000,
  streamResetsPerSecond: 100,
  requestMs: 60_000,
  stallMs: 60_000,
});

/** Bytes of trailing metadata that clients accept by default are 8192; these keep below it
 *  together, after base64. */
export const MAX_ERROR_JSON_BYTES = 3000;
export const MAX_ERROR_DETAILS_BYTES = 1000;
export const MAX_ERROR_MESSAGE_LENGTH = 1024;

/** How long what is still sent of a request that has failed is read and thrown away. */
export const MAX_DISCARD_MS = 5000;
