/** All capabilities in memory, and the ways to find them: by id, token hash and holder. */
import type { TenantId } from "#base/ids.ts";
import { Capability, type Now } from "#capability/capability.ts";
import {
  type CapabilityId,
  type CapabilityRecord,
  type Holder,
  holderKey,
} from "#capability/record.ts";

export class CapabilityTree {
  readonly owner: Capability;
  readonly #byId = new Map<CapabilityId, Capability>();
  readonly #byHash = new Map<string, Capability>();
  readonly #perTenant = new Map<TenantId | null, number>();
  readonly #byHolder = new Map<string, Set<Capability>>();

  constructor(owner: CapabilityRecord, now: Now) {
    this.owner = this.add(owner, { uses: 0, now });
  }

  get size(): number {
    return this.#byId.size;
  }

  countOf(tenant: TenantId | null): number {
    return this.#perTenant.get(tenant) ?? 0;
  }

  get(id: string): Capability | undefined {
    return this.#byId.get(id as CapabilityId);
  }

  byHash(hash: string): Capability | undefined {
    return this.#byHash.get(hash);
  }

  heldBy(holder: Holder): Iterable<Capability> {
    return this.#byHolder.get(holderKey(holder)) ?? [];
  }

  /** Oldest first, the owner's left out. */
  *all(): Generator<Capability> {
    for (const each of this.#byId.values()) if (each !== this.owner) yield each;
  }

  /** Its parent must be there. */
  add(record: CapabilityRecord, options: { uses: number; now: Now }): Capability {
    const parent = record.parent === null ? undefined : this.#byId.get(record.parent);
    const capability = new Capability(record, { ...options, parent });
    parent?.children.add(capability);
    this.#byId.set(record.id, capability);
    this.#count(record.tenant, 1);
    if (record.tokenHash !== null) this.#byHash.set(record.tokenHash, capability);
    const key = holderKey(record.holder);
    const held = this.#byHolder.get(key) ?? new Set();
    this.#byHolder.set(key, held.add(capability));
    return capability;
  }

  /** With all below it; their ids. */
  remove(capability: Capability): CapabilityId[] {
    const gone = [...capability.subtree()];
    capability.parent?.children.delete(capability);
    for (const { id, record } of gone) {
      this.#byId.delete(id);
      this.#count(record.tenant, -1);
      if (record.tokenHash !== null) this.#byHash.delete(record.tokenHash);
    }
    for (const each of gone) {
      const key = holderKey(each.record.holder);
      const held = this.#byHolder.get(key);
      held?.delete(each);
      if (held?.size === 0) this.#byHolder.delete(key);
    }
    return gone.map(({ id }) => id);
  }

  #count(tenant: TenantId | null, change: 1 | -1): void {
    const count = this.countOf(tenant) + change;
    if (count === 0) this.#perTenant.delete(tenant);
    else this.#perTenant.set(tenant, count);
  }
}
