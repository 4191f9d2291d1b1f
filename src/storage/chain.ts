/**
 * The tamper-evident chain. Pure.
 *
 * 1. Each commit's hash is SHA-256 over the previous commit's hash and the text of its
 *    events, so changing, removing, swapping or adding an event breaks it from there on.
 * 2. Each event also carries a checksum of its own text, which tells *which* event of a
 *    broken commit was changed. It is no defence by itself: the hash is.
 * 3. The text is unambiguous: the length of every variable part stands before it.
 */
import { hash } from "node:crypto";
import { crc32 } from "node:zlib";

export const GENESIS_HASH = "0".repeat(64);

/** An event as it is stored and hashed: texts, not the numbers that stand for them in a file. */
export interface StoredEvent {
  readonly id: number;
  /** Monotonic nanoseconds, a decimal text. */
  readonly timestamp: string;
  readonly wallMs: number;
  /** The kernel run within which `timestamp` can be compared. */
  readonly bootId: string;
  readonly tenant: string | null;
  readonly type: string;
  readonly subject: string | null;
  /** JSON. */
  readonly payload: string;
  readonly causationId: number | null;
}

export function eventText(event: StoredEvent): string {
  const { id, timestamp, wallMs, bootId, tenant, type, subject, payload, causationId } = event;
  return (
    `${id},${timestamp},${wallMs},${causationId ?? "-"},${bootId.length},${tenant?.length ?? "-"},` +
    `${type.length},${subject?.length ?? "-"},${payload.length}:${bootId}${tenant ?? ""}${type}${subject ?? ""}${payload}\n`
  );
}

export const checksum = (text: string): number => crc32(text);

export const chainHash = (previous: string, texts: readonly string[]): string =>
  hash("sha256", previous + texts.join(""));
