/** How the new revision of a rollout does beside the old one. */
import type { Performance, Watchdog } from "#deploy/watchdog.ts";
import type { Replica } from "#kernel/services/replica/replica.ts";
import { ENOUGH_MESSAGES, judge, type Regression } from "#kernel/upgrades/judge.ts";
import { performancePerInstance } from "#kernel/upgrades/performance.ts";

/** What the newer replicas do worse than the older ones, or than `before` while these have
 *  too little to do. */
export function regressionsOf(options: {
  readonly newer: readonly Replica[];
  readonly older: readonly Replica[];
  readonly before: Performance;
  readonly watchdog: Watchdog;
}): readonly Regression[] {
  const { newer, older, before, watchdog } = options;
  if (!watchdog.enabled || newer.length === 0) return [];
  const beside = performancePerInstance(older);
  const usual = beside.messages >= ENOUGH_MESSAGES ? beside : before;
  const of = usual === beside ? older.length : newer.length + older.length;
  const verdict = judge({
    watchdog,
    // As many crashes as so many of the older ones would have had.
    baseline: { ...usual, crashes: (usual.crashes * newer.length) / of },
    seen: performancePerInstance(newer),
    quarantined: newer.some(({ state }) => state === "quarantined"),
    elapsedMs: 0,
  });
  return verdict.kind === "roll_back" ? verdict.regressions : [];
}

/** Messages that they have been sent, ever. */
export const sentTo = (replicas: readonly Replica[]): number =>
  replicas.reduce((sum, { record }) => sum + record.counts.messages, 0);
