/**
 * The state of one replica between its instance and the disk.
 *
 * 1. The guest tells a state once: one that could not be stored is asked for again.
 * 2. State belongs to the slot: only a successor in the same slot is given it. From then on
 *    the one before stores nothing.
 * 3. Who slept goes on from what was stored at that moment, if the source is the same.
 */
import type { Clock } from "#base/clock.ts";
import { toSoloError, type SoloError } from "#base/errors.ts";
import type { Snapshot, Snapshots, StateKey } from "#deploy/snapshots.ts";
import type { ServiceBounds } from "#kernel/limits/book.ts";
import type { Dormancy } from "#kernel/services/dormancy.ts";
import type { Instance } from "#kernel/services/instance.ts";
import type { ReplicaRecord } from "#kernel/services/record.ts";
import type { Revision } from "#kernel/services/revision.ts";
import { keepsState } from "#kernel/services/start-message.ts";
import type { StateSource } from "#wire/messages.ts";

/** What is known of the state on disk. */
export interface StoredState {
  /** Wall clock of the last write of this kernel, and its size. */
  readonly atMs?: number;
  readonly bytes?: number;
  /** The newest state is not on disk. */
  readonly failure?: { readonly error: SoloError; readonly sinceMs: number };
}

export interface ReplicaStateOptions {
  readonly key: StateKey;
  readonly revision: Revision;
  readonly powers: { readonly snapshots: Snapshots; readonly clock: Clock };
  readonly dormancy: Dormancy;
  readonly record: ReplicaRecord;
  readonly storage: ServiceBounds["storage"];
}

export class ReplicaState {
  readonly #options: ReplicaStateOptions;
  #stored: StoredState = {};
  /** The guest has told a state that is not on disk. */
  #owed = false;
  #closed = false;
  #flushing: Promise<void> | undefined;

  constructor(options: ReplicaStateOptions) {
    this.#options = options;
  }

  get stored(): StoredState {
    return this.#stored;
  }

  /** What an instance that starts now begins with. */
  async load(): Promise<StateSource> {
    const { key, revision, powers, dormancy, record, storage } = this.#options;
    const isKept = keepsState(revision.spec) || dormancy.dormant !== undefined;
    const snapshot = isKept ? await powers.snapshots.load(key) : undefined;
    if (snapshot === undefined) return { from: "init" };
    const { state, version, sourceHash, fellBack, savedAtMs } = snapshot;
    if (fellBack) record.fellBack(savedAtMs);
    storage.stateSaved(key.slot, state.length);
    if (dormancy.dormant?.sourceHash === sourceHash) return { from: "asleep", state };
    const migrate = sourceHash !== revision.sourceHash;
    return { from: "stored", state, migrate, ...(version !== undefined && { version }) };
  }

  async save(instance: Instance, state: string): Promise<void> {
    if (this.#closed) return;
    const { key, powers, dormancy, storage } = this.#options;
    storage.stateSaved(key.slot, state.length);
    try {
      await powers.snapshots.save(key, this.snapshotOf(instance, state), dormancy.beside);
      this.#stored = { atMs: powers.clock.wallMs(), bytes: Buffer.byteLength(state) };
    } catch (error) {
      const sinceMs = this.#stored.failure?.sinceMs ?? powers.clock.wallMs();
      this.#stored = { ...this.#stored, failure: { error: toSoloError(error), sinceMs } };
      throw error;
    }
  }

  /** Hybrid state to disk, if something may have changed it. */
  async flush(instance: Instance | undefined): Promise<void> {
    await this.#options.dormancy.clean();
    if (!this.#isHybrid || !instance?.dirty) return;
    this.#flushing ??= this.#flush(instance).finally(() => (this.#flushing = undefined));
    await this.#flushing;
  }

  /** The present state, stored by then if it is kept; undefined when there is none. */
  async tell(instance: Instance): Promise<Snapshot | undefined> {
    const state = await instance.snapshot("present");
    if (state === undefined) return undefined;
    if (this.#isHybrid) await this.#orOwed(instance, () => this.save(instance, state));
    return this.snapshotOf(instance, state);
  }

  snapshotOf({ started }: Instance, state: string): Snapshot {
    return { state, version: started.version, sourceHash: this.#options.revision.sourceHash };
  }

  /** What the guest tells is not on disk before `settle`: the next flush asks for it again. */
  owe(instance: Instance): void {
    this.#owed = true;
    instance.dirty = true;
  }

  settle(): void {
    this.#owed = false;
  }

  /** The slot's state is another's from now on. */
  close(): void {
    this.#closed = true;
  }

  get #isHybrid(): boolean {
    return this.#options.revision.spec.persistence === "hybrid";
  }

  #flush(instance: Instance): Promise<void> {
    return this.#orOwed(instance, async () => {
      const state = await instance.snapshot(this.#owed ? "present" : "changed");
      if (state !== undefined) await this.save(instance, state);
      this.settle();
    });
  }

  async #orOwed(instance: Instance, save: () => Promise<void>): Promise<void> {
    try {
      await save();
    } catch (error) {
      this.owe(instance);
      throw error;
    }
  }
}
