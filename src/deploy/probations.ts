/**
 * The probation of each service on disk: what comes back if the new revision does worse.
 *
 * 1. It is written with the write that makes the new revision current, and goes with the one
 *    that makes another current: whoever finds it knows that nobody has judged yet.
 * 2. Beside it stands the state that each slot had handed over, if the service keeps its state.
 */
import { toSoloError } from "#base/errors.ts";
import type { RevisionId, ServiceKey } from "#base/ids.ts";
import { KeptStates, type KeptState } from "#deploy/kept-states.ts";
import { Records } from "#deploy/records.ts";
import type { ServiceSpec } from "#deploy/spec.ts";
import type { Performance } from "#deploy/watchdog.ts";
import type { Kv } from "#storage/kv.ts";
import type { KvOp } from "#storage/protocol.ts";

export interface ProbationRecord {
  readonly key: ServiceKey;
  /** The one on probation. */
  readonly revision: RevisionId;
  /** The one before: what it is made of, and the capabilities that it holds. */
  readonly previous: { readonly spec: ServiceSpec; readonly capabilities: readonly string[] };
  readonly baseline: Performance;
  /** Wall clock: it must mean something after a restart. */
  readonly endsAtMs: number;
  /** Of the event hot_swap_started. */
  readonly causeId: number;
  /** Whose state is kept. */
  readonly slots: readonly number[];
}

export class Probations {
  readonly #kv: Kv;
  readonly #records: Records<ProbationRecord>;
  readonly #states: KeptStates;

  constructor(kv: Kv) {
    this.#kv = kv;
    this.#records = new Records({ kv, namespace: "probations", form: 1 });
    this.#states = new KeptStates({ kv, namespace: "probation_states" });
  }

  /** Those that nobody has judged yet, by `keyText`. */
  all(): Promise<Map<string, ProbationRecord>> {
    return this.#records.all();
  }

  /** The writes that begin it, in place of another if one is under way. */
  begin(
    record: Omit<ProbationRecord, "slots">,
    kept: ReadonlyMap<number, KeptState>,
    before: ProbationRecord | undefined,
  ): KvOp[] {
    const { key } = record;
    const gone = before?.slots.filter((slot) => !kept.has(slot)) ?? [];
    return [
      this.#records.put({ ...record, slots: [...kept.keys()] }),
      ...this.#states.puts(key, kept),
      ...this.#states.removals(key, gone),
    ];
  }

  /** The writes that end it. */
  end({ key, slots }: Pick<ProbationRecord, "key" | "slots">): KvOp[] {
    return [this.#records.removal(key), ...this.#states.removals(key, slots)];
  }

  /** Resolves when these slots have nothing that could come back. */
  async forgetStates(key: ServiceKey, slots: readonly number[]): Promise<void> {
    await this.#kv.batch(this.#states.removals(key, slots));
  }

  keptStates({ key, slots }: ProbationRecord): Promise<Map<number, KeptState>> {
    return this.#states.load(key, slots);
  }

  /** Whatever there is of the service; resolves when it is not on disk any more. */
  async remove(key: ServiceKey): Promise<void> {
    const record = await this.#records.get(key);
    if (record !== undefined) await this.#kv.batch(this.end(record));
  }

  /** Ends this one, and none that has begun in its place meanwhile. */
  async settle({ key, slots, causeId }: ProbationRecord): Promise<void> {
    const found = await this.#records.find(key);
    if (found?.record.causeId !== causeId) return;
    const ops = [this.#records.removal(key, found.version), ...this.#states.removals(key, slots)];
    await this.#kv.batch(ops).catch((error: unknown) => {
      // Another has begun between the two.
      if (toSoloError(error).code !== "conflict") throw error;
    });
  }
}
