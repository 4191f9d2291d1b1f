/**
 * Whether a revision that has just taken over may stay: a pure decision.
 *
 * 1. Nothing is judged that the old revision gives no measure for, except crashes.
 * 2. Few messages are no evidence: rates and percentiles wait for ENOUGH_MESSAGES.
 */
import { rounded } from "#base/rounded.ts";
import type { Performance, Watchdog } from "#deploy/watchdog.ts";

export interface Regression {
  readonly what: "crashes" | "quarantine" | "error_rate" | "latency_p95_ms" | "memory_bytes";
  readonly value: number;
  /** Of the old revision. */
  readonly baseline: number;
  readonly limit: number;
}

export const regressionText = ({ what, value, limit }: Regression): string =>
  `${what} ${rounded(value)}, at most ${rounded(limit)} allowed`;

export type Verdict =
  | { readonly kind: "wait" }
  | { readonly kind: "pass" }
  | { readonly kind: "roll_back"; readonly regressions: readonly Regression[] };

export const ENOUGH_MESSAGES = 20;
/** A slower answer is no regression before it is slower by so much. */
const LATENCY_FLOOR_MS = 50;
/** Nor is more memory, before it is so much more. */
const MEMORY_FLOOR_BYTES = 16 * 1024 * 1024;

export function judge(options: {
  readonly watchdog: Watchdog;
  readonly baseline: Performance;
  /** Of the new revision, since it took over. */
  readonly seen: Performance;
  readonly quarantined: boolean;
  readonly elapsedMs: number;
}): Verdict {
  const { watchdog, elapsedMs, seen } = options;
  const regressions = [...regressionsOf(options)];
  if (regressions.length > 0) return { kind: "roll_back", regressions };
  const over = elapsedMs >= watchdog.windowMs || seen.messages >= watchdog.maxMessages;
  return { kind: over ? "pass" : "wait" };
}

function* regressionsOf({
  watchdog,
  baseline,
  seen,
  quarantined,
}: Parameters<typeof judge>[0]): Generator<Regression> {
  const usualCrashes =
    baseline.overMs > 0 ? Math.ceil((baseline.crashes * watchdog.windowMs) / baseline.overMs) : 0;
  const crashLimit = usualCrashes + watchdog.maxCrashes;
  if (seen.crashes > crashLimit) {
    yield { what: "crashes", value: seen.crashes, baseline: usualCrashes, limit: crashLimit };
  }
  if (quarantined) yield { what: "quarantine", value: 1, baseline: 0, limit: 0 };
  if (seen.messages >= ENOUGH_MESSAGES) {
    const [value, usual] = [errorRate(seen), errorRate(baseline)];
    const limit = usual + watchdog.maxErrorRateIncrease;
    if (value > limit) yield { what: "error_rate", value, baseline: usual, limit };
  }
  if (seen.messages >= ENOUGH_MESSAGES && baseline.messages >= ENOUGH_MESSAGES) {
    const usual = baseline.p95Ms;
    const limit = Math.max(usual * watchdog.maxLatencyFactor, usual + LATENCY_FLOOR_MS);
    if (seen.p95Ms > limit) {
      yield { what: "latency_p95_ms", value: seen.p95Ms, baseline: usual, limit };
    }
  }
  if (baseline.memoryBytes > 0) {
    const usual = baseline.memoryBytes;
    const limit = Math.max(usual * watchdog.maxMemoryFactor, usual + MEMORY_FLOOR_BYTES);
    if (seen.memoryBytes > limit) {
      yield { what: "memory_bytes", value: seen.memoryBytes, baseline: usual, limit };
    }
  }
}

const errorRate = ({ messages, errors }: Performance): number =>
  messages === 0 ? 0 : errors / messages;
