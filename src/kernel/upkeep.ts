/** What must happen again and again: state to disk, and an eye on instances that hang. */
import type { Clock } from "#base/clock.ts";
import { pause, within } from "#base/deadline.ts";
import type { Logger } from "#base/log.ts";
import { keyText } from "#base/ids.ts";
import type { Tenants } from "#kernel/tenants.ts";

const FLUSH_MS = 5000;
const CHECK_MS = 50;
const FLUSHES_AT_ONCE = 32;
/** A guest that is busy for longer is left to the next round. */
const FLUSH_WAIT_MS = 2000;

export interface UpkeepOptions {
  readonly tenants: Tenants;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Runs until the signal fires. A flush that hangs does not keep an eye from the others. */
export async function upkeep(options: UpkeepOptions, signal: AbortSignal): Promise<void> {
  await Promise.all([watchProgress(options, signal), keepFlushed(options, signal)]);
}

async function watchProgress(
  { tenants, clock }: UpkeepOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await pause(CHECK_MS, signal);
    for (const service of tenants.all()) service.checkProgress(clock.now());
  }
}

async function keepFlushed({ tenants, log }: UpkeepOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await pause(FLUSH_MS, signal);
    if (!signal.aborted) await flushAll(tenants, log);
  }
}

/** Hybrid state of every service to disk; what cannot be written is tried again next time. */
export async function flushAll(tenants: Pick<Tenants, "all">, log: Logger): Promise<void> {
  const services = [...tenants.all()];
  const worker = async () => {
    for (let service = services.pop(); service !== undefined; service = services.pop()) {
      const name = keyText(service.key);
      await within(service.flush(), { ms: FLUSH_WAIT_MS, what: "its state" }).catch(
        (error: unknown) => log.warn("state not flushed", { service: name, error: String(error) }),
      );
    }
  };
  await Promise.all(Array.from({ length: FLUSHES_AT_ONCE }, worker));
}
