/** Waits that end: every wait on something outside races a deadline. */
import { SoloError, type ErrorCode } from "#base/errors.ts";

export interface WithinOptions {
  readonly ms: number;
  /** What was awaited, for the message: "the cell to start". */
  readonly what: string;
  readonly code?: ErrorCode;
  readonly signal?: AbortSignal;
}

/** `promise`, or a typed error once `ms` have passed or `signal` fires. Leaves no timer behind. */
export async function within<T>(promise: Promise<T>, options: WithinOptions): Promise<T> {
  const { ms, what, code = "deadline_exceeded", signal } = options;
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new SoloError(code, `Waited ${ms} ms for ${what}.`)), ms);
  const abort = () => reject(new SoloError("cancelled", `Stopped waiting for ${what}.`));
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** Resolves after so long, or at once when the signal fires. */
export const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
