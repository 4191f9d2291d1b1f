/** The rollout of a service: look at it, and say how it goes on. */
import type { OutputOf } from "#api/catalogue.ts";
import { shareOf, type Command, type Rollout } from "#deploy/rollout.ts";
import { keyOf, type Asked, type Handlers } from "#kernel/operations/handlers.ts";
import type { Tenants } from "#kernel/tenants.ts";
import type { RolloutDriver } from "#kernel/upgrades/rollout-driver.ts";

export interface RolloutParts {
  readonly tenants: Tenants;
  readonly rollouts: RolloutDriver;
}

type RolloutHandlers = Pick<
  Handlers,
  "GetRollout" | "PauseRollout" | "ResumeRollout" | "PromoteRollout" | "AbortRollout"
>;

export const rolloutHandlers = ({ tenants, rollouts }: RolloutParts): RolloutHandlers => {
  const say =
    (command: Command) =>
    async (input: { readonly service_id: string }, asked: Asked): Promise<OutputOf<"GetRollout">> =>
      shownRollout(await rollouts.command(tenants.get(keyOf(input, asked)), command));
  return {
    async GetRollout(input, asked) {
      return shownRollout(await rollouts.get(tenants.get(keyOf(input, asked))));
    },
    PauseRollout: say("pause"),
    ResumeRollout: say("resume"),
    PromoteRollout: say("promote"),
    AbortRollout: say("abort"),
  };
};

export function shownRollout(rollout: Rollout): OutputOf<"GetRollout"> {
  const { id, strategy, phase, step, slots, from, to, reason } = rollout;
  const percent = shareOf(rollout);
  return {
    id,
    strategy: strategy.kind,
    phase,
    step: step + 1,
    steps: strategy.steps.length,
    ...(percent !== undefined && { percent }),
    slots: [...slots],
    from,
    to,
    since: new Date(rollout.phaseSinceMs).toISOString(),
    started_at: new Date(rollout.startedAtMs).toISOString(),
    ...(reason !== undefined && { reason }),
  };
}
