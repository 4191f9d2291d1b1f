/** A rollout that cannot go on after the kernel's start, undone before anything of the service runs: pure. */
import type { Deployment } from "#deploy/deployments.ts";
import type { KeptState } from "#deploy/kept-states.ts";
import type { RolloutRecord } from "#deploy/rollouts.ts";
import type { Snapshot, StateKey } from "#deploy/snapshots.ts";
import { sourceHash } from "#deploy/spec.ts";

export interface Undone {
  readonly record: RolloutRecord;
  readonly deployment: Deployment;
  /** Every moved slot's state from before. */
  readonly states: readonly (readonly [StateKey, Snapshot])[];
}

export function undoneAtRest(options: {
  readonly record: RolloutRecord;
  readonly deployment: Deployment;
  readonly kept: ReadonlyMap<number, KeptState>;
  readonly why: string;
  readonly atMs: number;
}): Undone {
  const { record, deployment, kept, why, atMs } = options;
  const source = sourceHash(deployment.spec);
  return {
    record: {
      ...record,
      spec: undefined,
      capabilities: [],
      rollout: {
        ...record.rollout,
        phase: "rolled_back",
        phaseSinceMs: atMs,
        slots: [],
        reason: why,
        setback: "failure",
      },
    },
    deployment: { ...deployment, quarantined: false },
    states: [...kept].map(([slot, { state, version }]) => [
      { ...record.key, slot },
      { state, version, sourceHash: source },
    ]),
  };
}
