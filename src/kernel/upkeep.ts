/** What must happen again and again: state to disk, and an eye on instances that hang. */
import type { Clock } from "#base/clock.ts";
import type { Logger } from "#base/log.ts";
import { keyText } from "#base/ids.ts";
import type { Tenants } from "#kernel/tenants.ts";

const FLUSH_MS = 5000;
const CHECK_MS = 250;
const FLUSHES_AT_ONCE = 32;

export interface UpkeepOptions {
  readonly tenants: Tenants;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Runs until the signal fires. */
export async function upkeep(
  { tenants, clock, log }: UpkeepOptions,
  signal: AbortSignal,
): Promise<void> {
  let flushedAt = clock.now();
  while (!signal.aborted) {
    await pause(CHECK_MS, signal);
    const now = clock.now();
    for (const service of tenants.all()) service.checkProgress(now);
    if (now - flushedAt < FLUSH_MS) continue;
    flushedAt = now;
    await flushAll(tenants, log);
  }
}

/** Hybrid state of every service to disk; what cannot be written is tried again next time. */
export async function flushAll(tenants: Tenants, log: Logger): Promise<void> {
  const services = [...tenants.all()];
  const worker = async () => {
    for (let service = services.pop(); service !== undefined; service = services.pop()) {
      const name = keyText(service.key);
      await service
        .flush()
        .catch((error: unknown) =>
          log.warn("state not flushed", { service: name, error: String(error) }),
        );
    }
  };
  await Promise.all(Array.from({ length: FLUSHES_AT_ONCE }, worker));
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
