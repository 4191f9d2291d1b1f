/**
 * Changes that an earlier kernel has begun and not ended: what goes on with each of them, and
 * what undoes it before anything of its service runs.
 */
import { keyText } from "#base/ids.ts";
import type { Deployment } from "#deploy/deployments.ts";
import type { Dormant } from "#deploy/dormants.ts";
import type { Reviver } from "#kernel/deploys/reviver.ts";
import type { ProbationKeeper } from "#kernel/upgrades/probation-keeper.ts";
import type { RolloutDriver } from "#kernel/upgrades/rollout-driver.ts";

export interface Unfinished {
  readonly what: "rollout" | "probation";
  /** Slots that begin with what they had before, once it is undone. */
  readonly slots: readonly number[];
  /** Brings the service back, and goes on with the change. */
  resume(deployment: Deployment, asleep: ReadonlyMap<string, Dormant>): Promise<void>;
  /** What the service is to be brought back as, without the change. */
  undo(deployment: Deployment, why: string): Promise<Deployment>;
}

export interface UnfinishedParts {
  readonly reviver: Pick<Reviver, "revive">;
  readonly rollouts: Pick<RolloutDriver, "underWay" | "resume" | "undo">;
  readonly probations: Pick<ProbationKeeper, "underWay" | "resume" | "undo" | "forget">;
}

/** By `keyText`; of a service there is one at most. */
export async function unfinishedChanges(
  parts: UnfinishedParts,
  deployments: readonly Deployment[],
): Promise<Map<string, Unfinished>> {
  const { reviver, rollouts, probations } = parts;
  const found = new Map<string, Unfinished>();
  const [rolling, tried] = await Promise.all([rollouts.underWay(), probations.underWay()]);
  for (const [name, record] of rolling) {
    found.set(name, {
      what: "rollout",
      slots: record.rollout.slots,
      resume: (deployment, asleep) =>
        rollouts.resume(record, () => reviver.revive(deployment, asleep, { rolling: record })),
      undo: (deployment, why) => rollouts.undo(record, deployment, why),
    });
  }
  const current = new Map(deployments.map(({ key, revision }) => [keyText(key), revision]));
  for (const [name, record] of tried) {
    // A rollout has ended it, or a kill was cut off.
    if (found.has(name) || current.get(name) !== record.revision) {
      await probations.forget(record);
      continue;
    }
    const { instances } = record.previous.spec;
    found.set(name, {
      what: "probation",
      slots: Array.from({ length: instances }, (_, slot) => slot),
      async resume(deployment, asleep) {
        const kept = record.previous.capabilities;
        await probations.resume(record, await reviver.revive(deployment, asleep, { kept }));
      },
      undo: (deployment, why) => probations.undo(record, deployment, why),
    });
  }
  return found;
}
