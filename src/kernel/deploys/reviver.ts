/**
 * Brings recorded services back after the kernel was started.
 *
 * 1. Who slept sleeps on, each slot at the revision that it had.
 * 2. A service that does not come back keeps its name, so that it can be looked at, started
 *    again or killed; with a change under way nothing of it stays, for the change is undone.
 */
import type { Deployment } from "#deploy/deployments.ts";
import type { Dormant } from "#deploy/dormants.ts";
import type { RolloutRecord } from "#deploy/rollouts.ts";
import { stateKeyText } from "#deploy/snapshots.ts";
import type { ServiceFactory } from "#kernel/deploys/service-factory.ts";
import { startError } from "#kernel/deploys/start-error.ts";
import type { ServiceAuthority } from "#kernel/services/host/service-authority.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { Service } from "#kernel/services/service.ts";
import type { Tenants } from "#kernel/tenants.ts";

export interface ReviverOptions {
  readonly tenants: Tenants;
  readonly authority: ServiceAuthority;
  readonly factory: ServiceFactory;
  readonly powers: ServicePowers;
}

/** What was under way when the kernel ended. */
export interface UnderWay {
  readonly rolling?: RolloutRecord;
  /** Ids of capabilities of the revision before the one on probation. */
  readonly kept?: readonly string[];
}

export class Reviver {
  readonly #options: ReviverOptions;

  constructor(options: ReviverOptions) {
    this.#options = options;
  }

  async revive(
    deployment: Deployment,
    dormants: ReadonlyMap<string, Dormant>,
    { rolling, kept }: UnderWay = {},
  ): Promise<Service> {
    const { authority, factory, tenants, powers } = this.#options;
    const { key, deployedAtMs } = deployment;
    const others = kept ?? rolling?.capabilities ?? [];
    await authority.revive(key, [...deployment.capabilities, ...others]);
    const revision = factory.recall(key, deployment);
    const incoming = rolling?.spec && {
      rollout: rolling.rollout,
      revision: factory.recall(key, { spec: rolling.spec, capabilities: rolling.capabilities }),
    };
    const service = factory.service({ key, revision, deployedAtMs, incoming });
    if (deployment.quarantined) {
      this.#keepQuarantined(service);
      return service;
    }
    for (const replica of service.replicas) {
      const dormant = dormants.get(stateKeyText({ ...key, slot: replica.slot }));
      if (dormant?.sourceHash === replica.revision.sourceHash) replica.resumeSleep(dormant);
    }
    try {
      await tenants.start(service);
      return service;
    } catch (error) {
      const why = await startError({ error, revision, powers });
      if (rolling !== undefined || kept !== undefined) throw why;
      service.replicas[0]!.record.startFailed(why);
      this.#keepQuarantined(service);
      throw why;
    }
  }

  /** Holds the place of a recorded service that is not to be started now. */
  async keep(deployment: Deployment): Promise<void> {
    const { authority, factory } = this.#options;
    const { key, deployedAtMs, capabilities } = deployment;
    await authority.revive(key, capabilities);
    const revision = factory.recall(key, deployment);
    this.#keepQuarantined(factory.service({ key, revision, deployedAtMs }));
  }

  #keepQuarantined(service: Service): void {
    service.holdInQuarantine();
    this.#options.tenants.keep(service);
  }
}
