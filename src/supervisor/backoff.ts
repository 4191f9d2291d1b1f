/**
 * How long to wait before a restart.
 *
 * 1. The first restart of a child comes at once.
 * 2. One delay is at most `maxSeconds / (2 * maxRestarts)`: all the delays that fit into
 *    a window use up at most half of it. So a child that keeps failing within the other
 *    half always exceeds the restart intensity; waiting never hides a restart loop.
 */

export interface Backoff {
  /** The delay before the second restart. */
  readonly baseMs: number;
  /** Each further delay is this many times longer. */
  readonly factor: number;
  readonly maxMs: number;
}

export interface Intensity {
  /** More restarts than this within `maxSeconds` are too many. */
  readonly maxRestarts: number;
  readonly maxSeconds: number;
}

export interface DelayOptions extends Intensity {
  readonly backoff?: Backoff | undefined;
  /** The how-manieth failure of the child within the window; counts from 1. */
  readonly attempt: number;
}

/** Milliseconds to wait before restart number `attempt`. */
export function restartDelayMs(options: DelayOptions): number {
  const { backoff, attempt, maxRestarts, maxSeconds } = options;
  if (backoff === undefined || attempt <= 1) return 0;
  const wanted = backoff.baseMs * backoff.factor ** (attempt - 2);
  const share = (maxSeconds * 1000) / (2 * Math.max(maxRestarts, 1));
  return Math.min(wanted, backoff.maxMs, share);
}
