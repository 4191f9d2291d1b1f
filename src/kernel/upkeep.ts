/** What must happen again and again: state to disk, idle instances to sleep, and an eye on
 *  limits and on instances that hang. */
import type { Clock } from "#base/clock.ts";
import { pause, within } from "#base/deadline.ts";
import type { Logger } from "#base/log.ts";
import { keyText } from "#base/ids.ts";
import type { BootLoader } from "#kernel/boot.ts";
import type { Replica } from "#kernel/services/replica/replica.ts";
import type { CellPool } from "#kernel/cells/pool.ts";
import { SAMPLE_MS, type LimitsBook } from "#kernel/limits/book.ts";
import type { Tenants } from "#kernel/tenants.ts";

const FLUSH_MS = 5000;
const CHECK_MS = 50;
const FLUSHES_AT_ONCE = 32;
const IDLE_CHECK_MS = 250;
const RETRY_CHECK_MS = 1000;
const SLEEPS_AT_ONCE = 16;
/** A guest that is busy for longer is left to the next round. */
const FLUSH_WAIT_MS = 2000;

export interface UpkeepOptions {
  readonly tenants: Tenants;
  readonly clock: Clock;
  readonly log: Logger;
  /** Services that did not come back are tried again. */
  readonly loader: Pick<BootLoader, "retry">;
  readonly limits: LimitsBook;
  readonly cells: CellPool;
}

/** Runs until the signal fires. A flush that hangs does not keep an eye from the others. */
export async function upkeep(options: UpkeepOptions, signal: AbortSignal): Promise<void> {
  await Promise.all([
    watchProgress(options, signal),
    watchLimits(options, signal),
    keepFlushed(options, signal),
    sendToSleep(options, signal),
    retryHeldBack(options, signal),
  ]);
}

async function watchLimits(
  { tenants, limits, cells }: UpkeepOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await pause(SAMPLE_MS, signal);
    if (signal.aborted) return;
    const gone = limits.sample(tenants.all(), cells.usage());
    for (const tenant of gone) cells.forget(tenant);
  }
}

async function watchProgress(
  { tenants, clock }: UpkeepOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await pause(CHECK_MS, signal);
    checkProgress(tenants, clock.now());
  }
}

/** Apart from the loop, which would hold the last service, killed or not, while it pauses. */
function checkProgress(tenants: Tenants, now: number): void {
  for (const service of tenants.all()) service.checkProgress(now);
}

async function sendToSleep(
  { tenants, clock, log }: UpkeepOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await pause(IDLE_CHECK_MS, signal);
    if (!signal.aborted) await hibernateIdle({ tenants, now: clock.now(), log });
  }
}

/** Evicts the instances that have been idle for as long as their services say. */
async function hibernateIdle(options: {
  readonly tenants: Pick<Tenants, "all">;
  readonly now: number;
  readonly log: Logger;
}): Promise<void> {
  const idle: Replica[] = [];
  for (const { spec, replicas } of options.tenants.all()) {
    const { hibernateAfterMs } = spec;
    if (hibernateAfterMs === 0) continue;
    for (const replica of replicas) {
      if (replica.idleMs(options.now) >= hibernateAfterMs) idle.push(replica);
    }
  }
  const worker = async () => {
    for (let replica = idle.pop(); replica !== undefined; replica = idle.pop()) {
      const service = keyText(replica.key);
      await replica.hibernate().catch((error: unknown) => {
        options.log.warn("service not hibernated", { service, error: String(error) });
      });
    }
  };
  await Promise.all(Array.from({ length: SLEEPS_AT_ONCE }, worker));
}

async function retryHeldBack({ loader }: UpkeepOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await pause(RETRY_CHECK_MS, signal);
    if (!signal.aborted) await loader.retry();
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
