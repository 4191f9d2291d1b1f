/** Makes revisions and services from what is deployed now, or was recorded by an earlier kernel. */
import { keyText, type ServiceKey } from "#base/ids.ts";
import type { Compiled } from "#deploy/compile-cache.ts";
import type { Deployments } from "#deploy/deployments.ts";
import type { ServiceSpec, SpecDefaults } from "#deploy/spec.ts";
import { deploymentOf } from "#kernel/deploys/deployed.ts";
import type { ServiceLocks } from "#kernel/deploys/locks.ts";
import type { Sources } from "#kernel/deploys/sources.ts";
import type { HostApi } from "#kernel/services/host/host-api.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import { newRevision, RevisionCode, type Revision } from "#kernel/services/revision.ts";
import type { ServiceAuthority } from "#kernel/services/host/service-authority.ts";
import { Service, type ServiceOptions } from "#kernel/services/service.ts";
import type { Tenants } from "#kernel/tenants.ts";

export interface ServiceFactoryOptions {
  readonly sources: Sources;
  readonly authority: ServiceAuthority;
  readonly defaults: (tenant: string) => SpecDefaults;
  readonly tenants: Tenants;
  readonly deployments: Deployments;
  readonly locks: ServiceLocks;
  readonly powers: ServicePowers;
  readonly hostApi: HostApi;
}

export class ServiceFactory {
  readonly #options: ServiceFactoryOptions;

  constructor(options: ServiceFactoryOptions) {
    this.#options = options;
  }

  code(tenant: string, spec: ServiceSpec, compiled?: Compiled): RevisionCode {
    const { sources } = this.#options;
    return new RevisionCode({ tenant, compiled, load: () => sources.recorded(spec, tenant) });
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
    return newRevision({ spec, code: this.code(tenant, spec), handles });
  }

  /** Nothing of it runs yet, and no name is taken. */
  service(facts: Pick<ServiceOptions, "key" | "revision" | "deployedAtMs" | "incoming">): Service {
    const { powers, hostApi } = this.#options;
    return new Service({
      ...facts,
      powers,
      hostApi,
      quarantined: (service) => this.#recordQuarantine(service),
    });
  }

  /** It is left alone after a restart of the kernel too. */
  #recordQuarantine(service: Service): void {
    const { tenants, deployments, locks, powers } = this.#options;
    const { key } = service;
    // A kill, a restart or an update that is under way writes what it wants itself.
    if (locks.isHeld(key) || tenants.find(key) !== service) return;
    deployments.put(deploymentOf(service)).catch((error: unknown) => {
      powers.log.warn("quarantine not recorded", { service: keyText(key), error: String(error) });
    });
  }
}
