/** What each slot had before a change that may be taken back: kept beside the record of the change. */
import type { ServiceKey } from "#base/ids.ts";
import { checked, withChecksum } from "#deploy/checksum.ts";
import { stateKeyText } from "#deploy/snapshots.ts";
import type { Kv } from "#storage/kv.ts";
import type { KvOp } from "#storage/protocol.ts";

export interface KeptState {
  /** Encoded. */
  readonly state: string;
  /** What the service called its version when it wrote this. */
  readonly version?: string | undefined;
}

export class KeptStates {
  readonly #kv: Kv;
  readonly #namespace: string;

  constructor(options: { kv: Kv; namespace: string }) {
    this.#kv = options.kv;
    this.#namespace = options.namespace;
  }

  /** The writes that keep the states, by slot. */
  puts(key: ServiceKey, kept: ReadonlyMap<number, KeptState>): KvOp[] {
    return [...kept].map(([slot, { state, version }]) => ({
      op: "put",
      ns: this.#namespace,
      key: stateKeyText({ ...key, slot }),
      value: withChecksum(JSON.stringify({ state, version })),
    }));
  }

  removals(key: ServiceKey, slots: Iterable<number>): KvOp[] {
    return [...slots].map((slot) => ({
      op: "delete",
      ns: this.#namespace,
      key: stateKeyText({ ...key, slot }),
    }));
  }

  /** Of those slots, as far as they were kept and are whole. */
  async load(key: ServiceKey, slots: Iterable<number>): Promise<Map<number, KeptState>> {
    const found = new Map<number, KeptState>();
    for (const slot of slots) {
      const entry = await this.#kv.get(this.#namespace, stateKeyText({ ...key, slot }));
      const body = entry && checked(entry.value);
      if (body !== undefined) found.set(slot, JSON.parse(body.toString()) as KeptState);
    }
    return found;
  }
}
