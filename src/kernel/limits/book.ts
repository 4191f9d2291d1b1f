/**
 * Everybody's limits: made with the service, sampled now and then, told as events.
 *
 * 1. What a tenant's processes use is what the operating system says, not what they say.
 */
import type { Clock } from "#base/clock.ts";
import type { Logger } from "#base/log.ts";
import type { ServiceKey, TenantId } from "#base/ids.ts";
import type { Limits } from "#deploy/limits.ts";
import type { EventLog } from "#events/event-log.ts";
import type { ServiceLogs } from "#events/service-logs.ts";
import type { ProcessUsage } from "#kernel/cells/accounts.ts";
import { LimitedLog } from "#kernel/limits/limited-log.ts";
import { ServiceLimits } from "#kernel/limits/service-limits.ts";
import { ServiceStorage } from "#kernel/limits/service-storage.ts";
import { type AllWaiting, type TenantBounds, TenantLimits } from "#kernel/limits/tenant-limits.ts";
import type { Metrics } from "#kernel/metrics.ts";
import type { ServiceKv } from "#kernel/services/host/service-kv.ts";
import type { Violation } from "#limits/limit.ts";

export interface LimitsBookOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: EventLog;
  readonly logs: ServiceLogs;
  readonly kv: ServiceKv;
  readonly metrics: Metrics;
  readonly bounds: (tenant: TenantId) => TenantBounds;
}

/** What one service may use, and has used. */
export interface ServiceBounds {
  readonly limits: ServiceLimits;
  readonly log: LimitedLog;
  readonly storage: ServiceStorage;
}

/** An instance, as far as limits go. */
export interface SampledInstance {
  readonly heapBytes: number;
  readonly workingMs: number;
  pause(ms: number): void;
  overLimit(message: string): void;
  overMemory(message: string): void;
}

/** A service, as far as limits go. */
export interface SampledService {
  readonly key: ServiceKey;
  readonly bounds: ServiceBounds;
  readonly cpuMs: number;
  readonly instances: readonly SampledInstance[];
  /** The longest of its mailboxes. */
  readonly longestMailbox: number;
}

/** Beyond its limit by so much, as the heap is measured, an instance is ended by the kernel:
 *  V8 itself ends most of them at the limit. */
const MEMORY_SLACK = 1.1;
/** An instance above its share of CPU time stands still until the next look, and a little more. */
export const SAMPLE_MS = 500;
const PAUSE_MS = SAMPLE_MS * 1.2;
/** Services whose storage is measured at one look. */
const MEASURED_AT_ONCE = 20;

export class LimitsBook {
  readonly #options: LimitsBookOptions;
  readonly #tenants = new Map<TenantId, TenantLimits>();
  readonly #all: AllWaiting = { chars: 0 };

  constructor(options: LimitsBookOptions) {
    this.#options = options;
  }

  tenant(tenant: TenantId): TenantLimits {
    const known = this.#tenants.get(tenant);
    if (known !== undefined) return known;
    const { bounds, clock } = this.#options;
    const made = new TenantLimits({
      tenant,
      bounds: bounds(tenant),
      all: this.#all,
      now: () => clock.now(),
      tell: (violation) => this.#tell(tenant, null, violation),
    });
    this.#tenants.set(tenant, made);
    return made;
  }

  open(key: ServiceKey, its: Limits): ServiceBounds {
    const { clock, kv, logs } = this.#options;
    const now = () => clock.now();
    const limits = new ServiceLimits({
      key,
      limits: its,
      tenant: this.tenant(key.tenant),
      now,
      tell: (violation) => this.#tell(key.tenant, key.service, violation),
    });
    return {
      limits,
      log: new LimitedLog({ key, limits, logs, now }),
      storage: new ServiceStorage({ limits, kv }),
    };
  }

  tenants(): Iterable<TenantLimits> {
    return this.#tenants.values();
  }

  /** A cell ended because it passed the tenant's memory limit. */
  ranOutOfMemory(tenant: TenantId): void {
    const { meter } = this.tenant(tenant);
    meter.violated("tenant_memory", meter.valueOf("tenant_memory"));
  }

  /** Called every SAMPLE_MS; the tenants that have nothing any more. */
  sample(
    services: Iterable<SampledService>,
    processes: ReadonlyMap<TenantId, ProcessUsage>,
  ): TenantId[] {
    const now = this.#options.clock.now();
    for (const tenant of this.#tenants.values()) {
      tenant.rebound(this.#options.bounds(tenant.tenant));
    }
    const present = new Set<TenantId>(processes.keys());
    const counts = new Map<TenantId, number>();
    for (const [tenant, usage] of processes) this.tenant(tenant).sampled(usage, now);
    let unmeasured = MEASURED_AT_ONCE;
    for (const service of services) {
      const { tenant } = service.key;
      present.add(tenant);
      counts.set(tenant, (counts.get(tenant) ?? 0) + 1);
      sampleService(service, now);
      const { storage, log } = service.bounds;
      for (const kept of [storage, log]) {
        if (unmeasured === 0 || !kept.isStale) continue;
        unmeasured -= 1;
        void kept.refresh().catch((error: unknown) => {
          this.#options.log.debug("not measured", { error: String(error) });
        });
      }
    }
    for (const [tenant, limits] of this.#tenants) {
      if (present.has(tenant)) limits.looked(counts.get(tenant) ?? 0);
    }
    const gone = [...this.#tenants.keys()].filter((tenant) => !present.has(tenant));
    for (const tenant of gone) this.#forget(tenant);
    return gone;
  }

  #forget(tenant: TenantId): void {
    this.#tenants.delete(tenant);
    this.#options.metrics.forgetTenant(tenant);
  }

  #tell(tenant: TenantId, subject: string | null, violation: Violation): void {
    const { events, log, metrics } = this.#options;
    const { what, level, value, limit, action, count } = violation;
    metrics.violated({ tenant, service: subject ?? "", what, level });
    const payload = { what, level, value: rounded(value), limit, action, count };
    try {
      events.emit({ type: "resource_violation", tenantId: tenant, subject, payload });
    } catch (error) {
      log.error("violation not recorded", { tenant, subject, what, error: String(error) });
    }
  }
}

function sampleService(
  { bounds, cpuMs, instances, longestMailbox }: SampledService,
  now: number,
): void {
  const { limits, log } = bounds;
  const most = (read: (instance: SampledInstance) => number) =>
    instances.reduce((max, instance) => Math.max(max, read(instance)), 0);
  const action = limits.sampled(
    {
      cpuMs,
      memoryBytes: most(({ heapBytes }) => heapBytes),
      mailbox: longestMailbox,
      workingMs: most(({ workingMs }) => workingMs),
    },
    now,
  );
  log.settle(now);
  const allowed = limits.meter.limitOf("memory") * MEMORY_SLACK;
  for (const instance of instances) {
    if (instance.heapBytes > allowed) {
      instance.overMemory(`It held ${instance.heapBytes} bytes; limits.memory_mb allows less.`);
    }
    if (action === "kill") {
      instance.overLimit(
        `It used more than ${limits.limits.cpuPercent} % of a core for 5 s; limits.cpu_percent allows no more, and its action is kill.`,
      );
    }
    if (limits.isCpuThrottled || limits.tenant.isCpuThrottled) instance.pause(PAUSE_MS);
  }
}

const rounded = (value: number): number => Math.round(value * 100) / 100;
