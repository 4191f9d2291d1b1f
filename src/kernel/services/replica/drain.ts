/** The wait for what a held replica has in hand, before its state is told to its successor. */
import type { Clock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import type { ServiceId } from "#base/ids.ts";
import type { Instance } from "#kernel/services/instance/instance.ts";
import { settledWithin } from "#supervisor/effort.ts";

/** A concurrent service has so long before its requests are left behind. */
const CONCURRENT_GRACE_MS = 250;
const RESTART_POLL_MS = 5;

export interface DrainOptions {
  readonly service: ServiceId;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** The one that runs now; undefined while it restarts. */
  readonly instance: () => Instance | undefined;
  /** Where none runs it is waited for. */
  readonly mustRun: boolean;
}

/**
 * Resolves when nothing is in hand that could change the state; rejects with `conflict` when
 * that takes longer than `timeoutMs`. Requests that a concurrent service still answers after
 * CONCURRENT_GRACE_MS are left to it.
 */
export async function drain({
  service,
  clock,
  timeoutMs,
  mustRun,
  ...options
}: DrainOptions): Promise<void> {
  const begun = clock.now();
  for (;;) {
    const instance = options.instance();
    if (instance === undefined ? !mustRun : instance.openCount === 0) return;
    const left = begun + timeoutMs - clock.now();
    const graceLeft = begun + CONCURRENT_GRACE_MS - clock.now();
    const onlyRequests =
      instance?.started.traits?.includes("concurrent") === true && instance.openMessages === 0;
    if (onlyRequests && graceLeft <= 0) return;
    if (left <= 0) throw stillBusy(service, timeoutMs);
    const patience = onlyRequests ? Math.min(left, graceLeft) : left;
    if (instance !== undefined) await settledWithin([instance.headway()], patience);
    else await new Promise((resolve) => setTimeout(resolve, Math.min(RESTART_POLL_MS, left)));
  }
}

const stillBusy = (service: ServiceId, timeoutMs: number): SoloError =>
  new SoloError("conflict", `${service} did not finish its messages within ${timeoutMs} ms.`, {
    hint: "Update it when it is less busy.",
    retryAfterMs: 1000,
  });
