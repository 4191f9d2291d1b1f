/**
 * How many requests go out at a time.
 *
 * 1. Of one service, one tenant and all of them at most so many are on their way, and at most
 *    so many bytes of bodies are held for them.
 * 2. A request that must wait does so behind the others of its tenant, in order, save that a
 *    service at its own bound holds up no other.
 */
import { SoloError } from "#base/errors.ts";
import type { ServiceKey, TenantId } from "#base/ids.ts";
import {
  MAX_BODY_BYTES_IN_ALL,
  MAX_BODY_BYTES_PER_TENANT,
  MAX_IN_ALL,
  MAX_WAITING_PER_TENANT,
} from "#egress/limits.ts";

interface Waiter {
  readonly service: string;
  readonly begin: () => void;
}

interface Tenant {
  active: number;
  bodyBytes: number;
  readonly services: Map<string, number>;
  readonly waiting: Set<Waiter>;
}

export class Slots {
  readonly #perService: number;
  readonly #perTenant: number;
  readonly #tenants = new Map<TenantId, Tenant>();
  #total = 0;
  #bodyBytes = 0;

  constructor(options: { readonly perService: number; readonly perTenant: number }) {
    this.#perService = options.perService;
    this.#perTenant = options.perTenant;
  }

  get active(): number {
    return this.#total;
  }

  /** Resolves with what gives the slot back, once; rejects with the signal's reason. */
  async enter(
    { tenant, service }: ServiceKey,
    { bodyBytes, signal }: { readonly bodyBytes: number; readonly signal: AbortSignal },
  ): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#total >= MAX_IN_ALL || this.#bodyBytes + bodyBytes > MAX_BODY_BYTES_IN_ALL) {
      throw new SoloError("overloaded", "The kernel has as many outbound requests as it takes.", {
        retryAfterMs: 1000,
      });
    }
    const of = this.#tenant(tenant);
    if (of.bodyBytes + bodyBytes > MAX_BODY_BYTES_PER_TENANT) {
      throw new SoloError(
        "limit_exceeded",
        `The bodies of this tenant's requests have more than ${MAX_BODY_BYTES_PER_TENANT} bytes.`,
        { hint: "Await requests before you make more." },
      );
    }
    this.#hold(of, bodyBytes);
    try {
      if (this.#hasRoom(of, service)) this.#begin(of, service);
      else await this.#wait(of, service, signal);
    } catch (error) {
      this.#hold(of, -bodyBytes);
      throw error;
    }
    let given = true;
    return () => {
      if (!given) return;
      given = false;
      this.#hold(of, -bodyBytes);
      this.#end(tenant, of, service);
    };
  }

  #hold(of: Tenant, bytes: number): void {
    of.bodyBytes += bytes;
    this.#bodyBytes += bytes;
  }

  async #wait(of: Tenant, service: string, signal: AbortSignal): Promise<void> {
    if (of.waiting.size >= MAX_WAITING_PER_TENANT) {
      throw new SoloError(
        "limit_exceeded",
        `${this.#perService} requests of a service and ${this.#perTenant} of its tenant go out at a time; ${MAX_WAITING_PER_TENANT} more wait already.`,
        { hint: "Await requests, and read or cancel their bodies, before you make more." },
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { service, begin: resolve };
    const giveUp = () => {
      if (of.waiting.delete(waiter)) reject(signal.reason as Error);
    };
    of.waiting.add(waiter);
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  #tenant(id: TenantId): Tenant {
    const existing = this.#tenants.get(id);
    if (existing !== undefined) return existing;
    const made: Tenant = { active: 0, bodyBytes: 0, services: new Map(), waiting: new Set() };
    this.#tenants.set(id, made);
    return made;
  }

  #hasRoom({ active, services }: Tenant, service: string): boolean {
    return active < this.#perTenant && (services.get(service) ?? 0) < this.#perService;
  }

  #begin(of: Tenant, service: string): void {
    this.#total += 1;
    of.active += 1;
    of.services.set(service, (of.services.get(service) ?? 0) + 1);
  }

  #end(id: TenantId, of: Tenant, service: string): void {
    this.#total -= 1;
    of.active -= 1;
    const left = of.services.get(service)! - 1;
    if (left === 0) of.services.delete(service);
    else of.services.set(service, left);
    for (const waiter of of.waiting) {
      if (!this.#hasRoom(of, waiter.service)) continue;
      of.waiting.delete(waiter);
      this.#begin(of, waiter.service);
      waiter.begin();
      break;
    }
    if (of.active === 0 && of.waiting.size === 0) this.#tenants.delete(id);
  }
}
