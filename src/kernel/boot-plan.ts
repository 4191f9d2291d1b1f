/**
 * In which order services come back after the kernel's start, and which are held back: pure.
 *
 * 1. A higher priority begins first; among equals the tenants take turns, so that all their
 *    cells work at the same time.
 * 2. A service that did not come back last time waits longer each time, also across restarts
 *    of the kernel; one that only a person can help is not tried again by itself.
 */
import type { ErrorCode } from "#base/errors.ts";
import type { Deployment, Trouble } from "#deploy/deployments.ts";

const FIRST_WAIT_MS = 5000;
const WAIT_FACTOR = 4;
const MAX_WAIT_MS = 3_600_000;

export interface BootPlan {
  readonly start: readonly Deployment[];
  readonly heldBack: readonly Deployment[];
}

/** `sleeps`: nothing of it runs, so that it costs nothing and can come last. */
export function planBoot(
  all: readonly Deployment[],
  options: { readonly nowMs: number; readonly sleeps: (deployment: Deployment) => boolean },
): BootPlan {
  const heldBack = all.filter(({ trouble }) => isHeldBack(trouble, options.nowMs));
  const held = new Set(heldBack);
  const rest = all.filter((each) => !held.has(each));
  const awake = rest.filter((each) => !options.sleeps(each));
  const levels = Map.groupBy(awake, ({ spec }) => spec.priority);
  const start = [...levels.keys()]
    .toSorted((a, b) => b - a)
    .flatMap((priority) => byTurns(levels.get(priority)!));
  return { start: [...start, ...rest.filter(options.sleeps)], heldBack };
}

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
