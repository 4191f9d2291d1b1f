/**
 * From a request to a running, recorded service (D3).
 *
 * 1. A deploy that fails leaves nothing: no instance, no record, no name taken.
 *    And it touches nothing of a service that has the name already.
 * 2. A deploy is acknowledged when the service runs and its deployment is on disk. It is written
 *    while the service starts: where the kernel dies meanwhile, nobody was answered, and the
 *    service comes back or not.
 */
import { setImmediate as turn } from "node:timers/promises";
import type { Capability } from "#capability/capability.ts";
import type { Clock } from "#base/clock.ts";
import { toSoloError, type SoloError } from "#base/errors.ts";
import type { ServiceKey } from "#base/ids.ts";
import { rounded } from "#base/rounded.ts";
import type { Deployments } from "#deploy/deployments.ts";
import type { Revisions } from "#deploy/revisions.ts";
import { resolveSpec, revisionOf, type SpecDefaults, type SpecInput } from "#deploy/spec.ts";
import { admissionRefusal, type AdmissionLimits } from "#kernel/deploys/admission.ts";
import { deploymentWith, logWarnings, type Deployed } from "#kernel/deploys/deployed.ts";
import type { Handles, Wanted } from "#kernel/deploys/handles.ts";
import type { ServiceLocks } from "#kernel/deploys/locks.ts";
import type { Remover } from "#kernel/deploys/remover.ts";
import type { ServiceFactory } from "#kernel/deploys/service-factory.ts";
import type { Accepted, Judged, Sources } from "#kernel/deploys/sources.ts";
import { startError } from "#kernel/deploys/start-error.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import { newRevision } from "#kernel/services/revision.ts";
import type { Minted } from "#kernel/services/host/service-authority.ts";
import type { Service } from "#kernel/services/service.ts";
import type { Tenants } from "#kernel/tenants.ts";

const MAX_DETAIL_CHARS = 2000;
const UNACKNOWLEDGED_STOP_MS = 1000;

export interface DeployerOptions {
  readonly clock: Clock;
  readonly locks: ServiceLocks;
  readonly tenants: Tenants;
  readonly sources: Sources;
  readonly handles: Handles;
  readonly factory: ServiceFactory;
  readonly remover: Remover;
  readonly deployments: Deployments;
  readonly revisions: Revisions;
  readonly powers: ServicePowers;
  readonly defaults: (tenant: string) => SpecDefaults;
  readonly admission: AdmissionLimits;
}

export class Deployer {
  readonly #options: DeployerOptions;

  constructor(options: DeployerOptions) {
    this.#options = options;
  }

  deploy(key: ServiceKey, input: SpecInput, by: Capability): Promise<Deployed> {
    const { clock, locks, tenants, sources, handles, remover, powers } = this.#options;
    const begun = clock.now();
    return locks.exclusively(key, async () => {
      try {
        // What a refusal further on clears away must not be another's.
        tenants.mustBeFree(key);
        this.#counted(key);
        const refusal = this.#admissionRefusal(key);
        if (refusal !== undefined) throw refusal;
        const spec = resolveSpec(input, this.#options.defaults(key.tenant));
        const wanted = { key, spec, by };
        handles.mustBeHad(wanted);
        await remover.freeName(key);
        const accepted = await sources.accept(spec, key.tenant);
        const done = await handles.mintedFor(wanted, (minted) =>
          this.#run(wanted, { accepted, minted, begun }),
        );
        powers.metrics.deployed(done.startedInMs);
        logWarnings(powers.logs, done);
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
    const { handles, sources, defaults } = this.#options;
    const spec = resolveSpec(input, defaults(key.tenant));
    const wanted = { key, spec, by };
    const refusals = [this.#admissionRefusal(key), handles.missingSecrets(wanted)];
    const problems = [
      ...handles.beyond(wanted),
      ...refusals.flatMap((each) => each?.message ?? []),
    ];
    const judged = await sources.judge(spec, key.tenant);
    return { ...judged, revision: revisionOf(spec), problems };
  }

  async #run(
    { key, spec, by }: Wanted,
    { accepted, minted, begun }: { accepted: Accepted; minted: Minted; begun: number },
  ): Promise<Deployed> {
    const { clock, factory, tenants, remover, powers } = this.#options;
    const { compiled, warnings } = accepted;
    const code = factory.code(key.tenant, spec, compiled);
    const revision = newRevision({ spec, code, handles: minted.handles });
    const service = factory.service({ key, revision, deployedAtMs: clock.wallMs() });
    const starting = tenants.start(service);
    // The start is on its way by then: it has most to do.
    const recording = turn().then(() => this.#record(service, { minted, by }));
    recording.catch(() => {}); // told once the service runs
    try {
      await starting;
    } catch (error) {
      const refusal = await startError({ error, revision, powers });
      await recording.catch(() => {});
      await remover.discard(service);
      throw refusal;
    }
    const startedInMs = clock.now() - begun;
    await this.#acknowledge(service, { startedInMs, recording });
    return { service, startedInMs, warnings };
  }

  /** One more service, whether there is room for it or not. */
  #counted(key: ServiceKey): void {
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

  async #acknowledge(
    service: Service,
    { startedInMs, recording }: { startedInMs: number; recording: Promise<void> },
  ): Promise<void> {
    const { remover, tenants, powers } = this.#options;
    const { key, revision } = service;
    const instance_id = service.instances[0]?.id ?? "";
    try {
      await Promise.all([
        recording,
        powers.events.append({
          type: "service_deployed",
          tenantId: key.tenant,
          subject: key.service,
          payload: { revision, instance_id, started_in_ms: rounded(startedInMs) },
        }),
      ]);
    } catch (error) {
      await service.stop({ force: true, timeoutMs: UNACKNOWLEDGED_STOP_MS });
      tenants.remove(service);
      // It may have been written before the answer was lost: it must not come back.
      await remover.discard(service);
      throw error;
    }
  }

  /** The deployment, its handles, and the first entry of its history. */
  async #record(
    service: Service,
    { minted, by }: { minted: Minted; by: Capability },
  ): Promise<void> {
    const { deployments, revisions } = this.#options;
    const { key, revision, spec, deployedAtMs: atMs } = service;
    const action = "deploy";
    const entry = { revision, atMs, by: by.id, action, message: undefined } as const;
    const beside = [...minted.rows(), ...revisions.began(key, entry, spec)];
    await deployments.put(deploymentWith(service, service.current), beside);
  }

  #refused({ tenant, service }: ServiceKey, error: unknown): void {
    const { events, log } = this.#options.powers;
    const { code, message } = toSoloError(error);
    try {
      events.emit({
        type: "service_deployment_failed",
        tenantId: tenant,
        subject: service,
        payload: { code, detail: message.slice(0, MAX_DETAIL_CHARS) },
      });
    } catch {
      // The refusal itself is on its way to the agent; only its record is missing.
      log.error("refused deploy not recorded", { service, code });
    }
  }
}
