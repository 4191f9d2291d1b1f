/**
 * Capabilities on disk: one row each, and one for the uses of those that have a limit.
 *
 * 1. A row that cannot be read is reported; it and what was derived from it grant nothing.
 */
import type { Capability } from "#capability/capability.ts";
import {
  type CapabilityId,
  type CapabilityRecord,
  decodeRecord,
  encodeRecord,
} from "#capability/record.ts";
import type { Kv } from "#storage/kv.ts";
import type { KvOp } from "#storage/protocol.ts";

const RECORDS = "capabilities";
const USES = "capability_uses";
const PAGE = 5_000;
const DELETES_PER_BATCH = 1_000;

export interface Loaded {
  /** Oldest first. */
  readonly records: readonly CapabilityRecord[];
  readonly uses: ReadonlyMap<string, number>;
  readonly unreadable: readonly string[];
}

export class CapabilityTable {
  readonly #kv: Kv;

  constructor(kv: Kv) {
    this.#kv = kv;
  }

  /** Resolves when it is on disk. */
  async put(record: CapabilityRecord): Promise<void> {
    await this.#kv.batch([rowOf(record)]);
  }

  async putUses(capabilities: readonly Capability[]): Promise<void> {
    await this.#kv.batch(
      capabilities.map(({ id, uses }) => ({
        op: "put",
        ns: USES,
        key: id,
        value: Buffer.from(String(uses)),
      })),
    );
  }

  async remove(ids: readonly CapabilityId[]): Promise<void> {
    for (let i = 0; i < ids.length; i += DELETES_PER_BATCH) {
      const some = ids.slice(i, i + DELETES_PER_BATCH);
      await this.#kv.batch(
        some.flatMap((key) => [RECORDS, USES].map((ns) => ({ op: "delete" as const, ns, key }))),
      );
    }
  }

  async load(): Promise<Loaded> {
    const records: CapabilityRecord[] = [];
    const unreadable: string[] = [];
    for await (const { key, value } of this.#all(RECORDS)) {
      try {
        records.push(decodeRecord(value));
      } catch {
        unreadable.push(key);
      }
    }
    const uses = new Map<string, number>();
    for await (const { key, value } of this.#all(USES)) uses.set(key, decodeUses(value));
    records.sort((a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1));
    return { records, uses, unreadable };
  }

  async *#all(ns: string) {
    for (let after: string | undefined; ;) {
      const page = await this.#kv.list(ns, { limit: PAGE, ...(after !== undefined && { after }) });
      yield* page;
      if (page.length < PAGE) return;
      after = page.at(-1)!.key;
    }
  }
}

/** For a write together with other things. */
export const rowOf = (record: CapabilityRecord): KvOp => ({
  op: "put",
  ns: RECORDS,
  key: record.id,
  value: encodeRecord(record),
});

/** A count that cannot be read is used up: nothing is given on a guess. */
function decodeUses(value: Uint8Array): number {
  const uses = Number(Buffer.from(value).toString());
  return Number.isSafeInteger(uses) && uses >= 0 ? uses : Infinity;
}
