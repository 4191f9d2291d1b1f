/**
 * The services whose revision has just changed, and the way back for each (H2).
 *
 * 1. A probation is on disk with the write that makes the new revision current: it goes on
 *    after a restart of the kernel with what is left of it.
 * 2. What the watchdog decides is done under the same lock as what people ask for.
 * 3. A new revision that does not start again with the kernel is undone before anything of
 *    the service runs.
 */
import { toSoloError } from "#base/errors.ts";
import { keyText, type ServiceKey, type TenantId } from "#base/ids.ts";
import { rounded } from "#base/rounded.ts";
import { deploymentOp, type Deployment } from "#deploy/deployments.ts";
import type { Dormants } from "#deploy/dormants.ts";
import type { ProbationRecord, Probations } from "#deploy/probations.ts";
import type { Revisions } from "#deploy/revisions.ts";
import { revisionOf, type ServiceSpec } from "#deploy/spec.ts";
import type { Snapshots } from "#deploy/snapshots.ts";
import type { Performance } from "#deploy/watchdog.ts";
import type { Handles } from "#kernel/deploys/handles.ts";
import type { ServiceLocks } from "#kernel/deploys/locks.ts";
import type { ServiceFactory } from "#kernel/deploys/service-factory.ts";
import type { HostApi } from "#kernel/services/host/host-api.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { Revision } from "#kernel/services/revision.ts";
import type { Service } from "#kernel/services/service.ts";
import { keepsState } from "#kernel/services/instance/start-message.ts";
import type { Tenants } from "#kernel/tenants.ts";
import type { Faults } from "#kernel/faults.ts";
import { Journal } from "#kernel/upgrades/journal.ts";
import { regressionText, type Regression } from "#kernel/upgrades/judge.ts";
import { Standby } from "#kernel/upgrades/standby.ts";
import { handedOf, keptOf, swap, type Handed, type Swapped } from "#kernel/upgrades/swap.ts";
import { undoneProbation } from "#kernel/upgrades/undone.ts";
import { Probation } from "#kernel/upgrades/probation.ts";
import {
  firstThatWorks,
  isWaitedOut,
  WayBack,
  waysBack,
  type Way,
} from "#kernel/upgrades/way-back.ts";
import type { KvOp } from "#storage/protocol.ts";

/** A revision that comes back with the kernel is watched for so long at least. */
const RESUMED_LEAST_MS = 5000;
const MAX_DETAIL_CHARS = 2000;
/** Of the entry in the history. */
const MAX_WHY_CHARS = 500;

export interface ProbationKeeperOptions {
  readonly tenants: Tenants;
  readonly locks: ServiceLocks;
  readonly handles: Handles;
  readonly factory: ServiceFactory;
  readonly probations: Probations;
  readonly snapshots: Snapshots;
  readonly dormants: Dormants;
  readonly revisions: Revisions;
  readonly powers: ServicePowers;
  readonly hostApi: HostApi;
  readonly faults: Faults;
  /** The tenant has memory for instances that stand by. */
  readonly hasRoom: (tenant: TenantId) => boolean;
}

/** A probation that an update is about to begin. */
export interface Trial {
  readonly service: Service;
  readonly spec: ServiceSpec;
  readonly previous: Revision;
  readonly baseline: Performance;
  /** Of the event hot_swap_started. */
  readonly causeId: number;
}

export class ProbationKeeper {
  readonly #options: ProbationKeeperOptions;
  readonly #journal: Journal;
  readonly #wayBack: WayBack;
  readonly #active = new Map<string, Probation>();

  constructor(options: ProbationKeeperOptions) {
    this.#options = options;
    this.#journal = new Journal(options);
    this.#wayBack = new WayBack(options);
  }

  /** Milliseconds until the current revision is trusted; undefined when it is. */
  endsInMs(service: Service): number | undefined {
    return this.#active.get(keyText(service.key))?.endsInMs;
  }

  /** What an update of `service` writes of it: the probation that begins, and the one that
   *  ends with the update. */
  writes(trial: Trial | undefined, key: ServiceKey, handed: ReadonlyMap<number, Handed>): KvOp[] {
    const before = this.#active.get(keyText(key))?.options.record;
    if (trial === undefined || !isWhole(trial, handed)) {
      return before === undefined ? [] : this.#options.probations.end(before);
    }
    const kept = keptOf(keepsState(trial.previous.spec) ? handed : new Map());
    return this.#options.probations.begin(this.#recordOf(trial), kept, before);
  }

  /** The new revision serves: watches it from now on. Returns for how long, if it does. */
  begin(trial: Trial, swapped: Swapped, causationId: number): number | undefined {
    const { handles } = this.#options;
    const { service, previous } = trial;
    const { handed, left } = swapped;
    this.end(service);
    if (!isWhole(trial, handed)) {
      void left.then(() => handles.discard(previous.handles));
      return undefined;
    }
    const { windowMs } = trial.spec.watchdog;
    const slots = keepsState(previous.spec) ? [...handed.keys()] : [];
    const record = { ...this.#recordOf(trial), slots };
    this.#watch({ service, previous, handed, record, causationId, leftMs: windowMs });
    return windowMs;
  }

  /** Somebody has replaced the state of these slots: what they had before the update does not
   *  come back. */
  async forgetStates(key: ServiceKey, slots: readonly number[]): Promise<void> {
    const probation = this.#active.get(keyText(key));
    if (probation === undefined) return;
    await this.#options.probations.forgetStates(key, slots);
    for (const slot of slots) probation.options.handed.delete(slot);
  }

  /** Somebody else has changed the service, or watches over it from now on. */
  end(service: Service): void {
    this.#active.get(keyText(service.key))?.end();
  }

  /** Those that an earlier kernel left, by `keyText`. */
  underWay(): Promise<Map<string, ProbationRecord>> {
    return this.#options.probations.all();
  }

  /** Goes on with a probation that an earlier kernel left, once its service is back. */
  async resume(record: ProbationRecord, service: Service): Promise<void> {
    const { probations, factory, powers } = this.#options;
    const { spec, capabilities } = record.previous;
    const handed = handedOf(await probations.keptStates(record));
    const least = Math.min(RESUMED_LEAST_MS, service.spec.watchdog.windowMs);
    this.#watch({
      service,
      previous: factory.recall(service.key, { spec, capabilities }),
      handed,
      record,
      causationId: await this.#causeOf(record),
      leftMs: Math.max(least, record.endsAtMs - powers.clock.wallMs()),
    });
  }

  /** Makes the revision before current again, with the old states; nothing of it runs. */
  async undo(record: ProbationRecord, deployment: Deployment, why: string): Promise<Deployment> {
    const { probations, snapshots, dormants, revisions, powers } = this.#options;
    const { key, previous, slots } = record;
    const causationId = await this.#causeOf(record);
    const kept = await probations.keptStates(record);
    const { deployment: restored, states } = undoneProbation({ record, deployment, kept });
    const entry = {
      revision: restored.revision,
      atMs: powers.clock.wallMs(),
      by: "watchdog",
      action: "rollback",
      message: why.slice(0, MAX_DETAIL_CHARS),
    } as const;
    await snapshots.saveAll(states, [
      deploymentOp(restored),
      ...(await revisions.became(key, entry, previous.spec)),
      ...probations.end(record),
      ...slots.map((slot) => dormants.removal({ ...key, slot })),
    ]);
    const payload = {
      from_revision: record.revision,
      revision: restored.revision,
      reason: "failure",
      detail: entry.message,
      state: "restore_old",
    };
    this.#journal.tell("hot_swap_rolled_back", key, payload, causationId);
    return restored;
  }

  /** Of a record that says nothing of the service as it is now. */
  forget(record: ProbationRecord): Promise<void> {
    return this.#options.probations.settle(record);
  }

  /** Watches nothing any more; what is on disk stays for the next kernel. */
  close(): void {
    for (const probation of this.#active.values()) probation.stop();
    this.#active.clear();
  }

  #recordOf({ service, spec, previous, baseline, causeId }: Trial): Omit<ProbationRecord, "slots"> {
    return {
      key: service.key,
      revision: revisionOf(spec),
      previous: { spec: previous.spec, capabilities: previous.handles.map(({ id }) => id) },
      baseline,
      endsAtMs: this.#options.powers.clock.wallMs() + spec.watchdog.windowMs,
      causeId,
    };
  }

  #watch(facts: {
    readonly service: Service;
    readonly previous: Revision;
    readonly handed: ReadonlyMap<number, Handed>;
    readonly record: ProbationRecord;
    readonly causationId: number;
    readonly leftMs: number;
  }): void {
    const { tenants, powers, hasRoom } = this.#options;
    const { service, previous } = facts;
    const { key } = service;
    const standby = new Standby({
      service,
      previous,
      tenants,
      log: powers.log,
      hasRoom: () => hasRoom(key.tenant),
    });
    const probation = new Probation({
      ...facts,
      handed: new Map(facts.handed),
      standby,
      clock: powers.clock,
      isThere: () => tenants.find(key) === service,
      rollBack: (mine, regressions) => this.#rollBack(mine, regressions),
      over: (mine) => this.#over(mine),
    });
    this.#active.set(keyText(key), probation);
  }

  #over(probation: Probation): void {
    const { handles, probations, powers } = this.#options;
    const { service, record, previous, standby } = probation.options;
    const name = keyText(record.key);
    if (this.#active.get(name) === probation) this.#active.delete(name);
    void standby.giveUp();
    // After a rollback they are in use again.
    if (service.current !== previous) void handles.discard(previous.handles);
    // Whatever made another revision current has written that down.
    if (service.current !== probation.revision) return;
    probations.settle(record).catch((error: unknown) => {
      powers.log.warn("the end of a probation is not on disk", {
        service: name,
        error: String(error),
      });
    });
  }

  async #rollBack(
    probation: Probation,
    regressions: readonly Regression[],
  ): Promise<"done" | "busy" | "failed"> {
    const { locks, powers } = this.#options;
    const { service, isThere } = probation.options;
    try {
      await locks.exclusively(service.key, async () => {
        if (service.current !== probation.revision || !isThere()) return;
        await this.#restore(probation, regressions);
      });
      return "done";
    } catch (error) {
      const { code, message } = toSoloError(error);
      // What they do may end the probation.
      if (code === "conflict") return "busy";
      const detail = message.slice(0, MAX_DETAIL_CHARS);
      const about = { service: keyText(service.key), code, detail };
      powers.log.error("a regression is not rolled back yet", about);
      return "failed";
    }
  }

  async #restore(probation: Probation, regressions: readonly Regression[]): Promise<void> {
    const { handles, powers } = this.#options;
    const { service, previous, causationId } = probation.options;
    const { revision: bad } = probation;
    const begun = powers.clock.now();
    const crash = service.replicas.flatMap(({ record }) => record.crashText ?? []).at(-1);
    const why = [...regressions.map(regressionText), ...(crash === undefined ? [] : [crash])];
    const message = `Regression: ${why.join("; ")}`.slice(0, MAX_WHY_CHARS);
    const { way, came } = await firstThatWorks(
      waysBack(bad.spec.watchdog.stateOnRollback),
      (each) => this.#swapBack(probation, each, message),
      // A revision that did worse may be stuck in what it has in hand.
      (failure) => failure.code !== "conflict" && isWaitedOut(failure, probation.regressedForMs),
    );
    const payload = {
      from_revision: bad.id,
      revision: previous.id,
      reason: "regression",
      regressions,
      ...(crash !== undefined && { crash }),
      state: way,
      pause_ms: rounded(came.pauseMs),
      state_bytes: came.stateBytes,
      took_ms: rounded(powers.clock.now() - begun),
    };
    this.#journal.tell("hot_swap_rolled_back", service.key, payload, causationId);
    void came.left.then(() => handles.discard(bad.handles));
  }

  async #swapBack(probation: Probation, way: Way, message: string): Promise<Swapped> {
    const { tenants, powers, faults, probations } = this.#options;
    const { service, previous, handed, standby, record } = probation.options;
    const why = { action: "rollback", by: "watchdog", message } as const;
    const loaded = await standby.take();
    try {
      return await swap({
        ...this.#wayBack.swapBy(way, service, handed),
        service,
        revision: previous,
        loaded,
        tenants,
        powers,
        faults,
        record: this.#journal.recorder(service, previous, why, () => probations.end(record)),
      });
    } finally {
      // One that did not get to serve.
      for (const replica of loaded.values())
        if (replica.handOver.standsBy) void replica.handOver.retire();
    }
  }

  /** The event that an earlier kernel's probation followed from. */
  async #causeOf({ key, causeId }: ProbationRecord): Promise<number> {
    const [succeeded] = await this.#options.powers.events.read({
      tenantId: key.tenant,
      serviceId: key.service,
      eventTypes: ["hot_swap_succeeded"],
      sinceId: causeId,
      limit: 1,
    });
    // The kernel may have ended between the write and its event.
    return succeeded?.causation_id === causeId ? succeeded.id : causeId;
  }
}

/** Every slot that the old revision had, and the new one has, has handed its state over. */
const isWhole = ({ previous, spec }: Trial, handed: ReadonlyMap<number, Handed>): boolean =>
  Array.from(
    { length: Math.min(previous.spec.instances, spec.instances) },
    (_, slot) => slot,
  ).every((slot) => handed.has(slot));
