/** A change that cannot go on after the kernel's start, undone before anything of the service runs: pure. */
import type { Deployment } from "#deploy/deployments.ts";
import type { KeptState } from "#deploy/kept-states.ts";
import type { ProbationRecord } from "#deploy/probations.ts";
import type { RolloutRecord } from "#deploy/rollouts.ts";
import type { Snapshot, StateKey } from "#deploy/snapshots.ts";
import { revisionOf, sourceHash } from "#deploy/spec.ts";

/** What a slot had before, as its state is stored. */
type SlotState = readonly [StateKey, Snapshot];

export interface Undone {
  readonly deployment: Deployment;
  /** Of every slot that had changed. */
  readonly states: readonly SlotState[];
}

export interface UndoneRollout extends Undone {
  readonly record: RolloutRecord;
}

/** Every slot is the current revision's again. */
export function undoneRollout(options: {
  readonly record: RolloutRecord;
  readonly deployment: Deployment;
  readonly kept: ReadonlyMap<number, KeptState>;
  readonly why: string;
  readonly atMs: number;
}): UndoneRollout {
  const { record, deployment, kept, why, atMs } = options;
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
    states: statesOf(deployment, kept),
  };
}

/** The revision before the one on probation is current again. */
export function undoneProbation(options: {
  readonly record: ProbationRecord;
  readonly deployment: Deployment;
  readonly kept: ReadonlyMap<number, KeptState>;
}): Undone {
  const { record, kept } = options;
  const { trouble: _, ...rest } = options.deployment;
  const { spec, capabilities } = record.previous;
  const deployment = {
    ...rest,
    revision: revisionOf(spec),
    spec,
    capabilities,
    quarantined: false,
  };
  return { deployment, states: statesOf(deployment, kept) };
}

function statesOf(
  { key, spec }: Deployment,
  kept: ReadonlyMap<number, KeptState>,
): readonly SlotState[] {
  const source = sourceHash(spec);
  return [...kept].map(([slot, { state, version }]) => [
    { ...key, slot },
    { state, version, sourceHash: source },
  ]);
}
