/** So many clients, each sending its next request when its last was answered. */
import { summarize, type Summary } from "../stats.ts";

export interface LoopOptions {
  readonly clients: number;
  readonly warmMs: number;
  readonly runMs: number;
  /** Sends one request and checks its answer. */
  readonly once: (client: number) => Promise<void>;
}

export interface LoopResult extends Summary {
  /** Answers per second. */
  readonly rate: number;
}

export async function closedLoop({
  clients,
  warmMs,
  runMs,
  once,
}: LoopOptions): Promise<LoopResult> {
  const begun = performance.now();
  const from = begun + warmMs;
  const until = from + runMs;
  const samples: number[] = [];
  const client = async (_: unknown, index: number) => {
    for (let sent = performance.now(); sent < until;) {
      await once(index);
      const now = performance.now();
      if (sent >= from && now <= until) samples.push(now - sent);
      sent = now;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { ...summarize(samples), rate: (samples.length * 1000) / runMs };
}
