/**
 * Changes of running services that are asked for: updates, rollbacks, and what they would do.
 *
 * 1. Every change of a revision is one swap, one entry of the history and a chain of events:
 *    started → succeeded → rolled back, each naming the one before it as its cause.
 */
import type { Capability } from "#capability/capability.ts";
import { SoloError, toSoloError } from "#base/errors.ts";
import type { ServiceKey } from "#base/ids.ts";
import { rounded } from "#base/rounded.ts";
import type { Rollout } from "#deploy/rollout.ts";
import type { RevisionAction, Revisions } from "#deploy/revisions.ts";
import type { Snapshots } from "#deploy/snapshots.ts";
import {
  resolveSpec,
  revisionOf,
  type ServiceSpec,
  type SpecDefaults,
  type SpecInput,
} from "#deploy/spec.ts";
import { resolveStrategy, type Strategy, type StrategyInput } from "#deploy/strategy.ts";
import { logWarnings, type Deployed } from "#kernel/deploys/deployed.ts";
import type { Handles } from "#kernel/deploys/handles.ts";
import type { ServiceLocks } from "#kernel/deploys/locks.ts";
import type { Restarter } from "#kernel/deploys/restarter.ts";
import type { ServiceFactory } from "#kernel/deploys/service-factory.ts";
import type { Accepted, Sources } from "#kernel/deploys/sources.ts";
import type { HostApi } from "#kernel/services/host-api.ts";
import type { ServiceState } from "#kernel/services/lifecycle.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import { rolloutUnderWay } from "#kernel/services/refusals.ts";
import type { Replica } from "#kernel/services/replica.ts";
import { newRevision, type Revision, type RevisionCode } from "#kernel/services/revision.ts";
import type { Minted } from "#kernel/services/service-authority.ts";
import type { Service } from "#kernel/services/service.ts";
import { keepsState } from "#kernel/services/start-message.ts";
import type { Tenants } from "#kernel/tenants.ts";
import type { Faults } from "#kernel/faults.ts";
import { Journal } from "#kernel/upgrades/journal.ts";
import { performanceOf } from "#kernel/upgrades/performance.ts";
import { planOf, type Plan } from "#kernel/upgrades/plan.ts";
import type { ProbationKeeper, Trial } from "#kernel/upgrades/probation-keeper.ts";
import type { RolloutDriver } from "#kernel/upgrades/rollout-driver.ts";
import { rehearse } from "#kernel/upgrades/rehearsal.ts";
import { presentFor, swap, type Swapped } from "#kernel/upgrades/swap.ts";
import { WayBack } from "#kernel/upgrades/way-back.ts";

const UPDATABLE: ReadonlySet<ServiceState> = new Set([
  "running",
  "hibernated",
  "quarantined",
  "stopped",
]);
/** An update waits so long for a sleeper to wake. */
const WAKE_MS = 5000;
const MAX_DETAIL_CHARS = 2000;

export interface UpgradesOptions {
  readonly tenants: Tenants;
  readonly locks: ServiceLocks;
  readonly handles: Handles;
  readonly factory: ServiceFactory;
  readonly restarter: Restarter;
  readonly sources: Sources;
  readonly snapshots: Snapshots;
  readonly revisions: Revisions;
  readonly powers: ServicePowers;
  readonly hostApi: HostApi;
  readonly defaults: (tenant: string) => SpecDefaults;
  readonly faults: Faults;
  readonly rollouts: RolloutDriver;
  readonly probations: ProbationKeeper;
}

/** What a change is asked with, beside what it changes to. */
export interface Wish {
  readonly message?: string | undefined;
  /** Undefined: runs it if there is one. */
  readonly selfTest?: boolean | undefined;
  /** Undefined: a hot swap. */
  readonly strategy?: StrategyInput | undefined;
}

export interface Changed extends Deployed {
  /** Undefined when nothing was swapped. */
  readonly swapped?: Pick<Swapped, "pauseMs" | "stateBytes">;
  /** How long the new revision is watched from now on. */
  readonly probationMs?: number;
  /** It has begun; the revision that the service had is current until it is promoted. */
  readonly rollout?: Rollout;
}

interface Change extends Wish {
  readonly action: RevisionAction;
  readonly by: Capability;
  readonly begun: number;
}

/** A compiled revision that the service is about to have. */
interface Coming {
  readonly service: Service;
  readonly spec: ServiceSpec;
  readonly code: RevisionCode;
}

export class Upgrades {
  readonly #options: UpgradesOptions;
  readonly #journal: Journal;
  readonly #wayBack: WayBack;

  constructor(options: UpgradesOptions) {
    this.#options = options;
    this.#journal = new Journal(options);
    this.#wayBack = new WayBack(options);
  }

  /** Replaces a running service's code and keeps its state, its messages and its name. */
  update(key: ServiceKey, input: SpecInput, by: Capability, wish: Wish = {}): Promise<Changed> {
    const { locks, handles, tenants, powers } = this.#options;
    const begun = powers.clock.now();
    return locks.exclusively(key, async () => {
      const service = tenants.get(key);
      const spec = this.specOf(service, input);
      if (input.secrets !== undefined) handles.mustBeHad({ key, spec, by });
      return this.#change(service, spec, { ...wish, action: "update", by, begun });
    });
  }

  /** Makes an earlier revision current again; the one before the current unless it is named. */
  rollback(
    key: ServiceKey,
    revision: string | undefined,
    by: Capability,
    wish: Wish = {},
  ): Promise<Changed> {
    const { locks, tenants, powers } = this.#options;
    const begun = powers.clock.now();
    return locks.exclusively(key, async () => {
      const service = tenants.get(key);
      const spec = await this.earlier(service, revision);
      return this.#change(service, spec, { ...wish, action: "rollback", by, begun });
    });
  }

  /** What an earlier revision was made of. */
  async earlier(service: Service, revision: string | undefined): Promise<ServiceSpec> {
    const { revisions } = this.#options;
    const { key } = service;
    if (revision !== undefined) return revisions.get(key, revision);
    const [current] = await revisions.history(key);
    if (current?.parent !== undefined) return revisions.get(key, current.parent);
    throw new SoloError("conflict", `${key.service} has no revision before the current one.`, {
      hint: "List its revisions to see those there are.",
    });
  }

  /** What the service would be made of after an update with `input`. */
  specOf(service: Service, input: SpecInput): ServiceSpec {
    const defaults = this.#options.defaults(service.key.tenant);
    return resolveSpec(input, { ...defaults, current: service.spec });
  }

  /** What the update's strategy means for the service; undefined for a hot swap. */
  strategyOf(
    service: Service,
    spec: ServiceSpec,
    input: StrategyInput | undefined,
  ): Strategy | undefined {
    if (input === undefined) return undefined;
    const { instances } = service.spec;
    const keeps = keepsState(service.spec) || keepsState(spec);
    const strategy = resolveStrategy(input, { instances, keepsState: keeps });
    if (strategy !== undefined && spec.instances !== instances) throw otherInstances(instances);
    return strategy;
  }

  /** What a change to `spec` would do; a copy of it takes the present state over. */
  plan(service: Service, spec: ServiceSpec, asked: Pick<Change, "action" | "by">): Promise<Plan> {
    const { key } = service;
    const wish = { shapes: true, selfTest: true };
    return planOf({
      service,
      spec,
      refusals: this.#options.handles.refusals({ key, spec, by: asked.by }),
      accept: () => this.#accept(spec, asked, key),
      rehearse: (revision) => this.rehearse(service, revision, wish),
    });
  }

  /** Milliseconds until the current revision is trusted; undefined when it is. */
  probationMs(service: Service): number | undefined {
    return this.#options.probations.endsInMs(service);
  }

  /** A copy of `revision` takes the replica's present state over; nothing of it stays. */
  async rehearse(
    service: Service,
    revision: Revision,
    wish: { readonly shapes?: boolean; readonly selfTest: boolean },
  ) {
    const { powers, hostApi } = this.#options;
    const [first] = service.replicas;
    const replica = first!;
    const letSleep = replica.keepAwake();
    try {
      await replica.awake(WAKE_MS);
      const { storable: _, ...handed } = await presentFor(replica, revision);
      const { codeChangeTimeoutMs: timeoutMs } = revision.spec.restartLimits;
      const adoption = { ...handed, ...wish, whole: true, timeoutMs };
      return await rehearse({ service, replica, revision, adoption, powers, hostApi });
    } finally {
      letSleep();
    }
  }

  async #change(service: Service, spec: ServiceSpec, change: Change): Promise<Changed> {
    const { factory, powers } = this.#options;
    const { key } = service;
    if (service.rollout !== undefined) throw rolloutUnderWay(key, service.rollout);
    // Whoever wakes is up in a moment: its sleep is nobody's business.
    const waking = service.replicas.filter(({ isWaking }) => isWaking);
    await Promise.all(waking.map((replica) => replica.awake(WAKE_MS)));
    if (!UPDATABLE.has(service.state)) throw onItsWay(service);
    if (revisionOf(spec) === service.revision) return this.#renew(service, change);
    const strategy = this.strategyOf(service, spec, change.strategy);
    const { compiled, warnings } = await this.#accept(spec, change, key);
    const code = factory.code(key.tenant, spec, compiled);
    const changed =
      strategy === undefined
        ? await this.#hotSwap({ service, spec, code }, change)
        : await this.#beginRollout({ service, spec, code, strategy }, change);
    const done = { ...changed, warnings };
    logWarnings(powers.logs, done);
    return done;
  }

  /** The same again: what has ended of it begins anew. */
  async #renew(service: Service, { by, begun }: Change): Promise<Changed> {
    const { handles, restarter, powers } = this.#options;
    await handles.renew(service, by);
    if (!runs(service)) await restarter.startAgain(service);
    return { service, startedInMs: powers.clock.now() - begun, warnings: [] };
  }

  async #hotSwap(
    { service, spec, code }: Coming,
    change: Change,
  ): Promise<Omit<Changed, "warnings">> {
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

  async #beginRollout(
    { service, spec, code, strategy }: Coming & { readonly strategy: Strategy },
    change: Change,
  ): Promise<Omit<Changed, "warnings">> {
    const { handles, rollouts, probations, powers } = this.#options;
    const { key } = service;
    if (!runs(service)) throw notRunning(service);
    const { rollout, swapped } = await handles.mintedFor(
      { key, spec, by: change.by },
      async (minted) => {
        const revision = newRevision({ spec, code, handles: minted.handles });
        return rollouts.begin({
          service,
          revision,
          beside: minted.rows,
          strategy,
          by: change.by.id,
          message: change.message,
          rehearse: (successor) => this.#rehearse(service, successor, change),
        });
      },
    );
    // From now on the rollout watches.
    probations.end(service);
    const startedInMs = powers.clock.now() - change.begun;
    const { pauseMs, stateBytes } = swapped;
    return { service, startedInMs, swapped: { pauseMs, stateBytes }, rollout };
  }

  /** The new revision's selfTest, if there is one or there has to be one. */
  async #rehearse(service: Service, successor: Replica, { selfTest }: Wish): Promise<void> {
    const has = successor.instance?.started.traits?.includes("selfTest") === true;
    if (selfTest === true && !has) throw noSelfTest();
    if (!has || selfTest === false) return;
    await this.rehearse(service, successor.revision, { selfTest: true });
  }

  /** What was accepted once may come back, whatever the rules say by now. */
  async #accept(
    spec: ServiceSpec,
    { action }: Pick<Change, "action">,
    { tenant }: ServiceKey,
  ): Promise<Accepted> {
    const { sources } = this.#options;
    if (action !== "rollback") return sources.accept(spec, tenant);
    return { compiled: await sources.recorded(spec, tenant), warnings: [] };
  }

  /** A swap forward, as people ask for it. */
  #swapTo(
    service: Service,
    revision: Revision,
    change: Change,
    { trial, minted }: { readonly trial: Trial | undefined; readonly minted: Minted },
  ): Promise<Swapped> {
    const { tenants, powers, faults, probations } = this.#options;
    const why = { by: change.by.id, action: change.action, message: change.message };
    return swap({
      service,
      revision,
      tenants,
      powers,
      faults,
      drain: true,
      evenIfDown: false,
      rehearse: (successor) => this.#rehearse(service, successor, change),
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

const runs = ({ state }: Service): boolean => state === "running" || state === "hibernated";

const onItsWay = ({ key, state }: Service): SoloError =>
  new SoloError("conflict", `${key.service} is ${state}, on its way to another state.`, {
    hint: "Update it when it has got there.",
    retryAfterMs: 200,
  });

const noSelfTest = (): SoloError =>
  new SoloError("invalid_argument", "The new revision exports no selfTest.", {
    fields: [{ field: "self_test", message: "asks for a selfTest that is not there" }],
    hint: "Add selfTest(solo) to the service, or leave self_test out.",
  });

const otherInstances = (instances: number): SoloError => {
  const message = `must stay ${instances} during a rollout`;
  return new SoloError("invalid_argument", `instances ${message}.`, {
    fields: [{ field: "instances", message }],
    hint: "Change the number of instances with an update without a strategy, before or after it.",
  });
};

const notRunning = ({ key, state }: Service): SoloError =>
  new SoloError("conflict", `${key.service} is ${state}: a rollout needs one that runs.`, {
    hint: "Restart it, or update it without a strategy.",
  });
