/**
 * A swap forward or back as people ask for it: all slots at once, on record, and on probation
 * where there is a measure and a way back.
 *
 * 1. It is one swap, one entry of the history and a chain of events: started → succeeded →
 *    rolled back, each naming the one before it as its cause.
 */
import { toSoloError } from "#base/errors.ts";
import { rounded } from "#base/rounded.ts";
import type { Revisions } from "#deploy/revisions.ts";
import type { Snapshots } from "#deploy/snapshots.ts";
import { revisionOf, type ServiceSpec } from "#deploy/spec.ts";
import type { Handles } from "#kernel/deploys/handles.ts";
import type { Faults } from "#kernel/faults.ts";
import type { HostApi } from "#kernel/services/host/host-api.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import { newRevision, type Revision } from "#kernel/services/revision.ts";
import type { Minted } from "#kernel/services/host/service-authority.ts";
import type { Service } from "#kernel/services/service.ts";
import type { Tenants } from "#kernel/tenants.ts";
import { runs, type Change, type Changed, type Coming } from "#kernel/upgrades/change.ts";
import { Journal } from "#kernel/upgrades/journal.ts";
import { performanceOf } from "#kernel/upgrades/performance.ts";
import type { ProbationKeeper, Trial } from "#kernel/upgrades/probation-keeper.ts";
import type { Rehearsals } from "#kernel/upgrades/rehearsals.ts";
import { presentFor, swap, type Swapped } from "#kernel/upgrades/swap.ts";
import { WayBack } from "#kernel/upgrades/way-back.ts";

const MAX_DETAIL_CHARS = 2000;

export interface HotSwapsOptions {
  readonly tenants: Tenants;
  readonly handles: Handles;
  readonly snapshots: Snapshots;
  readonly revisions: Revisions;
  readonly powers: ServicePowers;
  readonly hostApi: HostApi;
  readonly faults: Faults;
  readonly probations: ProbationKeeper;
  readonly rehearsals: Rehearsals;
}

export class HotSwaps {
  readonly #options: HotSwapsOptions;
  readonly #journal: Journal;
  readonly #wayBack: WayBack;

  constructor(options: HotSwapsOptions) {
    this.#options = options;
    this.#journal = new Journal(options);
    this.#wayBack = new WayBack(options);
  }

  async run({ service, spec, code }: Coming, change: Change): Promise<Omit<Changed, "warnings">> {
    const { handles, powers } = this.#options;
    const journal = this.#journal;
    const { key, current: previous } = service;
    const payload = {
      from_revision: previous.id,
      revision: revisionOf(spec),
      action: change.action,
      by: change.by.id,
      ...(change.message !== undefined && { message: change.message }),
    };
    const startedId = journal.tell("hot_swap_started", key, payload);
    const trial = this.#trialOf(service, spec, { ...change, startedId });
    let swapped: Swapped;
    try {
      swapped = await handles.mintedFor({ key, spec, by: change.by }, async (minted) => {
        const revision = newRevision({ spec, code, handles: minted.handles });
        return this.#swapTo(service, revision, change, { trial, minted });
      });
    } catch (error) {
      const refusal = toSoloError(error);
      const detail = refusal.message.slice(0, MAX_DETAIL_CHARS);
      const why = { code: refusal.code, detail };
      journal.tell("hot_swap_rolled_back", key, { ...payload, ...why }, startedId);
      throw error;
    }
    const startedInMs = powers.clock.now() - change.begun;
    const { pauseMs, stateBytes } = swapped;
    const figures = {
      pause_ms: rounded(pauseMs),
      state_bytes: stateBytes,
      took_ms: rounded(startedInMs),
    };
    const causationId = await journal.succeeded(key, { ...payload, ...figures }, startedId);
    const probationMs = this.#tried({ previous, trial, swapped, causationId }, service);
    return {
      service,
      startedInMs,
      swapped: { pauseMs, stateBytes },
      ...(probationMs !== undefined && { probationMs }),
    };
  }

  #swapTo(
    service: Service,
    revision: Revision,
    change: Change,
    { trial, minted }: { readonly trial: Trial | undefined; readonly minted: Minted },
  ): Promise<Swapped> {
    const { tenants, powers, faults, probations, rehearsals } = this.#options;
    const why = { by: change.by.id, action: change.action, message: change.message };
    return swap({
      service,
      revision,
      tenants,
      powers,
      faults,
      drain: true,
      evenIfDown: false,
      rehearse: (successor) => rehearsals.selfTest(service, successor, change),
      stateOf: (replica, successor) =>
        change.action === "rollback"
          ? this.#wayBack.handOver(service, replica, successor)
          : presentFor(replica, revision),
      record: this.#journal.recorder(service, revision, why, (handed) => [
        ...minted.rows(),
        ...probations.writes(trial, service.key, handed),
      ]),
    });
  }

  /** The probation that the change begins, if there is a measure and a way back. */
  #trialOf(
    service: Service,
    spec: ServiceSpec,
    { action, startedId: causeId }: Change & { readonly startedId: number },
  ): Trial | undefined {
    if (!spec.watchdog.enabled || action === "rollback" || !runs(service)) return undefined;
    const { current: previous } = service;
    return { service, spec, previous, baseline: performanceOf(service.replicas), causeId };
  }

  /** The new revision serves. Returns for how long it is watched, if it is. */
  #tried(
    done: {
      readonly previous: Revision;
      readonly trial: Trial | undefined;
      readonly swapped: Swapped;
      readonly causationId: number;
    },
    service: Service,
  ): number | undefined {
    const { probations, handles } = this.#options;
    const { previous, trial, swapped, causationId } = done;
    if (trial !== undefined) return probations.begin(trial, swapped, causationId);
    probations.end(service);
    void swapped.left.then(() => handles.discard(previous.handles));
    return undefined;
  }
}
