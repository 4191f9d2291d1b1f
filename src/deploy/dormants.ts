/**
 * Which replicas sleep, and what wakes them: one small record each, beside the snapshot of
 * their state.
 *
 * 1. A record and the snapshot that it belongs to are on disk together or not at all.
 * 2. As long as there is a record, the snapshot beside it is the newest state there is.
 * 3. A record that cannot be read means an ordinary start, which is always possible.
 */
import { keyText, type ServiceKey } from "#base/ids.ts";
import { checked, withChecksum } from "#deploy/checksum.ts";
import { stateKeyText, type Snapshot, type Snapshots, type StateKey } from "#deploy/snapshots.ts";
import type { Kv } from "#storage/kv.ts";
import type { KvOp } from "#storage/protocol.ts";

const NAMESPACE = "dormant";
const FORM = 1;
const PAGE = 1000;

/** A timer that runs on while its replica sleeps. */
export interface DormantTimer {
  readonly id: number;
  /** Wall clock; the next time of a repeated one. */
  readonly dueAtMs: number;
  /** Of a repeated one. */
  readonly everyMs?: number;
  /** JSON text. */
  readonly message: string;
}

export interface Dormant {
  /** Of the source that ran; other source cannot go on where it stopped. */
  readonly sourceHash: string;
  readonly version: string | undefined;
  readonly handlers: readonly string[];
  readonly timers: readonly DormantTimer[];
  /** Topics and services that it listens to, as resources; records of old have none. */
  readonly listening?: readonly string[];
  /** Wall clock. */
  readonly sinceMs: number;
}

interface Stored extends Dormant {
  readonly form: number;
}

export class Dormants {
  readonly #kv: Kv;
  readonly #snapshots: Snapshots;

  constructor(options: { kv: Kv; snapshots: Snapshots }) {
    this.#kv = options.kv;
    this.#snapshots = options.snapshots;
  }

  /** Resolves when the state and the record are on disk. */
  async put(key: StateKey, dormant: Dormant, snapshot: Snapshot): Promise<void> {
    const stored: Stored = { form: FORM, ...dormant };
    const value = withChecksum(JSON.stringify(stored));
    await this.#snapshots.save(key, snapshot, [
      { op: "put", ns: NAMESPACE, key: stateKeyText(key), value },
    ]);
  }

  /** Removes the record; to go with a batch that makes its snapshot an old one. */
  removal(key: StateKey): KvOp {
    return { op: "delete", ns: NAMESPACE, key: stateKeyText(key) };
  }

  /** Resolves when the record is gone; `state`: the snapshot with it. */
  async remove(key: StateKey, { state }: { state: boolean }): Promise<void> {
    const snapshot = state ? this.#snapshots.removal(key) : [];
    await this.#kv.batch([this.removal(key), ...snapshot]);
  }

  /** Records that belong to nobody, by the names that `all` gave them. */
  async discard(names: readonly string[]): Promise<void> {
    const deletions = names.map((key) => ({ op: "delete", ns: NAMESPACE, key }) as const);
    await this.#kv.batch(deletions);
  }

  /** Those of all slots of a service. */
  async removeAll(key: ServiceKey): Promise<void> {
    const prefix = stateKeyText({ ...key, slot: 1 }).slice(0, -1);
    const slots = await this.#kv.list(NAMESPACE, { prefix, limit: PAGE });
    await this.discard([keyText(key), ...slots.map((entry) => entry.key)]);
  }

  /** Everybody who sleeps, by `stateKeyText`. */
  async all(): Promise<Map<string, Dormant>> {
    const found = new Map<string, Dormant>();
    for (let after: string | undefined; ;) {
      const page = await this.#kv.list(NAMESPACE, {
        limit: PAGE,
        ...(after !== undefined && { after }),
      });
      for (const { key, value } of page) {
        const body = checked(value);
        const stored = body && (JSON.parse(body.toString()) as Stored);
        if (stored?.form === FORM) found.set(key, stored);
      }
      if (page.length < PAGE) return found;
      after = page.at(-1)!.key;
    }
  }
}
