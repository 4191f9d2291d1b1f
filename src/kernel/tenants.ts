/**
 * The running services: tenant supervisors, made on demand, and the services under them.
 *
 * 1. `(tenant, service)` names at most one service; finding it is one look-up (R1).
 * 2. A service that gave up is quarantined: it keeps its name and takes nothing.
 * 3. A tenant without services has no supervisor.
 */
import { SoloError } from "#base/errors.ts";
import { keyText, type ServiceId, type ServiceKey, type TenantId } from "#base/ids.ts";
import type { Clock } from "#base/clock.ts";
import type { Logger } from "#base/log.ts";
import type { Replica } from "#kernel/services/replica/replica.ts";
import type { Service } from "#kernel/services/service.ts";
import type { ChildSpec } from "#supervisor/child.ts";
import { type Supervisor, supervisorSpec } from "#supervisor/supervisor.ts";

interface Tenant {
  readonly services: Map<ServiceId, Service>;
  readonly supervisor: Promise<Supervisor>;
}

export class Tenants {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #tenants = new Map<TenantId, Tenant>();
  /** Supervisors of tenants that have lost their last service; each until it is gone. */
  readonly #ending = new Map<TenantId, Promise<void>>();
  #root: Supervisor | undefined;
  #total = 0;

  constructor(options: { clock: Clock; log: Logger }) {
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** The child spec of the tenant supervisor, for the kernel's tree. */
  spec(): ChildSpec {
    const spec = supervisorSpec({
      id: "tenants",
      strategy: "one_for_one",
      dynamic: true,
      clock: this.#clock,
      log: this.#log,
      restart: "permanent",
    });
    return {
      ...spec,
      start: async (signal) => {
        this.#tenants.clear();
        this.#ending.clear();
        this.#total = 0;
        return (this.#root = await spec.start(signal));
      },
    };
  }

  get total(): number {
    return this.#total;
  }

  /** That run now, of all services. */
  get instanceCount(): number {
    let count = 0;
    for (const service of this.all()) count += service.instances.length;
    return count;
  }

  /** Of tenants that have services. */
  *ids(): Generator<TenantId> {
    for (const [id, { services }] of this.#tenants) if (services.size > 0) yield id;
  }

  count(tenant: TenantId): number {
    return this.#tenants.get(tenant)?.services.size ?? 0;
  }

  has(tenant: TenantId): boolean {
    return this.count(tenant) > 0;
  }

  find({ tenant, service }: ServiceKey): Service | undefined {
    return this.#tenants.get(tenant)?.services.get(service);
  }

  get(key: ServiceKey): Service {
    const service = this.find(key);
    if (service !== undefined) return service;
    const near = [...(this.#tenants.get(key.tenant)?.services.keys() ?? [])].slice(0, 5);
    throw noService(key, {
      hint:
        near.length === 0
          ? "The tenant has no services; deploy one first."
          : `There are: ${near.join(", ")}.`,
    });
  }

  /** Throws `already_exists` when a service has the name. */
  mustBeFree(key: ServiceKey): void {
    if (this.find(key) !== undefined) throw exists(key);
  }

  /** A tenant's services in order of their names. */
  list(tenant: TenantId): Service[] {
    const services = [...(this.#tenants.get(tenant)?.services.values() ?? [])];
    return services.sort((a, b) => (a.key.service < b.key.service ? -1 : 1));
  }

  *all(): Generator<Service> {
    for (const { services } of this.#tenants.values()) yield* services.values();
  }

  *metrics() {
    for (const service of this.all()) {
      yield {
        key: service.key,
        state: service.state,
        memoryBytes: service.totals.memoryBytes,
        mailboxLength: service.mailboxLength,
        cpuMs: service.totals.cpuMs,
        memoryLimitBytes: service.bounds.limits.meter.limitOf("memory"),
        cpuLimitPercent: service.bounds.limits.meter.limitOf("cpu"),
      };
    }
  }

  /** Starts the service under its tenant's supervisor; its name is taken from now on. */
  async start(service: Service): Promise<void> {
    const { key } = service;
    this.mustBeFree(key);
    this.#tenant(key.tenant).services.set(key.service, service);
    this.#total += 1;
    try {
      await this.startReplicas(service.replicas);
    } catch (error) {
      this.#forget(service);
      throw error;
    }
  }

  /** Holds a place for a service that does not run, such as a quarantined one. */
  keep(service: Service): void {
    const { key } = service;
    this.mustBeFree(key);
    this.#tenant(key.tenant).services.set(key.service, service);
    this.#total += 1;
  }

  /**
   * Starts replicas under their tenant's supervisor, all at the same time; when one does not
   * start, none of them stays. Whom messages go to is not changed.
   */
  async startReplicas(replicas: readonly Replica[]): Promise<void> {
    const starts = await Promise.allSettled(replicas.map((replica) => this.#supervise(replica)));
    const failed = starts.find((start) => start.status === "rejected");
    if (failed === undefined) return;
    const up = replicas.filter((_, at) => starts[at]!.status === "fulfilled");
    await Promise.all(up.map((replica) => replica.handOver.retire()));
    throw failed.reason;
  }

  remove(service: Service): void {
    this.#forget(service);
  }

  async #supervise(replica: Replica): Promise<void> {
    const { key, slot, spec, revision, generation } = replica;
    const supervisor = await this.#tenant(key.tenant).supervisor;
    const place = slot === 0 ? "" : `#${slot}`;
    // Two replicas of a slot stand side by side during an update, perhaps of one revision.
    const again = generation === 0 ? "" : `~${generation}`;
    await supervisor.startChild({
      id: `${key.service}${place}@${revision.id}${again}`,
      restart: "temporary",
      shutdown: spec.restartLimits.shutdownTimeoutMs,
      type: "supervisor",
      start: (signal) => replica.start(signal),
    });
  }

  #tenant(id: TenantId): Tenant {
    const existing = this.#tenants.get(id);
    if (existing !== undefined) return existing;
    const root = this.#root;
    if (root === undefined) throw new SoloError("unavailable", "The kernel is starting.");
    const begin = () => this.#supervisor(root, id);
    const supervisor = this.#ending.get(id)?.then(begin) ?? begin();
    supervisor.catch(() => {}); // told to whoever starts something under it
    const tenant = { services: new Map(), supervisor };
    this.#tenants.set(id, tenant);
    return tenant;
  }

  async #supervisor(root: Supervisor, id: TenantId): Promise<Supervisor> {
    const there = root.findChild(id) as Supervisor | undefined; // its end failed: it goes on
    const spec = supervisorSpec({
      id,
      strategy: "one_for_one",
      dynamic: true,
      clock: this.#clock,
      log: this.#log,
      restart: "temporary",
    });
    return there ?? root.startChild(spec);
  }

  #forget({ key }: Service): void {
    const tenant = this.#tenants.get(key.tenant);
    if (tenant?.services.delete(key.service) !== true) return;
    this.#total -= 1;
    if (tenant.services.size === 0) this.#end(key.tenant, tenant);
  }

  /** Its last service is gone; whoever deploys the next one waits until its supervisor is, too. */
  #end(id: TenantId, { supervisor }: Tenant): void {
    const root = this.#root!;
    this.#tenants.delete(id);
    const ended = supervisor
      .then(() => root.terminateChild(id))
      .catch((error: unknown) => {
        this.#log.warn("a tenant's supervisor not ended", { tenant: id, error: String(error) });
      })
      .finally(() => {
        if (this.#ending.get(id) === ended) this.#ending.delete(id);
      });
    this.#ending.set(id, ended);
  }
}

export const noService = (
  { service, tenant }: ServiceKey,
  options: { readonly hint?: string } = {},
): SoloError =>
  new SoloError(
    "service_not_found",
    `There is no service ${service} in tenant ${tenant}.`,
    options,
  );

const exists = (key: ServiceKey): SoloError =>
  new SoloError("already_exists", `${keyText(key)} is deployed already.`, {
    hint: "Update it instead, kill it first, or choose another service_id.",
  });
