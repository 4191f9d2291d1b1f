/**
 * Changes of running services that are asked for: updates, rollbacks, and what they would do.
 *
 * 1. One change is at a service at a time, and a rollout lets no other begin.
 */
import type { Capability } from "#capability/capability.ts";
import { SoloError } from "#base/errors.ts";
import type { ServiceKey } from "#base/ids.ts";
import type { Revisions } from "#deploy/revisions.ts";
import type { Snapshots } from "#deploy/snapshots.ts";
import {
  resolveSpec,
  revisionOf,
  type ServiceSpec,
  type SpecDefaults,
  type SpecInput,
} from "#deploy/spec.ts";
import { resolveStrategy, type Strategy, type StrategyInput } from "#deploy/strategy.ts";
import { logWarnings } from "#kernel/deploys/deployed.ts";
import type { Handles } from "#kernel/deploys/handles.ts";
import type { ServiceLocks } from "#kernel/deploys/locks.ts";
import type { Restarter } from "#kernel/deploys/restarter.ts";
import type { ServiceFactory } from "#kernel/deploys/service-factory.ts";
import type { Accepted, Sources } from "#kernel/deploys/sources.ts";
import type { HostApi } from "#kernel/services/host/host-api.ts";
import type { ServiceState } from "#kernel/services/replica/lifecycle.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import { rolloutUnderWay } from "#kernel/services/messages/refusals.ts";
import { newRevision } from "#kernel/services/revision.ts";
import type { Service } from "#kernel/services/service.ts";
import { keepsState } from "#kernel/services/instance/start-message.ts";
import type { Tenants } from "#kernel/tenants.ts";
import type { Faults } from "#kernel/faults.ts";
import {
  runs,
  WAKE_MS,
  type Change,
  type Changed,
  type Coming,
  type Wish,
} from "#kernel/upgrades/change.ts";
import { HotSwaps } from "#kernel/upgrades/hot-swap.ts";
import { planOf, type Plan } from "#kernel/upgrades/plan.ts";
import type { ProbationKeeper } from "#kernel/upgrades/probation-keeper.ts";
import type { RolloutDriver } from "#kernel/upgrades/rollout-driver.ts";
import { Rehearsals } from "#kernel/upgrades/rehearsals.ts";

const UPDATABLE: ReadonlySet<ServiceState> = new Set([
  "running",
  "hibernated",
  "quarantined",
  "stopped",
]);

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

export class Upgrades {
  readonly #options: UpgradesOptions;
  readonly #rehearsals: Rehearsals;
  readonly #hotSwaps: HotSwaps;

  constructor(options: UpgradesOptions) {
    this.#options = options;
    const rehearsals = new Rehearsals(options);
    this.#rehearsals = rehearsals;
    this.#hotSwaps = new HotSwaps({ ...options, rehearsals });
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
      rehearse: (revision) => this.#rehearsals.run(service, revision, wish),
    });
  }

  /** Milliseconds until the current revision is trusted; undefined when it is. */
  probationMs(service: Service): number | undefined {
    return this.#options.probations.endsInMs(service);
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
        ? await this.#hotSwaps.run({ service, spec, code }, change)
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
    return {
      service,
      startedInMs: powers.clock.now() - begun,
      warnings: [],
      unchanged: true,
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
          rehearse: (successor) => this.#rehearsals.selfTest(service, successor, change),
        });
      },
    );
    // From now on the rollout watches.
    probations.end(service);
    const startedInMs = powers.clock.now() - change.begun;
    const { pauseMs, stateBytes } = swapped;
    return { service, startedInMs, swapped: { pauseMs, stateBytes }, rollout };
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
}

const onItsWay = ({ key, state }: Service): SoloError =>
  new SoloError("conflict", `${key.service} is ${state}, on its way to another state.`, {
    hint: "Update it when it has got there.",
    retryAfterMs: 200,
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
