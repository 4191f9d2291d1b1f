/**
 * The moves of a rollout: slots to the new revision, or all of them back (H3).
 *
 * 1. What a slot runs is written in one batch with the state that it begins with, and with what
 *    the rollout is then.
 */
import { decideRollout, isOver, targetSlots, type Rollout } from "#deploy/rollout.ts";
import type { Rollouts } from "#deploy/rollouts.ts";
import type { Snapshots } from "#deploy/snapshots.ts";
import type { Revisions } from "#deploy/revisions.ts";
import type { KvOp } from "#storage/protocol.ts";
import type { Handles } from "#kernel/deploys/handles.ts";
import type { Faults } from "#kernel/faults.ts";
import type { HostApi } from "#kernel/services/host/host-api.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import { keepsState } from "#kernel/services/instance/start-message.ts";
import type { Tenants } from "#kernel/tenants.ts";
import type { ActiveRollout } from "#kernel/upgrades/active-rollout.ts";
import { Journal } from "#kernel/upgrades/journal.ts";
import type { RolloutEvents } from "#kernel/upgrades/rollout-events.ts";
import { keptOf, presentFor, swap, type SwapOptions, type Swapped } from "#kernel/upgrades/swap.ts";
import {
  firstThatWorks,
  isWaitedOut,
  WayBack,
  waysBack,
  type Way,
} from "#kernel/upgrades/way-back.ts";

export interface RolloutMovesOptions {
  readonly tenants: Tenants;
  readonly handles: Handles;
  readonly snapshots: Snapshots;
  readonly revisions: Revisions;
  readonly rollouts: Rollouts;
  readonly powers: ServicePowers;
  readonly hostApi: HostApi;
  readonly faults: Faults;
  readonly events: RolloutEvents;
}

/** What the first step of a rollout does besides. */
export interface FirstMove extends Pick<SwapOptions, "rehearse"> {
  /** To be written with it. */
  readonly beside?: () => readonly KvOp[];
}

/** What a swap in either direction is asked to do. */
type How = FirstMove & Pick<SwapOptions, "drain" | "evenIfDown" | "stateOf">;

export class RolloutMoves {
  readonly #options: RolloutMovesOptions;
  readonly #journal: Journal;
  readonly #wayBack: WayBack;

  constructor(options: RolloutMovesOptions) {
    this.#options = options;
    this.#journal = new Journal(options);
    this.#wayBack = new WayBack(options);
  }

  /** The slots of the step to the new revision. */
  async forward(active: ActiveRollout, first: FirstMove): Promise<Swapped> {
    const swapped = await this.#swap(active, {
      drain: true,
      evenIfDown: false,
      stateOf: (replica) => presentFor(replica, active.next),
      ...first,
    });
    for (const [slot, handed] of swapped.handed) {
      if (!active.kept.has(slot)) active.kept.set(slot, handed);
    }
    this.#moved(active, swapped, {});
    return swapped;
  }

  /** Every slot to the old revision, with ever simpler states. */
  async back(active: ActiveRollout): Promise<void> {
    const { service, rollout, next, kept } = active;
    // A step that could not be made says nothing against what the new revision has done.
    const isRegression = rollout.setback === "regression";
    const { clock } = this.#options.powers;
    const { way, came } = await firstThatWorks(
      isRegression ? waysBack(next.spec.watchdog.stateOnRollback) : ["asked", "restore_old"],
      (each) => this.#swap(active, this.#wayBack.swapBy(each, service, kept)),
      (failure) =>
        // A revision that did worse may be stuck in what it has in hand.
        !(isRegression && failure.code === "conflict") &&
        isWaitedOut(failure, clock.wallMs() - rollout.phaseSinceMs),
    );
    this.#moved(active, came, { state: way });
  }

  #swap(active: ActiveRollout, { beside = () => [], ...how }: How): Promise<Swapped> {
    const { tenants, powers, faults, rollouts, snapshots } = this.#options;
    const { service, rollout, previous, next } = active;
    const forward = rollout.phase !== "rolling_back";
    const target = targetSlots(rollout);
    const nowMs = powers.clock.wallMs();
    const after = decideRollout(rollout, { kind: "moved", slots: target }, nowMs);
    const becomes = {
      current: after.phase === "promoted" ? next : previous,
      incoming: isOver(after) ? undefined : { rollout: after, revision: next },
    };
    const outcome = this.#outcome(active, after);
    outcome.catch(() => {}); // told to whoever records
    return swap({
      ...how,
      service,
      revision: forward ? next : previous,
      part: { ...movedSlots(rollout, target), becomes },
      tenants,
      powers,
      faults,
      record: async (states, handed) => {
        const kept = keptOf(forward && keepsState(previous.spec) ? handed : new Map());
        const written = rollouts.writes({ ...active.record, rollout: after }, kept);
        await snapshots.saveAll(states, [...written, ...(await outcome), ...beside()]);
        active.record = { ...active.record, rollout: after };
      },
    });
  }

  /** What the end of the rollout makes of the deployment. */
  async #outcome(active: ActiveRollout, after: Rollout): Promise<KvOp[]> {
    const { service, record, previous, next } = active;
    if (!isOver(after)) return [];
    if (after.phase === "rolled_back") return this.#journal.ending(service, previous, undefined);
    const { by, message } = record;
    return this.#journal.ending(service, next, { by, message, action: "update" });
  }

  /** The slots have moved, on disk and in fact. */
  #moved(active: ActiveRollout, swapped: Swapped, more: { readonly state?: Way }): void {
    const { handles, events } = this.#options;
    const { next, previous, rollout, regressions } = active;
    const { pauseMs, stateBytes, left } = swapped;
    const figures = { pauseMs, stateBytes, ...more };
    active.stepBegins();
    if (!isOver(rollout)) {
      const causeId = events.step(active.record, figures);
      active.record = { ...active.record, causeId };
      return;
    }
    events.over(active.record, { ...figures, regressions });
    const unused = rollout.phase === "promoted" ? previous : next;
    void left.then(() => handles.discard(unused.handles));
  }
}

/** Who changes its revision, and who goes because the revision that stays has no such slot. */
function movedSlots(
  { phase, slots, instances }: Rollout,
  target: readonly number[],
): { readonly slots: readonly number[]; readonly dropped: readonly number[] } {
  const changing =
    phase === "rolling_back"
      ? slots.filter((slot) => slot < instances)
      : target.filter((slot) => !slots.includes(slot));
  const dropped = slots.filter((slot) => slot >= instances && !target.includes(slot));
  return { slots: changing, dropped };
}
