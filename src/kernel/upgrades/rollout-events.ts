/** What the event log says of a rollout: each event names the one before it as its cause. */
import type { SoloError } from "#base/errors.ts";
import type { ServiceKey } from "#base/ids.ts";
import { rounded } from "#base/rounded.ts";
import { shareOf, type Rollout } from "#deploy/rollout.ts";
import type { RolloutRecord } from "#deploy/rollouts.ts";
import type { EventLog } from "#events/event-log.ts";
import type { Regression } from "#kernel/upgrades/judge.ts";

const MAX_DETAIL_CHARS = 2000;

export interface Figures {
  readonly pauseMs?: number;
  readonly stateBytes?: number;
  readonly regressions?: readonly Regression[];
  /** Which state the old revision goes on with. */
  readonly state?: string;
}

type RolloutEvent = "rollout_started" | "rollout_step" | "rollout_promoted" | "rollout_rolled_back";

export class RolloutEvents {
  readonly #events: EventLog;

  constructor(events: EventLog) {
    this.#events = events;
  }

  began(facts: {
    readonly key: ServiceKey;
    readonly rollout: Rollout;
    readonly by: string;
    readonly message: string | undefined;
  }): number {
    const { key, rollout, by, message } = facts;
    const why = { by, ...(message !== undefined && { message }) };
    return this.#tell("rollout_started", { key, payload: { ...payloadOf(rollout), ...why } });
  }

  /** Its first step failed: nothing has changed. */
  refused({ key, rollout, causeId }: RolloutRecord, { code, message }: SoloError): void {
    const detail = message.slice(0, MAX_DETAIL_CHARS);
    const payload = { ...payloadOf(rollout), phase: "rolled_back", code, detail };
    this.#tell("rollout_rolled_back", { key, payload, causeId });
  }

  step({ key, rollout, causeId }: RolloutRecord, figures: Figures): number {
    const payload = { ...payloadOf(rollout), ...shown(figures) };
    return this.#tell("rollout_step", { key, payload, causeId });
  }

  over({ key, rollout, causeId }: RolloutRecord, figures: Figures): void {
    const payload = { ...payloadOf(rollout), ...shown(figures) };
    const type = rollout.phase === "promoted" ? "rollout_promoted" : "rollout_rolled_back";
    this.#tell(type, { key, payload, causeId });
  }

  #tell(
    type: RolloutEvent,
    about: { readonly key: ServiceKey; readonly payload: object; readonly causeId?: number },
  ): number {
    const { key, payload, causeId } = about;
    return this.#events.emit({
      type,
      tenantId: key.tenant,
      subject: key.service,
      payload,
      ...(causeId !== undefined && { causationId: causeId }),
    });
  }
}

function payloadOf(rollout: Rollout): object {
  const { id, strategy, from, to, phase, step, slots, reason, setback } = rollout;
  const percent = shareOf(rollout);
  return {
    rollout: id,
    strategy: strategy.kind,
    from_revision: from,
    revision: to,
    phase,
    step: step + 1,
    steps: strategy.steps.length,
    slots,
    ...(percent !== undefined && { percent }),
    ...(reason !== undefined && { reason }),
    ...(setback !== undefined && { setback }),
  };
}

const shown = ({ pauseMs, stateBytes, regressions = [], state }: Figures): object => ({
  ...(pauseMs !== undefined && { pause_ms: rounded(pauseMs) }),
  ...(stateBytes !== undefined && { state_bytes: stateBytes }),
  ...(regressions.length > 0 && { regressions }),
  ...(state !== undefined && { state }),
});
