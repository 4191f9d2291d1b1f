/**
 * What the services of one tenant use together, against what the tenant may.
 *
 * 1. What its messages hold of the kernel's memory is counted from the moment a message is
 *    taken until it has ended: one bound, however many services are flooded.
 */
import { SoloError } from "#base/errors.ts";
import type { TenantId } from "#base/ids.ts";
import { CpuShare } from "#limits/cpu-share.ts";
import type { Limit, Resource, TENANT_RESOURCES, Violation } from "#limits/limit.ts";
import { Meter } from "#limits/meter.ts";

export type TenantResource = (typeof TENANT_RESOURCES)[number];

export interface TenantBounds {
  readonly memoryBytes: number;
  /** Infinity: no limit. */
  readonly cpuPercent: number;
  readonly openRequests: number;
  readonly waitingChars: number;
  readonly storageBytes: number;
  readonly services: number;
}

/** What all tenants' messages may hold of the kernel's memory together. */
export const MAX_WAITING_CHARS = 512 * 1024 * 1024;

/** Shared by all tenants. */
export interface AllWaiting {
  chars: number;
}

export interface TenantLimitsOptions {
  readonly tenant: TenantId;
  readonly bounds: TenantBounds;
  readonly all: AllWaiting;
  readonly now: () => number;
  readonly tell: (violation: Violation) => void;
}

const RETRY_MS = 500;

export class TenantLimits {
  readonly tenant: TenantId;
  readonly meter: Meter<TenantResource>;
  readonly #all: AllWaiting;
  readonly #cpu = new CpuShare();
  /** By service. */
  readonly #stored = new Map<string, number>();
  #openRequests = 0;
  #waitingChars = 0;
  #storedBytes = 0;
  /** CPU time of its processes, ms. */
  cpuMs = 0;
  memoryBytes = 0;

  constructor(options: TenantLimitsOptions) {
    const { tenant, bounds, all, now, tell } = options;
    this.tenant = tenant;
    this.#all = all;
    this.meter = new Meter<TenantResource>({ now, tell, limits: limitsOf(bounds) });
  }

  get memoryLimitBytes(): number {
    return this.meter.limitOf("tenant_memory");
  }

  /** Infinity: none. */
  get cpuLimitPercent(): number {
    return this.meter.limitOf("tenant_cpu");
  }

  /** The settings may have changed. */
  rebound(bounds: TenantBounds): void {
    this.meter.relimit(limitsOf(bounds));
  }

  get isCpuThrottled(): boolean {
    return this.meter.levelOf("tenant_cpu") === "exceeded";
  }

  /** Why a message is not taken now. */
  refusalOf(isRequest: boolean, chars: number): SoloError | undefined {
    if (this.isCpuThrottled) return this.#full("tenant_cpu", "% of a core");
    if (isRequest && this.meter.read("tenant_open_requests", this.#openRequests + 1)) {
      return this.#full("tenant_open_requests", " requests in flight");
    }
    if (this.meter.read("tenant_waiting", this.#waitingChars + chars)) {
      return this.#full("tenant_waiting", " characters of messages that wait");
    }
    if (this.#all.chars + chars <= MAX_WAITING_CHARS) return undefined;
    return new SoloError("overloaded", "More messages wait than the kernel keeps in memory.", {
      hint: "Send it again a little later.",
      retryAfterMs: RETRY_MS,
    });
  }

  entered(isRequest: boolean, chars: number): void {
    if (isRequest) this.#openRequests += 1;
    this.#waitingChars += chars;
    this.#all.chars += chars;
  }

  left(isRequest: boolean, chars: number): void {
    if (isRequest) this.#openRequests -= 1;
    this.#waitingChars -= chars;
    this.#all.chars -= chars;
    this.meter.read("tenant_open_requests", this.#openRequests);
    this.meter.read("tenant_waiting", this.#waitingChars);
  }

  /** What the other services leave for this one to store. */
  storageLeft(service: string): number {
    const others = this.#storedBytes - (this.#stored.get(service) ?? 0);
    return Math.max(0, this.meter.limitOf("tenant_storage") - others);
  }

  stored(service: string, bytes: number): void {
    this.#storedBytes += bytes - (this.#stored.get(service) ?? 0);
    if (bytes === 0) this.#stored.delete(service);
    else this.#stored.set(service, bytes);
    this.meter.read("tenant_storage", this.#storedBytes);
  }

  /** So many it has, or would have with one that is asked for; admission decides. */
  services(count: number): void {
    this.meter.read("tenant_services", count);
  }

  /** Called now and then, with how many services there are. */
  looked(services: number): void {
    this.services(services);
    this.meter.settle();
  }

  /** A write was refused. */
  storageRefused(): void {
    this.meter.violated("tenant_storage", this.#storedBytes + 1);
  }

  /** What the operating system says of its processes. */
  sampled(sample: { cpuMs: number; memoryBytes: number }, now: number): void {
    this.cpuMs = sample.cpuMs;
    this.memoryBytes = sample.memoryBytes;
    this.meter.read("tenant_cpu", this.#cpu.read(sample.cpuMs, now));
    // Above its limit a cell ends, which is told where it does.
    const limit = this.meter.limitOf("tenant_memory");
    this.meter.read("tenant_memory", Math.min(limit, sample.memoryBytes));
  }

  #full(what: Resource & TenantResource, unit: string): SoloError {
    return new SoloError(
      "limit_exceeded",
      `The services of tenant ${this.tenant} are at their limit together: ${this.meter.limitOf(what)}${unit}.`,
      {
        hint: `Send it again a little later, or have limits.${SETTING[what]} raised.`,
        retryAfterMs: RETRY_MS,
      },
    );
  }
}

function limitsOf(bounds: TenantBounds): Readonly<Record<TenantResource, Limit>> {
  const throttle = (limit: number): Limit => ({ limit, action: "throttle" });
  return {
    tenant_memory: { limit: bounds.memoryBytes, action: "kill" },
    tenant_cpu: throttle(bounds.cpuPercent),
    tenant_open_requests: throttle(bounds.openRequests),
    tenant_waiting: throttle(bounds.waitingChars),
    tenant_storage: throttle(bounds.storageBytes),
    tenant_services: throttle(bounds.services),
  };
}

const SETTING: Readonly<Record<TenantResource, string>> = {
  tenant_memory: "tenant_memory_mb",
  tenant_cpu: "tenant_cpu_percent",
  tenant_open_requests: "tenant_open_requests",
  tenant_waiting: "tenant_waiting_mb",
  tenant_storage: "tenant_storage_mb",
  tenant_services: "max_per_tenant",
};
