/**
 * In which order services come back after the kernel's start, and which are held back: pure.
 *
 * 1. A higher priority begins first; among equals the tenants take turns, so that all their
 *    cells work at the same time.
 * 2. A service that did not come back last time waits longer each time, also across restarts
 *    of the kernel; one that only a person can help is not tried again by itself.
 * 3. Whom an earlier kernel was starting when it died comes alone, after all others: when the
 *    next kernel dies as well, it is known of whom.
 */
import type { ErrorCode } from "#base/errors.ts";
import type { Deployment, Trouble } from "#deploy/deployments.ts";

const FIRST_WAIT_MS = 5000;
const WAIT_FACTOR = 4;
const MAX_WAIT_MS = 3_600_000;

/** So many kernels in a row that died at the start of the same service were ended by it. */
const MAX_DEATHS = 2;

export interface BootPlan {
  readonly start: readonly Deployment[];
  /** One after the other, once those have been started. */
  readonly alone: readonly Deployment[];
  readonly heldBack: readonly Deployment[];
}

export interface BootFacts {
  readonly nowMs: number;
  /** Nothing of it runs, so that it costs nothing and can come last. */
  readonly sleeps: (deployment: Deployment) => boolean;
  /** A kernel died while it was starting it. */
  readonly isSuspect: (deployment: Deployment) => boolean;
}

export function planBoot(all: readonly Deployment[], options: BootFacts): BootPlan {
  const heldBack = all.filter(({ trouble }) => isHeldBack(trouble, options.nowMs));
  const held = new Set(heldBack);
  const rest = all.filter((each) => !held.has(each));
  const starts = rest.filter((each) => !options.sleeps(each));
  const awake = starts.filter((each) => !options.isSuspect(each));
  const alone = starts.filter(options.isSuspect);
  const levels = Map.groupBy(awake, ({ spec }) => spec.priority);
  const start = [...levels.keys()]
    .toSorted((a, b) => b - a)
    .flatMap((priority) => byTurns(levels.get(priority)!));
  return { start: [...start, ...rest.filter(options.sleeps)], alone, heldBack };
}

/** Whether it is held back because kernels died while they were starting it. */
export const isFatal = (deaths: number): boolean => deaths >= MAX_DEATHS;

/** Wall time of the next try; undefined when it is not tried again by itself. */
export function nextTryAt({ failures, lastAtMs, code }: Trouble): number | undefined {
  if (!helpsToWait(code)) return undefined;
  return lastAtMs + Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * WAIT_FACTOR ** (failures - 1));
}

export function isHeldBack(trouble: Trouble | undefined, nowMs: number): boolean {
  if (trouble === undefined) return false;
  const at = nextTryAt(trouble);
  // A clock that was set back must not hold a service back for years.
  return at !== undefined && nowMs < at && nowMs >= trouble.lastAtMs - MAX_WAIT_MS;
}

/** A damaged state does not get better by itself. */
const helpsToWait = (code: ErrorCode): boolean => code !== "storage_corrupt";

function byTurns(all: readonly Deployment[]): Deployment[] {
  const tenants = [...Map.groupBy(all, ({ key }) => key.tenant).values()];
  const longest = Math.max(0, ...tenants.map((each) => each.length));
  return Array.from({ length: longest }, (_, at) =>
    tenants.flatMap((each) => each[at] ?? []),
  ).flat();
}
