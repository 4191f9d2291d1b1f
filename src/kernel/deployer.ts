/**
 * From a request to a running, recorded service, and back to nothing (D3).
 *
 * 1. A deploy that fails leaves nothing: no instance, no record, no name taken.
 * 2. A deploy is acknowledged when the service runs and its deployment is on disk.
 * 3. What the service may use comes from the capability of who deploys or updates it.
 */
import type { Capability } from "#capability/capability.ts";
import type { Clock } from "#base/clock.ts";
import { within } from "#base/deadline.ts";
import { SoloError, toSoloError, type Diagnostic } from "#base/errors.ts";
import { keyText, type ServiceKey } from "#base/ids.ts";
import type { Deployment, Deployments } from "#deploy/deployments.ts";
import type { Dormant } from "#deploy/dormants.ts";
import type { Probations } from "#deploy/probations.ts";
import type { RolloutRecord, Rollouts } from "#deploy/rollouts.ts";
import type { Revisions } from "#deploy/revisions.ts";
import { stateKeyText, type Snapshots } from "#deploy/snapshots.ts";
import {
  resolveSpec,
  revisionOf,
  type ServiceSpec,
  type SpecDefaults,
  type SpecInput,
} from "#deploy/spec.ts";
import type { EventLog } from "#events/event-log.ts";
import type { ServiceLogs } from "#events/service-logs.ts";
import { admissionRefusal, type AdmissionLimits } from "#kernel/admission.ts";
import { missingSecrets, startError } from "#kernel/deploy-errors.ts";
import type { Metrics } from "#kernel/metrics.ts";
import type { Secrets } from "#kernel/secrets.ts";
import type { HostApi } from "#kernel/services/host-api.ts";
import type { ServiceAuthority } from "#kernel/services/service-authority.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { ServiceKv } from "#kernel/services/service-kv.ts";
import { rolloutUnderWay } from "#kernel/services/refusals.ts";
import { newRevision, RevisionCode, type Revision } from "#kernel/services/revision.ts";
import { Service, type ServiceOptions } from "#kernel/services/service.ts";
import type { Judged, Sources } from "#kernel/sources.ts";
import type { Tenants } from "#kernel/tenants.ts";
import type { CompiledModule } from "#wire/compiler.ts";

/** A guest that does not tell its state in time keeps what is on disk. */
const FLUSH_MS = 5000;

export interface DeployerOptions {
  readonly clock: Clock;
  readonly tenants: Tenants;
  readonly sources: Sources;
  readonly deployments: Deployments;
  readonly revisions: Revisions;
  readonly snapshots: Snapshots;
  readonly rollouts: Rollouts;
  readonly probations: Probations;
  readonly kv: ServiceKv;
  readonly secrets: Secrets;
  readonly logs: ServiceLogs;
  readonly events: EventLog;
  readonly metrics: Metrics;
  readonly powers: ServicePowers;
  readonly hostApi: HostApi;
  readonly authority: ServiceAuthority;
  readonly defaults: (tenant: string) => SpecDefaults;
  readonly admission: AdmissionLimits;
}

export interface Started {
  readonly service: Service;
  readonly startedInMs: number;
}

export interface Deployed extends Started {
  /** What analysis has to say about source that is new. */
  readonly warnings: readonly Diagnostic[];
}

export class Deployer {
  readonly #options: DeployerOptions;
  /** Services whose deploy, kill or restart is under way. */
  readonly #busy = new Set<string>();
  /** Killed services that still keep something on the disk, because storage failed meanwhile. */
  readonly #leftovers = new Set<string>();

  constructor(options: DeployerOptions) {
    this.#options = options;
  }

  async deploy(key: ServiceKey, input: SpecInput, by: Capability): Promise<Deployed> {
    const { clock, metrics, sources } = this.#options;
    const begun = clock.now();
    return this.exclusively(key, async () => {
      try {
        this.#wanted(key);
        const refusal = this.#admissionRefusal(key);
        if (refusal !== undefined) throw refusal;
        const spec = resolveSpec(input, this.#options.defaults(key.tenant));
        this.mustHaveSecrets({ key, spec, by });
        if (this.#leftovers.has(keyText(key))) await this.forget(key);
        const done = await this.withHandles({ key, spec, by }, async (minting) => {
          const { modules, warnings } = await sources.accept(spec, key.tenant);
          const code = this.code(spec, modules);
          const revision = newRevision({ spec, code, handles: await minting });
          const service = this.#service({ key, revision, deployedAtMs: clock.wallMs() });
          await this.#start(service);
          const startedInMs = clock.now() - begun;
          await this.#acknowledge(service, { startedInMs, by });
          return { service, startedInMs, warnings };
        });
        metrics.deployed(done.startedInMs);
        this.logWarnings(done);
        return done;
      } catch (error) {
        this.#refused(key, error);
        throw error;
      }
    });
  }

  /** Everything a deploy would check before it starts anything. */
  async validate(
    key: ServiceKey,
    input: SpecInput,
    by: Capability,
  ): Promise<Judged & { revision: string; problems: string[] }> {
    const spec = resolveSpec(input, this.#options.defaults(key.tenant));
    // The deploy itself is a use.
    const beyond = this.#options.authority.problems(spec, by, 1);
    const refusals = [this.#admissionRefusal(key), this.#missingSecrets({ key, spec, by })];
    const problems = [
      ...beyond.map(({ field, message }) => `${field} ${message}`),
      ...refusals.flatMap((each) => each?.message ?? []),
    ];
    const judged = await this.#options.sources.judge(spec, key.tenant);
    return { ...judged, revision: revisionOf(spec), problems };
  }

  async kill(
    key: ServiceKey,
    options: { force: boolean; timeoutMs?: number | undefined },
  ): Promise<{ forced: boolean }> {
    const { tenants, deployments, events, metrics, powers } = this.#options;
    const { force } = options;
    return this.exclusively(key, async () => {
      const service = tenants.get(key);
      // First what is durable: a kernel that dies now must not bring the service back.
      await deployments.markGone(key);
      const timeoutMs = options.timeoutMs ?? service.spec.restartLimits.shutdownTimeoutMs;
      const { forced } = await service.stop({ force, timeoutMs });
      tenants.remove(service);
      metrics.forget(key);
      await this.forget(key);
      service.bounds.storage.clear();
      await service.settled();
      await events.append({
        type: "service_killed",
        tenantId: key.tenant,
        subject: key.service,
        payload: { force: forced },
      });
      powers.channels.down(key.tenant, {
        service: key.service,
        reason: "killed",
        message: "It was killed.",
      });
      return { forced };
    });
  }

  /** What a killed service kept. Until it is gone, nothing else may have the name. */
  async forget(key: ServiceKey): Promise<void> {
    const { deployments, snapshots, powers, kv, logs, revisions, rollouts } = this.#options;
    const { probations, authority } = this.#options;
    this.#leftovers.add(keyText(key));
    await Promise.all([
      snapshots.remove(key),
      powers.dormants.removeAll(key),
      kv.clear(key),
      logs.remove(key),
      revisions.remove(key),
      rollouts.remove(key),
      probations.remove(key),
      authority.release(key),
    ]);
    await deployments.remove(key);
    this.#leftovers.delete(keyText(key));
  }

  async restart(key: ServiceKey): Promise<Deployed> {
    const { tenants, clock } = this.#options;
    const begun = clock.now();
    return this.exclusively(key, async () => {
      const service = tenants.get(key);
      if (service.rollout !== undefined) throw rolloutUnderWay(key, service.rollout);
      await this.#mustBeStored(service);
      await this.startAgain(service);
      return { service, startedInMs: clock.now() - begun, warnings: [] };
    });
  }

  /**
   * Stops the service in an orderly way, changes what it will start with, and starts it. When
   * that cannot be changed, all or nothing, or the service does not start, it goes on as before.
   */
  async startWith(
    key: ServiceKey,
    change: { apply(): Promise<void>; undo(): Promise<void> },
  ): Promise<Started> {
    const { tenants, clock } = this.#options;
    const begun = clock.now();
    return this.exclusively(key, async () => {
      const service = tenants.get(key);
      if (service.rollout !== undefined) throw rolloutUnderWay(key, service.rollout);
      const wasUp = service.state === "running" || service.state === "hibernated";
      const wasQuarantined = service.state === "quarantined";
      await this.#mustBeStored(service);
      await this.#halt(service);
      let isChanged = false;
      try {
        await change.apply();
        isChanged = true;
        await this.#startReplicas(service);
      } catch (error) {
        if (isChanged) await change.undo();
        if (wasUp) await this.#startReplicas(service);
        else if (wasQuarantined) service.holdInQuarantine();
        throw error;
      }
      if (wasQuarantined) await this.#options.deployments.put(deploymentOf(service));
      return { service, startedInMs: clock.now() - begun };
    });
  }

  async startAgain(service: Service): Promise<void> {
    await this.#halt(service);
    await this.#startReplicas(service);
    await this.#options.deployments.put(deploymentOf(service));
  }

  /** An orderly end writes what a hybrid service has changed; while that fails, none is begun. */
  async #mustBeStored({ replicas, key }: Service): Promise<void> {
    const owing = replicas.filter(({ stored }) => stored.failure !== undefined);
    const flushed = Promise.all(owing.map((replica) => replica.flush()));
    await within(flushed, { ms: FLUSH_MS, what: `the state of ${key.service} to be stored` });
  }

  async #halt(service: Service): Promise<void> {
    const timeoutMs = service.spec.restartLimits.shutdownTimeoutMs;
    if (service.state !== "quarantined") await service.stop({ force: false, timeoutMs });
  }

  async #startReplicas(service: Service): Promise<void> {
    try {
      await this.#options.tenants.startReplicas(service.replicas);
    } catch (error) {
      // It keeps its name and its record; only a corrected update or another try helps.
      service.holdInQuarantine();
      throw await this.#startError(service.current, error);
    }
  }

  /**
   * Brings a recorded service back after the kernel was started; who slept sleeps on. With a
   * rollout each slot runs what it did; on probation it has kept capabilities of the revision
   * before. When it cannot come back with its change, nothing of the service stays.
   */
  async revive(
    deployment: Deployment,
    dormants: ReadonlyMap<string, Dormant>,
    change: { readonly rolling?: RolloutRecord; readonly kept?: readonly string[] } = {},
  ): Promise<Service> {
    const { key, deployedAtMs } = deployment;
    const { rolling, kept } = change;
    const others = kept ?? rolling?.capabilities ?? [];
    const ids = [...deployment.capabilities, ...others];
    await this.#options.authority.revive(key, ids);
    const revision = this.recall(key, deployment);
    const incoming = rolling?.spec && {
      rollout: rolling.rollout,
      revision: this.recall(key, { spec: rolling.spec, capabilities: rolling.capabilities }),
    };
    const service = this.#service({ key, revision, deployedAtMs, incoming });
    if (deployment.quarantined) {
      this.#keepQuarantined(service);
      return service;
    }
    for (const replica of service.replicas) {
      const dormant = dormants.get(stateKeyText({ ...key, slot: replica.slot }));
      if (dormant?.sourceHash === replica.revision.sourceHash) replica.resumeSleep(dormant);
    }
    try {
      await this.#start(service);
      return service;
    } catch (error) {
      if (rolling !== undefined || kept !== undefined) throw error;
      service.replicas[0]!.record.startFailed(error);
      this.#keepQuarantined(service);
      throw error;
    }
  }

  /** A revision as an earlier kernel has recorded it. */
  recall(
    { tenant }: ServiceKey,
    recorded: { readonly spec: ServiceSpec; readonly capabilities: readonly string[] },
  ): Revision {
    const { authority, defaults } = this.#options;
    // A record of an earlier version of Solo lacks the limits that are new since.
    const limits = { ...defaults(tenant).limits, ...recorded.spec.limits };
    const spec = { ...recorded.spec, limits };
    const handles = authority.recall(recorded.capabilities);
    return newRevision({ spec, code: this.code(spec), handles });
  }

  /** Holds the place of a recorded service that is not to be started now. */
  async keep(deployment: Deployment): Promise<void> {
    const { key, deployedAtMs, capabilities } = deployment;
    await this.#options.authority.revive(key, capabilities);
    const revision = this.recall(key, deployment);
    this.#keepQuarantined(this.#service({ key, revision, deployedAtMs }));
  }

  /** It keeps its name, so that it can be looked at, started again or killed. */
  #keepQuarantined(service: Service): void {
    service.holdInQuarantine();
    this.#options.tenants.keep(service);
  }

  /** One more service, whether there is room for it or not. */
  #wanted(key: ServiceKey): void {
    const { tenants, powers } = this.#options;
    const count = tenants.count(key.tenant);
    if (count > 0 && tenants.find(key) === undefined) {
      powers.limits.tenant(key.tenant).services(count + 1);
    }
  }

  /** Why a service of this name cannot be new, if so; one that exists is another's question. */
  #admissionRefusal(key: ServiceKey): SoloError | undefined {
    const { tenants, admission } = this.#options;
    if (tenants.find(key) !== undefined) return undefined;
    const { tenant } = key;
    return admissionRefusal(
      { tenant, total: tenants.total, own: tenants.count(tenant) },
      admission,
    );
  }

  /** What stands against a spec that `by` wants, before its source is looked at. */
  refusalsOf(wish: { key: ServiceKey; spec: ServiceSpec; by: Capability }): SoloError[] {
    // The deploy itself is a use.
    const beyond = this.#options.authority.refusal(wish.spec, wish.by, 1);
    return [beyond, this.#missingSecrets(wish)].filter((each) => each !== undefined);
  }

  /** Refuses a spec that binds secrets which are not there. */
  mustHaveSecrets(wish: { key: ServiceKey; spec: ServiceSpec; by: Capability }): void {
    const refusal = this.#missingSecrets(wish);
    if (refusal !== undefined) throw refusal;
  }

  #missingSecrets(wish: {
    key: ServiceKey;
    spec: ServiceSpec;
    by: Capability;
  }): SoloError | undefined {
    const { key, spec, by } = wish;
    const { secrets = [] } = spec;
    // Whoever may not have them is not told which there are: minting the handles refuses it.
    if (secrets.length === 0 || this.#options.authority.problems(spec, by).length > 0) {
      return undefined;
    }
    return missingSecrets(secrets, (name) => this.#options.secrets.find(key.tenant, name));
  }

  /** The handles are made while `act` begins, and are gone when it fails. */
  async withHandles<T>(
    { key, spec, by }: { key: ServiceKey; spec: ServiceSpec; by: Capability },
    act: (minting: Promise<readonly Capability[]>) => Promise<T>,
  ): Promise<T> {
    const { authority } = this.#options;
    const minting = authority.mint({ key, spec, by, revision: revisionOf(spec) });
    minting.catch(() => {}); // told to `act`, unless that fails before it asks
    try {
      return await act(minting);
    } catch (error) {
      await this.discard(await minting.catch(() => []));
      throw error;
    }
  }

  /** Of no use any more. What storage does not forget now has no deployment that names it. */
  async discard(handles: readonly Capability[]): Promise<void> {
    const { authority, powers } = this.#options;
    await authority.withdraw(handles).catch((error: unknown) => {
      powers.log.warn("capabilities not forgotten", { error: String(error) });
    });
  }

  /** New handles for the same code, when what it was deployed with is over. */
  async renew(service: Service, by: Capability): Promise<void> {
    const { authority, deployments } = this.#options;
    if (!authority.isAnyOver(service.handles)) return;
    const { key, spec, revision } = service;
    const old = service.handles;
    service.current.handles = await authority.mint({ key, spec, revision, by });
    await deployments.put(deploymentOf(service));
    await this.discard(old);
  }

  code(spec: ServiceSpec, modules?: readonly CompiledModule[]): RevisionCode {
    return new RevisionCode({ modules, load: () => this.#options.sources.recorded(spec) });
  }

  #service(facts: Pick<ServiceOptions, "key" | "revision" | "deployedAtMs" | "incoming">): Service {
    const { powers, hostApi } = this.#options;
    return new Service({
      ...facts,
      powers,
      hostApi,
      quarantined: (service) => this.#recordQuarantine(service),
    });
  }

  #startError(revision: Revision, error: unknown): Promise<unknown> {
    return startError({ error, revision, powers: this.#options.powers });
  }

  async #start(service: Service): Promise<void> {
    try {
      await this.#options.tenants.start(service);
    } catch (error) {
      throw await this.#startError(service.current, error);
    }
  }

  async #acknowledge(
    service: Service,
    { startedInMs, by }: { startedInMs: number; by: Capability },
  ): Promise<void> {
    const { deployments, events, tenants } = this.#options;
    const { key, revision } = service;
    const instance_id = service.instances[0]?.id ?? "";
    try {
      await Promise.all([
        this.#record(service, by),
        events.append({
          type: "service_deployed",
          tenantId: key.tenant,
          subject: key.service,
          payload: { revision, instance_id, started_in_ms: Math.round(startedInMs * 1000) / 1000 },
        }),
      ]);
    } catch (error) {
      await service.stop({ force: true, timeoutMs: 1000 });
      tenants.remove(service);
      // It may have been written before the answer was lost: it must not come back.
      await deployments.remove(key).catch(() => {});
      throw error;
    }
  }

  /** The deployment, and the first entry of its history. */
  async #record(service: Service, by: Capability): Promise<void> {
    const { deployments, revisions, clock } = this.#options;
    const { key, revision, spec } = service;
    const entry = {
      revision,
      atMs: clock.wallMs(),
      by: by.id,
      action: "deploy",
      message: undefined,
    } as const;
    await deployments.put(deploymentOf(service), revisions.began(key, entry, spec));
  }

  /** Whoever reads the service's log later should find them, too. */
  logWarnings({ service: { key, instances }, warnings }: Deployed): void {
    const [instance] = instances;
    if (instance === undefined) return;
    for (const { file, line, column, code, message } of warnings) {
      const text = `${file}:${line}:${column}: warning[${code}]: ${message}`;
      this.#options.logs.write({ key, instance: instance.id, level: "warn", text });
    }
  }

  /** It is left alone after a restart of the kernel too. */
  #recordQuarantine(service: Service): void {
    const { tenants, deployments, powers } = this.#options;
    const name = keyText(service.key);
    // A kill, a restart or an update that is under way writes what it wants itself.
    if (this.#busy.has(name) || tenants.find(service.key) !== service) return;
    deployments.put(deploymentOf(service)).catch((error: unknown) => {
      powers.log.warn("quarantine not recorded", { service: name, error: String(error) });
    });
  }

  #refused({ tenant, service }: ServiceKey, error: unknown): void {
    const { code, message } = toSoloError(error);
    try {
      this.#options.events.emit({
        type: "service_deployment_failed",
        tenantId: tenant,
        subject: service,
        payload: { code, detail: message.slice(0, 2000) },
      });
    } catch {
      // The refusal itself is on its way to the agent; only its record is missing.
      this.#options.powers.log.error("refused deploy not recorded", { service, code });
    }
  }

  async exclusively<T>(key: ServiceKey, act: () => Promise<T>): Promise<T> {
    const name = keyText(key);
    if (this.#busy.has(name)) {
      throw new SoloError("conflict", `Another deploy, restart or kill of ${name} is under way.`, {
        hint: "Wait for it to end.",
        retryAfterMs: 200,
      });
    }
    this.#busy.add(name);
    try {
      return await act();
    } finally {
      this.#busy.delete(name);
    }
  }
}

const deploymentOf = (service: Service): Deployment => {
  const { key, revision, spec, deployedAtMs, state, handles } = service;
  return {
    key,
    revision,
    spec,
    deployedAtMs,
    quarantined: state === "quarantined",
    capabilities: handles.map(({ id }) => id),
  };
};
