/**
 * Carries rollouts out: moves slots, watches the new revision, goes on or back (H3).
 *
 * 1. Every phase is on disk before it is acted upon; what a slot runs is written in one batch
 *    with the state that it begins with.
 * 2. Of one rollout one thing is done at a time, and under the same lock as a kill.
 * 3. A way back that fails is tried again, with ever simpler states, until it succeeds.
 */
import { pause } from "#base/deadline.ts";
import { SoloError, toSoloError } from "#base/errors.ts";
import { keyText, newRolloutId } from "#base/ids.ts";
import { deploymentOp, type Deployment } from "#deploy/deployments.ts";
import type { Dormants } from "#deploy/dormants.ts";
import type { Revisions } from "#deploy/revisions.ts";
import {
  decideRollout,
  isOver,
  targetSlots,
  type Command,
  type Rollout,
  type RolloutInput,
} from "#deploy/rollout.ts";
import type { RolloutRecord, Rollouts } from "#deploy/rollouts.ts";
import type { Snapshots } from "#deploy/snapshots.ts";
import type { Strategy } from "#deploy/strategy.ts";
import type { KvOp } from "#storage/protocol.ts";
import type { Handles } from "#kernel/deploys/handles.ts";
import type { ServiceLocks } from "#kernel/deploys/locks.ts";
import type { HostApi } from "#kernel/services/host-api.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { Revision } from "#kernel/services/revision.ts";
import type { Service } from "#kernel/services/service.ts";
import { keepsState } from "#kernel/services/start-message.ts";
import type { Tenants } from "#kernel/tenants.ts";
import type { Faults } from "#kernel/faults.ts";
import { Journal } from "#kernel/upgrades/journal.ts";
import type { Regression } from "#kernel/upgrades/probation.ts";
import { RolloutEvents } from "#kernel/upgrades/rollout-events.ts";
import { measured, regressionsOf, regressionText, sentTo } from "#kernel/upgrades/rollout-look.ts";
import { undoneAtRest } from "#kernel/upgrades/rollout-recovery.ts";
import {
  presentFor,
  swap,
  type Handed,
  type SwapOptions,
  type Swapped,
} from "#kernel/upgrades/swap.ts";
import { firstThatWorks, WayBack, waysBack, type Way } from "#kernel/upgrades/way-back.ts";

/** Under way at the same time, in the whole kernel. */
const MAX_ROLLOUTS = 256;
const TICK_MS = 25;
const LOOK_MS = 100;
const RETRY_MS = 1000;
const MAX_REASON_CHARS = 1000;

export interface RolloutDriverOptions {
  readonly tenants: Tenants;
  readonly locks: ServiceLocks;
  readonly handles: Handles;
  readonly snapshots: Snapshots;
  readonly dormants: Dormants;
  readonly revisions: Revisions;
  readonly rollouts: Rollouts;
  readonly powers: ServicePowers;
  readonly hostApi: HostApi;
  readonly faults: Faults;
}

/** A rollout that is to begin. */
export interface NewRollout {
  readonly service: Service;
  readonly revision: Revision;
  readonly strategy: Strategy;
  readonly by: string;
  readonly message: string | undefined;
  readonly rehearse: NonNullable<SwapOptions["rehearse"]>;
}

interface Active {
  readonly service: Service;
  readonly previous: Revision;
  readonly next: Revision;
  record: RolloutRecord;
  /** What the moved slots had before. */
  readonly kept: Map<number, Handed>;
  /** What the new revision had been sent when the step began. */
  sentBefore: number;
  regressions: readonly Regression[];
  /** One thing at a time. */
  turn: Promise<unknown>;
  isBusy: boolean;
  /** Nothing is looked at or tried again before; monotonic. */
  restsUntil: number;
}

export class RolloutDriver {
  readonly #options: RolloutDriverOptions;
  readonly #active = new Map<string, Active>();
  readonly #events: RolloutEvents;
  readonly #journal: Journal;
  readonly #wayBack: WayBack;
  #isClosed = false;

  constructor(options: RolloutDriverOptions) {
    this.#options = options;
    this.#events = new RolloutEvents(options.powers.events);
    this.#journal = new Journal(options);
    this.#wayBack = new WayBack(options);
  }

  /** Makes the first step; any failure leaves the service as it was. Under the service's lock. */
  async begin(wish: NewRollout): Promise<{ readonly rollout: Rollout; readonly swapped: Swapped }> {
    const { service, revision, strategy, by, message, rehearse } = wish;
    if (this.#active.size >= MAX_ROLLOUTS) throw tooMany();
    const atMs = this.#options.powers.clock.wallMs();
    const rollout: Rollout = {
      id: newRolloutId(),
      strategy,
      from: service.revision,
      to: revision.id,
      instances: service.spec.instances,
      startedAtMs: atMs,
      step: 0,
      phase: "moving",
      phaseSinceMs: atMs,
      slots: [],
      reason: undefined,
      setback: undefined,
    };
    const { key } = service;
    const causeId = this.#events.began({ key, rollout, by, message });
    const active = newActive({
      service,
      previous: service.current,
      next: revision,
      record: {
        key,
        rollout,
        spec: revision.spec,
        capabilities: revision.handles.map(({ id }) => id),
        by,
        message,
        baseline: measured(service.replicas),
        causeId,
      },
    });
    const name = keyText(key);
    this.#active.set(name, active);
    try {
      const swapped = await this.#inTurn(active, () => this.#forward(active, rehearse));
      return { rollout: active.record.rollout, swapped };
    } catch (error) {
      this.#active.delete(name);
      this.#events.refused(active.record, toSoloError(error));
      throw error;
    }
  }

  /** Goes on with a rollout that an earlier kernel left, once its service is back. */
  async resume(record: RolloutRecord, revive: () => Promise<Service>): Promise<void> {
    const kept = await this.#options.rollouts.keptStates(record);
    const service = await revive();
    const { revision: next } = service.incoming!;
    const active = newActive({ service, previous: service.current, next, record });
    for (const [slot, { state, version }] of kept) {
      active.kept.set(slot, {
        state,
        via: "codeChange",
        ...(version !== undefined && { version }),
      });
    }
    this.#active.set(keyText(record.key), active);
  }

  /** Ends a rollout whose service does not come back with it: the old states are put in place. */
  async undo(record: RolloutRecord, deployment: Deployment, why: string): Promise<Deployment> {
    const { rollouts, snapshots, dormants, powers } = this.#options;
    const atMs = powers.clock.wallMs();
    const kept = await rollouts.keptStates(record);
    const undone = undoneAtRest({ record, deployment, kept, why, atMs });
    const writes = [
      ...rollouts.writes(undone.record),
      deploymentOp(undone.deployment),
      ...record.rollout.slots.map((slot) => dormants.removal({ ...record.key, slot })),
    ];
    await snapshots.saveAll(undone.states, writes);
    this.#events.over(undone.record, { state: "restore_old" });
    return undone.deployment;
  }

  underWay(): Promise<Map<string, RolloutRecord>> {
    return this.#options.rollouts.underWay();
  }

  /** The rollout that is under way, or the last one. */
  async get(service: Service): Promise<Rollout> {
    if (service.rollout !== undefined) return service.rollout;
    const record = await this.#options.rollouts.get(service.key);
    if (record !== undefined) return record.rollout;
    throw new SoloError("not_found", `${service.key.service} has had no rollout.`, {
      hint: "Begin one with an update that names a strategy; see docs/upgrades.md.",
    });
  }

  async command(service: Service, command: Command): Promise<Rollout> {
    const active = this.#active.get(keyText(service.key));
    const nowMs = () => this.#options.powers.clock.wallMs();
    if (active === undefined || active.service !== service) {
      return decideRollout(await this.get(service), { kind: "command", command }, nowMs());
    }
    return this.#inTurn(active, async () => {
      // Slots that are about to move do so first: only a rollout that rests takes any command.
      if (active.record.rollout.phase === "moving" && command !== "abort") {
        await this.#advance(active);
      }
      await this.#take(active, { kind: "command", command });
      return active.record.rollout;
    });
  }

  /** Runs until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(TICK_MS, signal);
      if (!signal.aborted) this.#tickAll();
    }
    await this.#idle();
  }

  /** Apart from the loop, which would hold the last one, over or not, while it pauses. */
  #tickAll(): void {
    const now = this.#options.powers.clock.now();
    for (const active of this.#active.values()) {
      if (!active.isBusy && now >= active.restsUntil) void this.#tick(active);
    }
  }

  /** Nothing is begun any more; resolves when what was begun is done. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#idle();
  }

  async #idle(): Promise<void> {
    await Promise.all([...this.#active.values()].map(({ turn }) => turn));
  }

  #inTurn<T>(active: Active, act: () => Promise<T>): Promise<T> {
    active.isBusy = true;
    const done = active.turn.then(act);
    const turn = done.then(
      () => {},
      () => {},
    );
    active.turn = turn;
    void turn.then(() => {
      if (active.turn === turn) active.isBusy = false;
    });
    return done;
  }

  async #tick(active: Active): Promise<void> {
    const { log, clock } = this.#options.powers;
    await this.#inTurn(active, () => this.#advance(active)).catch((error: unknown) => {
      const { code, message } = toSoloError(error);
      active.restsUntil = clock.now() + RETRY_MS;
      // Somebody else is at the service just now.
      if (code === "conflict") return;
      const { key } = active.record;
      log.error("rollout does not advance", { service: keyText(key), code, detail: message });
    });
  }

  async #advance(active: Active): Promise<void> {
    if (this.#isClosed) return;
    const { phase } = active.record.rollout;
    if (!this.#isThere(active)) this.#active.delete(keyText(active.record.key));
    else if (phase === "moving" || phase === "promoting") await this.#moveOn(active);
    else if (phase === "rolling_back") await this.#locked(active, () => this.#back(active));
    else await this.#look(active);
  }

  async #moveOn(active: Active): Promise<void> {
    let begun = false;
    try {
      await this.#locked(active, async () => {
        begun = true;
        await this.#forward(active);
      });
    } catch (error) {
      if (!begun || this.#isClosed) throw error;
      const why = toSoloError(error).message.slice(0, MAX_REASON_CHARS);
      await this.#take(active, { kind: "move_failed", why });
    }
  }

  async #look(active: Active): Promise<void> {
    const { service, record, next } = active;
    const { rollout, baseline: before } = record;
    const newer = service.replicas.filter(({ revision }) => revision === next);
    const older = service.replicas.filter(({ revision }) => revision !== next);
    active.regressions = regressionsOf({ newer, older, before, watchdog: next.spec.watchdog });
    const enough = sentTo(newer) - active.sentBefore >= rollout.strategy.minRequests;
    const worse = active.regressions.map(regressionText);
    active.restsUntil = this.#options.powers.clock.now() + LOOK_MS;
    await this.#take(active, { kind: "looked", worse, enough });
  }

  /** What follows from the input, written down. */
  async #take(active: Active, input: RolloutInput): Promise<void> {
    const { rollouts, powers, faults } = this.#options;
    const { rollout } = active.record;
    const after = decideRollout(rollout, input, powers.clock.wallMs());
    if (after === rollout) return;
    await this.#locked(active, async () => {
      const record = { ...active.record, rollout: after };
      active.restsUntil = 0;
      await rollouts.put(record);
      active.service.incoming = { rollout: after, revision: active.next };
      const causeId = this.#events.step(record, { regressions: active.regressions });
      active.record = { ...record, causeId };
      await faults("decided");
    });
  }

  /** Slots to the new revision. */
  async #forward(active: Active, rehearse?: SwapOptions["rehearse"]): Promise<Swapped> {
    const swapped = await this.#swap(active, {
      drain: true,
      evenIfDown: false,
      stateOf: (replica) => presentFor(replica, active.next),
      ...(rehearse !== undefined && { rehearse }),
    });
    for (const [slot, handed] of swapped.handed) {
      if (!active.kept.has(slot)) active.kept.set(slot, handed);
    }
    this.#moved(active, swapped, {});
    return swapped;
  }

  /** Every slot to the old revision. */
  async #back(active: Active): Promise<void> {
    const { service, record, next, kept } = active;
    const aborted = record.rollout.setback === "aborted";
    const ways: readonly Way[] = aborted
      ? ["asked", "restore_old"]
      : waysBack(next.spec.watchdog.stateOnRollback);
    const { way, came } = await firstThatWorks(ways, (each) =>
      this.#swap(active, this.#wayBack.swapBy(each, service, kept)),
    );
    this.#moved(active, came, { state: way });
  }

  #swap(
    active: Active,
    how: Pick<SwapOptions, "drain" | "evenIfDown" | "stateOf" | "rehearse">,
  ): Promise<Swapped> {
    const { tenants, powers, faults, rollouts, snapshots } = this.#options;
    const { service, record, previous, next } = active;
    const { rollout } = record;
    const forward = rollout.phase !== "rolling_back";
    const target = targetSlots(rollout);
    const after = this.#after(rollout);
    const becomes = {
      current: after.phase === "promoted" ? next : previous,
      incoming: isOver(after) ? undefined : { rollout: after, revision: next },
    };
    const changing = forward
      ? target.filter((slot) => !rollout.slots.includes(slot))
      : rollout.slots.filter((slot) => slot < rollout.instances);
    const dropped = rollout.slots.filter(
      (slot) => slot >= rollout.instances && !target.includes(slot),
    );
    const outcome = this.#outcome(active, after);
    outcome.catch(() => {}); // told to whoever records
    return swap({
      ...how,
      service,
      revision: forward ? next : previous,
      part: { slots: changing, dropped, becomes },
      tenants,
      powers,
      faults,
      record: async (states, handed) => {
        const kept = forward && keepsState(previous.spec) ? handed : new Map<number, Handed>();
        const written = rollouts.writes({ ...active.record, rollout: after }, kept);
        await snapshots.saveAll(states, [...written, ...(await outcome)]);
        active.record = { ...active.record, rollout: after };
      },
    });
  }

  #after(rollout: Rollout): Rollout {
    const slots = targetSlots(rollout);
    return decideRollout(rollout, { kind: "moved", slots }, this.#options.powers.clock.wallMs());
  }

  /** What the end of the rollout makes of the deployment. */
  async #outcome({ service, record, previous, next }: Active, after: Rollout): Promise<KvOp[]> {
    if (!isOver(after)) return [];
    if (after.phase === "rolled_back") return this.#journal.ending(service, previous, undefined);
    const { by, message } = record;
    return this.#journal.ending(service, next, { by, message, action: "update" });
  }

  /** The slots have moved, on disk and in fact. */
  #moved(active: Active, swapped: Swapped, more: { readonly state?: Way }): void {
    const { handles } = this.#options;
    const { service, next, previous } = active;
    const { pauseMs, stateBytes, left } = swapped;
    const figures = { pauseMs, stateBytes, ...more };
    active.sentBefore = sentTo(service.replicas.filter(({ revision }) => revision === next));
    const { rollout } = active.record;
    if (!isOver(rollout)) {
      const causeId = this.#events.step(active.record, figures);
      active.record = { ...active.record, causeId };
      return;
    }
    this.#active.delete(keyText(service.key));
    this.#events.over(active.record, { ...figures, regressions: active.regressions });
    const unused = rollout.phase === "promoted" ? previous : next;
    void left.then(() => handles.discard(unused.handles));
  }

  /** Under the service's lock, unless the service has been killed. */
  async #locked(active: Active, act: () => Promise<unknown>): Promise<void> {
    await this.#options.locks.exclusively(active.record.key, async () => {
      if (this.#isThere(active)) await act();
    });
  }

  #isThere({ service }: Active): boolean {
    return this.#options.tenants.find(service.key) === service;
  }
}

const newActive = (facts: Pick<Active, "service" | "previous" | "next" | "record">): Active => ({
  ...facts,
  kept: new Map(),
  sentBefore: sentTo(facts.service.replicas.filter(({ revision }) => revision === facts.next)),
  regressions: [],
  turn: Promise.resolve(),
  isBusy: false,
  restsUntil: 0,
});

const tooMany = (): SoloError =>
  new SoloError("overloaded", `${MAX_ROLLOUTS} rollouts are under way already.`, {
    hint: "Promote or abort one, or update without a strategy.",
    retryAfterMs: 5000,
  });
