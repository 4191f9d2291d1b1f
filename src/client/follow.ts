/**
 * A stream that survives its connection.
 *
 * 1. After a break it goes on behind the last message seen: none missed, none twice.
 * 2. The first connection must succeed; only later ones are tried again, boundedly.
 * 3. `signal` ends the iteration without an error; leaving the loop closes the connection.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "#base/clock.ts";
import { SoloError, toSoloError } from "#base/errors.ts";
import { STEADY_MS } from "#client/limits.ts";
import { decideReconnect } from "#client/reconnect.ts";

export interface FollowOptions<T> {
  /** Connects; `after` is the cursor of the last message seen, undefined before the first. */
  readonly open: (after: number | undefined, signal: AbortSignal) => Promise<AsyncIterable<T>>;
  /** Undefined for a stream that ends by itself and is not resumed. */
  readonly cursorOf: ((message: T) => number) | undefined;
  readonly after: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
  readonly random: () => number;
}

export async function* follow<T>(options: FollowOptions<T>): AsyncGenerator<T, void> {
  const { open, cursorOf, clock, random } = options;
  const own = new AbortController();
  const signal = AbortSignal.any([own.signal, ...(options.signal ? [options.signal] : [])]);
  let after = options.after;
  let failures = 0;
  let connected = false;
  try {
    while (!signal.aborted) {
      const openedAt = clock.now();
      let error: SoloError | undefined;
      try {
        const messages = await open(after, signal);
        connected = true;
        for await (const message of messages) {
          const cursor = cursorOf?.(message);
          if (cursor !== undefined && after !== undefined && cursor <= after) continue;
          after = cursor;
          failures = 0;
          yield message;
        }
        if (cursorOf === undefined) return;
      } catch (thrown) {
        if (signal.aborted) return;
        error = toSoloError(thrown);
        if (!connected || cursorOf === undefined) throw error;
      }
      if (clock.now() - openedAt >= STEADY_MS) failures = 0;
      const decision = decideReconnect({ error, failures, random: random() });
      if (decision === "give_up") throw error ?? ended();
      failures += 1;
      await sleep(decision.afterMs, undefined, { signal }).catch(() => {});
    }
  } finally {
    own.abort();
  }
}

const ended = (): SoloError =>
  new SoloError("unavailable", "The kernel ends the stream each time it is opened.", {
    hint: "Look at the kernel's health: `solo health`.",
  });
