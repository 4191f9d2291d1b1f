/**
 * Kills services.
 *
 * 1. What is durable comes first: a kernel that dies meanwhile does not bring the service back,
 *    killed or refused.
 * 2. Until everything it kept is gone, nothing else may have its name.
 */
import { keyText, type ServiceKey } from "#base/ids.ts";
import type { Deployments } from "#deploy/deployments.ts";
import type { Probations } from "#deploy/probations.ts";
import type { Revisions } from "#deploy/revisions.ts";
import type { Rollouts } from "#deploy/rollouts.ts";
import type { ServiceLocks } from "#kernel/deploys/locks.ts";
import type { ServiceAuthority } from "#kernel/services/host/service-authority.ts";
import type { ServiceKv } from "#kernel/services/host/service-kv.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { Service } from "#kernel/services/service.ts";
import type { Tenants } from "#kernel/tenants.ts";

export interface RemoverOptions {
  readonly locks: ServiceLocks;
  readonly tenants: Tenants;
  readonly deployments: Deployments;
  readonly revisions: Revisions;
  readonly rollouts: Rollouts;
  readonly probations: Probations;
  readonly kv: ServiceKv;
  readonly authority: ServiceAuthority;
  readonly powers: ServicePowers;
}

export class Remover {
  readonly #options: RemoverOptions;
  /** Services that are gone and still keep something on the disk, because storage failed meanwhile. */
  readonly #leftovers = new Set<string>();

  constructor(options: RemoverOptions) {
    this.#options = options;
  }

  async kill(
    key: ServiceKey,
    options: { force: boolean; timeoutMs?: number | undefined },
  ): Promise<{ forced: boolean }> {
    const { locks, tenants, deployments, powers } = this.#options;
    const { force } = options;
    return locks.exclusively(key, async () => {
      const service = tenants.get(key);
      await deployments.markGone(key);
      const timeoutMs = options.timeoutMs ?? service.spec.restartLimits.shutdownTimeoutMs;
      const { forced } = await service.stop({ force, timeoutMs });
      tenants.remove(service);
      await this.#clear(service);
      await service.settled();
      await powers.events.append({
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

  /** What a service kept that did not come into being: its `init` may have written and logged,
   *  and its deployment may be on disk. */
  async discard(service: Service): Promise<void> {
    const { deployments, powers } = this.#options;
    const name = keyText(service.key);
    this.#leftovers.add(name);
    try {
      await deployments.markGone(service.key);
      await this.#clear(service);
    } catch (error) {
      powers.log.warn("a refused deploy left something", { service: name, error: String(error) });
    }
  }

  async #clear({ key, bounds }: Service): Promise<void> {
    this.#options.powers.metrics.forget(key);
    await this.forget(key);
    bounds.storage.clear();
  }

  /** What a killed service kept, gone from the disk. */
  async forget(key: ServiceKey): Promise<void> {
    const { deployments, powers, kv, revisions, rollouts, probations, authority } = this.#options;
    this.#leftovers.add(keyText(key));
    await Promise.all([
      powers.snapshots.remove(key),
      powers.dormants.removeAll(key),
      kv.clear(key),
      powers.logs.remove(key),
      revisions.remove(key),
      rollouts.remove(key),
      probations.remove(key),
      authority.release(key),
    ]);
    await powers.faults("cleared", keyText(key));
    await deployments.remove(key);
    this.#leftovers.delete(keyText(key));
  }

  /** Makes the name free for a new service. */
  async freeName(key: ServiceKey): Promise<void> {
    if (this.#leftovers.has(keyText(key))) await this.forget(key);
  }
}
