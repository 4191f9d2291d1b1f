/**
 * The rollout of each service on disk: the one that is under way, or the last one.
 *
 * 1. What runs in which slot is decided by the record: it is written in one batch with the
 *    states that its slots begin with.
 * 2. While it is under way the record holds the whole new revision, and beside it stands the
 *    state that each moved slot had before; when it is over neither stays.
 * 3. A record that cannot be read means no rollout: every slot runs the current revision.
 */
import type { ServiceKey } from "#base/ids.ts";
import { KeptStates, type KeptState } from "#deploy/kept-states.ts";
import { Records } from "#deploy/records.ts";
import { isOver, type Rollout } from "#deploy/rollout.ts";
import type { ServiceSpec } from "#deploy/spec.ts";
import type { Performance } from "#deploy/watchdog.ts";
import type { Kv } from "#storage/kv.ts";
import type { KvOp } from "#storage/protocol.ts";

export interface RolloutRecord {
  readonly key: ServiceKey;
  readonly rollout: Rollout;
  /** The new revision; undefined when the rollout is over. */
  readonly spec: ServiceSpec | undefined;
  /** Ids of the capabilities that the new revision holds. */
  readonly capabilities: readonly string[];
  /** The capability that asked for it. */
  readonly by: string;
  readonly message: string | undefined;
  /** How one of the old revision's instances did before. */
  readonly baseline: Performance;
  /** Of the event that the next one follows from. */
  readonly causeId: number;
}

export class Rollouts {
  readonly #kv: Kv;
  readonly #records: Records<RolloutRecord>;
  readonly #states: KeptStates;

  constructor(kv: Kv) {
    this.#kv = kv;
    this.#records = new Records({ kv, namespace: "rollouts", form: 1 });
    this.#states = new KeptStates({ kv, namespace: "rollout_states" });
  }

  get(key: ServiceKey): Promise<RolloutRecord | undefined> {
    return this.#records.get(key);
  }

  /** Those that are under way, by `keyText`. */
  async underWay(): Promise<Map<string, RolloutRecord>> {
    const all = await this.#records.all();
    for (const [name, { spec, rollout }] of all) {
      if (spec === undefined || isOver(rollout)) all.delete(name);
    }
    return all;
  }

  /** Resolves when it is on disk. */
  async put(record: RolloutRecord): Promise<void> {
    await this.#kv.batch(this.writes(record));
  }

  /** What records it; `kept`: of the slots that move with this write. */
  writes(record: RolloutRecord, kept: ReadonlyMap<number, KeptState> = new Map()): KvOp[] {
    if (!isOver(record.rollout)) {
      return [this.#records.put(record), ...this.#states.puts(record.key, kept)];
    }
    return [this.#records.put({ ...record, spec: undefined }), ...this.#stateRemovals(record)];
  }

  /** What each moved slot had before, as far as it was kept. */
  keptStates({ key, rollout }: RolloutRecord): Promise<Map<number, KeptState>> {
    return this.#states.load(key, rollout.slots);
  }

  async remove(key: ServiceKey): Promise<void> {
    const record = await this.get(key);
    if (record === undefined) return;
    await this.#kv.batch([this.#records.removal(key), ...this.#stateRemovals(record)]);
  }

  #stateRemovals({ key, rollout }: RolloutRecord): KvOp[] {
    return this.#states.removals(key, Array(rollout.instances).keys());
  }
}
