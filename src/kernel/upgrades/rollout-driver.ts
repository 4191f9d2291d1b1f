/**
 * Carries rollouts out: moves slots, watches the new revision, goes on or back (H3).
 *
 * 1. Every phase is on disk before it is acted upon.
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
  type Command,
  type Rollout,
  type RolloutInput,
} from "#deploy/rollout.ts";
import type { RolloutRecord, Rollouts } from "#deploy/rollouts.ts";
import type { Snapshots } from "#deploy/snapshots.ts";
import type { Strategy } from "#deploy/strategy.ts";
import type { Handles } from "#kernel/deploys/handles.ts";
import type { ServiceLocks } from "#kernel/deploys/locks.ts";
import type { HostApi } from "#kernel/services/host/host-api.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { Revision } from "#kernel/services/revision.ts";
import type { Service } from "#kernel/services/service.ts";
import type { Tenants } from "#kernel/tenants.ts";
import type { Faults } from "#kernel/faults.ts";
import { ActiveRollout } from "#kernel/upgrades/active-rollout.ts";
import { regressionText } from "#kernel/upgrades/judge.ts";
import { RolloutEvents } from "#kernel/upgrades/rollout-events.ts";
import { performancePerInstance } from "#kernel/upgrades/performance.ts";
import { regressionsOf } from "#kernel/upgrades/rollout-look.ts";
import { RolloutMoves, type FirstMove } from "#kernel/upgrades/rollout-moves.ts";
import { undoneRollout } from "#kernel/upgrades/undone.ts";
import { handedOf, type SwapOptions, type Swapped } from "#kernel/upgrades/swap.ts";
import type { KvOp } from "#storage/protocol.ts";

/** Under way at the same time, in the whole kernel. */
const MAX_ROLLOUTS = 256;
const TICK_MS = 25;
const LOOK_MS = 100;
const RETRY_MS = 1000;
/** A step that comes back with the kernel is watched for so long at least, or for its pause. */
const RESUMED_LEAST_MS = 5000;
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
  /** To be written with the first step. */
  readonly beside: () => readonly KvOp[];
}

export class RolloutDriver {
  readonly #options: RolloutDriverOptions;
  readonly #active = new Map<string, ActiveRollout>();
  readonly #events: RolloutEvents;
  readonly #moves: RolloutMoves;
  #isClosed = false;

  constructor(options: RolloutDriverOptions) {
    this.#options = options;
    this.#events = new RolloutEvents(options.powers.events);
    this.#moves = new RolloutMoves({ ...options, events: this.#events });
  }

  /** Makes the first step; any failure leaves the service as it was. Under the service's lock. */
  async begin(wish: NewRollout): Promise<{ readonly rollout: Rollout; readonly swapped: Swapped }> {
    const { service, revision, strategy, by, message, rehearse, beside } = wish;
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
    const active = new ActiveRollout({
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
        baseline: performancePerInstance(service.replicas),
        causeId,
      },
    });
    const name = keyText(key);
    this.#active.set(name, active);
    try {
      const swapped = await active.inTurn(() => this.#forward(active, { rehearse, beside }));
      return { rollout: active.rollout, swapped };
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
    const active = new ActiveRollout({
      service,
      previous: service.current,
      next,
      record,
      kept: handedOf(kept),
    });
    const { strategy, step } = record.rollout;
    const least = Math.min(RESUMED_LEAST_MS, strategy.steps[step]?.pauseMs ?? 0);
    active.watchedUntil = this.#options.powers.clock.now() + least;
    this.#active.set(keyText(record.key), active);
  }

  /** Ends a rollout whose service does not come back with it: the old states are put in place. */
  async undo(record: RolloutRecord, deployment: Deployment, why: string): Promise<Deployment> {
    const { rollouts, snapshots, dormants, powers } = this.#options;
    const atMs = powers.clock.wallMs();
    const kept = await rollouts.keptStates(record);
    const undone = undoneRollout({ record, deployment, kept, why, atMs });
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
    return active.inTurn(async () => {
      // Slots that are about to move do so first: only a rollout that rests takes any command.
      if (active.rollout.phase === "moving" && command !== "abort") {
        await this.#advance(active);
      }
      await this.#take(active, { kind: "command", command });
      return active.rollout;
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
    await Promise.all([...this.#active.values()].map(({ idle }) => idle));
  }

  async #tick(active: ActiveRollout): Promise<void> {
    const { log, clock } = this.#options.powers;
    await active
      .inTurn(() => this.#advance(active))
      .catch((error: unknown) => {
        const { code, message } = toSoloError(error);
        active.restsUntil = clock.now() + RETRY_MS;
        // Somebody else is at the service just now.
        if (code === "conflict") return;
        const service = keyText(active.key);
        log.error("rollout does not advance", { service, code, detail: message });
      });
  }

  async #advance(active: ActiveRollout): Promise<void> {
    if (this.#isClosed) return;
    const { phase } = active.rollout;
    if (!this.#isThere(active)) this.#active.delete(keyText(active.key));
    else if (phase === "moving" || phase === "promoting") await this.#moveOn(active);
    else if (phase === "rolling_back") await this.#locked(active, () => this.#back(active));
    else await this.#look(active);
  }

  async #moveOn(active: ActiveRollout): Promise<void> {
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

  async #look(active: ActiveRollout): Promise<void> {
    const { newer, older, next, rollout } = active;
    const { baseline: before } = active.record;
    active.regressions = regressionsOf({ newer, older, before, watchdog: next.spec.watchdog });
    const enough =
      active.sent >= rollout.strategy.minRequests &&
      this.#options.powers.clock.now() >= active.watchedUntil;
    const worse = active.regressions.map(regressionText);
    active.restsUntil = this.#options.powers.clock.now() + LOOK_MS;
    await this.#take(active, { kind: "looked", worse, enough });
  }

  /** What follows from the input, written down. */
  async #take(active: ActiveRollout, input: RolloutInput): Promise<void> {
    const { rollouts, powers, faults } = this.#options;
    const { rollout } = active;
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

  async #forward(active: ActiveRollout, first: FirstMove = {}): Promise<Swapped> {
    const swapped = await this.#moves.forward(active, first);
    this.#forgetIfOver(active);
    return swapped;
  }

  async #back(active: ActiveRollout): Promise<void> {
    await this.#moves.back(active);
    this.#forgetIfOver(active);
  }

  #forgetIfOver({ rollout, key }: ActiveRollout): void {
    if (isOver(rollout)) this.#active.delete(keyText(key));
  }

  /** Under the service's lock, unless the service has been killed. */
  async #locked(active: ActiveRollout, act: () => Promise<unknown>): Promise<void> {
    await this.#options.locks.exclusively(active.key, async () => {
      if (this.#isThere(active)) await act();
    });
  }

  #isThere({ service }: ActiveRollout): boolean {
    return this.#options.tenants.find(service.key) === service;
  }
}

const tooMany = (): SoloError =>
  new SoloError("overloaded", `${MAX_ROLLOUTS} rollouts are under way already.`, {
    hint: "Promote or abort one, or update without a strategy.",
    retryAfterMs: 5000,
  });
