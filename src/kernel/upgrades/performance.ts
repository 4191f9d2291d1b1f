/** How replicas have done in the last minute or so. */
import type { Performance } from "#deploy/watchdog.ts";
import type { Replica } from "#kernel/services/replica/replica.ts";
import { together } from "#kernel/services/replica/vitals.ts";

/** Memory is that of all of them. */
export const performanceOf = (replicas: readonly Replica[]): Performance => ({
  ...together(replicas.map(({ vitals }) => vitals.read())),
  memoryBytes: replicas.reduce((sum, { instance }) => sum + (instance?.heapBytes ?? 0), 0),
});

/** Memory is that of one, so that groups of different sizes compare. */
export function performancePerInstance(replicas: readonly Replica[]): Performance {
  const all = performanceOf(replicas);
  return { ...all, memoryBytes: all.memoryBytes / Math.max(1, replicas.length) };
}
