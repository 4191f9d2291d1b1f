/**
 * What the prelude asks of the world outside its isolate. The bridge script
 * implements it and hands it to the prelude once, before any guest code runs.
 *
 * 1. The guest never reaches this object: the prelude keeps it in a closure.
 * 2. Nothing here blocks; an answer arrives in a later turn of the guest.
 */

/**
 * What a segment's script evaluates to: called once, it answers for its names. `core`
 * takes the segments in place of the platform and installs everything.
 */
export type Segment = (host: GuestHost, platform: object) => unknown;
export type CoreSegment = (host: GuestHost, segments: Segments) => void;

/** Each as its text, or as what its compiled script evaluated to. */
export interface Segments {
  readonly web: string | Segment;
  readonly compat: string | Segment;
  readonly inspect: string | Segment;
  readonly idna: string | Segment;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface GuestHost {
  /** Fire and forget, bounded by the bridge. */
  send(kind: string, id: number, text: string): void;
  /** JSON in, JSON out; bytes travel as base64. Rejects when the host refuses. `signal` gives
   *  the request up, or what is still to come of its answer's body. */
  request(method: string, args: unknown, signal?: AbortSignal): Promise<unknown>;
  /** Throws when the guest holds too many timers. Returns an id above 0. */
  setTimer(delayMs: number, repeat: boolean, run: () => void): number;
  clearTimer(id: number): void;
  log(level: LogLevel, text: string): void;
  /** Fills `bytes` (at most 65 536) with cryptographically strong random values. */
  entropy(bytes: Uint8Array): void;
  /** Milliseconds since the host's origin, whole, never decreasing. */
  now(): number;
}

/** Arguments and answer of `request("fetch", …)`. */
export interface FetchRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly redirect: string;
  /** base64, or null without a body. */
  readonly body: string | null;
}

export interface FetchAnswer {
  readonly status: number;
  readonly statusText?: string;
  readonly headers?: readonly (readonly [string, string])[];
  /** The address that answered, after redirects. */
  readonly url?: string;
  readonly redirected?: boolean;
  readonly body?: ReadableStream<Uint8Array> | null;
}

/** A CryptoKey on its way: the material is the guest's own, so the host stays stateless. */
export interface WireKey {
  readonly type: string;
  readonly extractable: boolean;
  readonly usages: readonly string[];
  readonly algorithm: unknown;
  readonly format: "raw" | "pkcs8" | "spki";
  /** base64 */
  readonly data: string;
}

/** `request("crypto.subtle", { operation, args })`, whose values hold `{ $bytes }` and `{ $key }`,
 *  resolves with this; it rejects only when the host refuses. */
export type SubtleAnswer =
  | { readonly value: unknown }
  | { readonly error: { readonly name: string; readonly message: string } };
