/**
 * Starts services again: as they are, or with what was changed while they stood.
 *
 * 1. An orderly end begins only when what it would have to write can be written.
 * 2. A service that does not start again keeps its name, in quarantine.
 */
import type { Clock } from "#base/clock.ts";
import { within } from "#base/deadline.ts";
import type { ServiceKey } from "#base/ids.ts";
import type { Deployments } from "#deploy/deployments.ts";
import { deploymentOf, type Deployed, type Started } from "#kernel/deploys/deployed.ts";
import type { ServiceLocks } from "#kernel/deploys/locks.ts";
import { startError } from "#kernel/deploys/start-error.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import { rolloutUnderWay } from "#kernel/services/messages/refusals.ts";
import type { Service } from "#kernel/services/service.ts";
import type { Tenants } from "#kernel/tenants.ts";

/** A guest that does not tell its state in time keeps what is on disk. */
const FLUSH_MS = 5000;

export interface RestarterOptions {
  readonly locks: ServiceLocks;
  readonly tenants: Tenants;
  readonly deployments: Deployments;
  readonly clock: Clock;
  readonly powers: ServicePowers;
}

/** What a stopped service will start with, all of it or nothing. */
export interface Change {
  apply(): Promise<void>;
  undo(): Promise<void>;
  /** It has started with it; nobody has been told. */
  done(): Promise<void>;
}

export class Restarter {
  readonly #options: RestarterOptions;

  constructor(options: RestarterOptions) {
    this.#options = options;
  }

  restart(key: ServiceKey): Promise<Deployed> {
    const { locks, clock } = this.#options;
    const begun = clock.now();
    return locks.exclusively(key, async () => {
      const service = this.#ownRevision(key);
      await this.#mustBeStored(service);
      await this.startAgain(service);
      return { service, startedInMs: clock.now() - begun, warnings: [] };
    });
  }

  /**
   * Stops the service in an orderly way, changes what it will start with, and starts it. When
   * that cannot be changed or the service does not start, it goes on as before.
   */
  startWith(key: ServiceKey, change: Change): Promise<Started> {
    const { locks, clock, deployments } = this.#options;
    const begun = clock.now();
    return locks.exclusively(key, async () => {
      const service = this.#ownRevision(key);
      const wasUp = service.state === "running" || service.state === "hibernated";
      const wasQuarantined = service.state === "quarantined";
      await this.#mustBeStored(service);
      await this.#halt(service);
      let isChanged = false;
      try {
        await change.apply();
        isChanged = true;
        await this.#start(service);
      } catch (error) {
        if (isChanged) await change.undo();
        if (wasUp) await this.#start(service);
        else if (wasQuarantined) service.holdInQuarantine();
        throw error;
      }
      await change.done();
      if (wasQuarantined) await deployments.put(deploymentOf(service));
      return { service, startedInMs: clock.now() - begun };
    });
  }

  /** Under the service's lock. */
  async startAgain(service: Service): Promise<void> {
    await this.#halt(service);
    await this.#start(service);
    await this.#options.deployments.put(deploymentOf(service));
  }

  /** A service all of whose replicas are meant to run the same. */
  #ownRevision(key: ServiceKey): Service {
    const service = this.#options.tenants.get(key);
    if (service.rollout !== undefined) throw rolloutUnderWay(key, service.rollout);
    return service;
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

  async #start(service: Service): Promise<void> {
    const { tenants, powers } = this.#options;
    try {
      await tenants.startReplicas(service.replicas);
    } catch (error) {
      // Only a corrected update or another try helps.
      service.holdInQuarantine();
      throw await startError({ error, revision: service.current, powers });
    }
  }
}
