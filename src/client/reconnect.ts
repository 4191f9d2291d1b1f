/**
 * Whether a broken stream is opened again: a pure decision.
 *
 * 1. Only what may pass by itself is tried again; a refusal is final.
 * 2. At most MAX_RECONNECTS in a row without progress.
 */
import type { ErrorCode, SoloError } from "#base/errors.ts";
import { MAX_RECONNECTS, RECONNECT_FIRST_MS, RECONNECT_MAX_MS } from "#client/limits.ts";

const PASSING: ReadonlySet<ErrorCode> = new Set([
  "kernel_unreachable",
  "unavailable",
  "shutting_down",
  "overloaded",
  "deadline_exceeded",
]);

export interface BrokenStream {
  /** Undefined when the stream simply ended. */
  readonly error: SoloError | undefined;
  /** Reconnects so far that brought nothing. */
  readonly failures: number;
  /** Between 0 and 1: spreads clients that lost the same kernel. */
  readonly random: number;
}

export type Reconnect = { readonly afterMs: number } | "give_up";

export function decideReconnect({ error, failures, random }: BrokenStream): Reconnect {
  if (error !== undefined && !PASSING.has(error.code)) return "give_up";
  if (failures >= MAX_RECONNECTS) return "give_up";
  const backoff = Math.min(RECONNECT_MAX_MS, RECONNECT_FIRST_MS * 2 ** failures);
  return { afterMs: Math.max(backoff * (0.5 + random / 2), error?.options.retryAfterMs ?? 0) };
}
