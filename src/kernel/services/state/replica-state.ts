/**
 * The state of one replica between its instance and the disk.
 *
 * 1. The guest tells a state once: one that could not be stored is asked for again.
 * 2. State belongs to the slot: only a successor in the same slot is given it. What the one
 *    before tells from the moment it is held back is stored if it goes on, and never if not: it
 *    must not follow what is written of the successor.
 * 3. Who slept goes on from what was stored at that moment, if the source is the same.
 */
import type { Clock } from "#base/clock.ts";
import { toSoloError, type SoloError } from "#base/errors.ts";
import { keyText } from "#base/ids.ts";
import type { Snapshot, Snapshots, StateKey, StoredSnapshot } from "#deploy/snapshots.ts";
import type { ServiceBounds } from "#kernel/limits/book.ts";
import type { Dormancy } from "#kernel/services/state/dormancy.ts";
import type { Faults } from "#kernel/faults.ts";
import type { Instance } from "#kernel/services/instance/instance.ts";
import type { ReplicaRecord } from "#kernel/services/replica/record.ts";
import type { Revision } from "#kernel/services/revision.ts";
import { keepsState } from "#kernel/services/instance/start-message.ts";
import type { StateSource } from "#wire/messages.ts";

/** What is known of the state on disk. */
export interface StoredState {
  /** Wall clock of its last write; unknown of what the oldest versions of Solo wrote. */
  readonly atMs?: number | undefined;
  readonly bytes?: number;
  /** The newest was damaged when it was read: this is the one before it. */
  readonly fellBack?: boolean;
  /** The newest state is not on disk. */
  readonly failure?: { readonly error: SoloError; readonly sinceMs: number };
}

export interface ReplicaStateOptions {
  readonly key: StateKey;
  readonly revision: Revision;
  readonly powers: {
    readonly snapshots: Snapshots;
    readonly clock: Clock;
    readonly faults: Faults;
  };
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
  /** What is told waits for it, while it is open whether this one goes on. */
  #decision: PromiseWithResolvers<void> | undefined;
  /** On their way to disk. */
  readonly #saves = new Set<Promise<void>>();
  #flushing: Promise<void> | undefined;

  constructor(options: ReplicaStateOptions) {
    this.#options = options;
  }

  get stored(): StoredState {
    return this.#isKept ? this.#stored : {};
  }

  /** What is on disk, looked up when this kernel has neither read nor written it yet. */
  async lookUp(): Promise<StoredState> {
    const { key, powers } = this.#options;
    if (!this.#isKept || this.#stored.bytes !== undefined) return this.stored;
    try {
      const snapshot = await powers.snapshots.load(key);
      if (snapshot !== undefined && this.#stored.bytes === undefined) this.#read(snapshot);
    } catch (error) {
      return { failure: { error: toSoloError(error), sinceMs: powers.clock.wallMs() } };
    }
    return this.#stored;
  }

  /** What an instance that starts now begins with. */
  async load(): Promise<StateSource> {
    const { key, revision, powers, dormancy, record, storage } = this.#options;
    if (dormancy.dormant !== undefined) await powers.faults("rousing", keyText(key));
    const snapshot = this.#isKept ? await powers.snapshots.load(key) : undefined;
    if (snapshot === undefined) return { from: "init" };
    const { state, version, sourceHash, fellBack, savedAtMs } = snapshot;
    if (fellBack) record.fellBack(savedAtMs);
    storage.stateSaved(key.slot, Buffer.byteLength(state));
    this.#read(snapshot);
    if (dormancy.dormant?.sourceHash === sourceHash) return { from: "asleep", state };
    const migrate = sourceHash !== revision.sourceHash;
    return { from: "stored", state, migrate, ...(version !== undefined && { version }) };
  }

  async save(instance: Instance, state: string): Promise<void> {
    // Nothing lies between the look and the save: who holds it back next must find one or the other.
    while (this.#decision !== undefined) await this.#decision.promise;
    if (this.#closed) return;
    const saving = this.#save(instance, state);
    this.#saves.add(saving);
    try {
      await saving;
    } finally {
      this.#saves.delete(saving);
    }
  }

  async #save(instance: Instance, state: string): Promise<void> {
    const { key, powers, dormancy, storage } = this.#options;
    storage.stateSaved(key.slot, Buffer.byteLength(state));
    try {
      await powers.faults("saving", keyText(key));
      const { beside } = dormancy;
      await powers.snapshots.save(key, this.snapshotOf(instance, state), beside);
      if (beside.length > 0) dormancy.outdated();
      this.wrote(state);
      await powers.faults("saved", keyText(key));
    } catch (error) {
      this.couldNotWrite(error);
      throw error;
    }
  }

  /** It is on disk now. */
  wrote(state: string): void {
    const { powers, record } = this.#options;
    if (this.#stored.failure !== undefined) record.storedAgain();
    this.#stored = { atMs: powers.clock.wallMs(), bytes: Buffer.byteLength(state) };
  }

  /** The newest state is not on disk; what is there stays. */
  couldNotWrite(cause: unknown): void {
    const { revision, powers, record } = this.#options;
    // Who keeps its state for its sleep alone goes on awake, and lacks nothing.
    if (!keepsState(revision.spec)) return;
    const error = toSoloError(cause);
    const { failure } = this.#stored;
    if (failure === undefined) record.notStored(error);
    const sinceMs = failure?.sinceMs ?? powers.clock.wallMs();
    this.#stored = { ...this.#stored, failure: { error, sinceMs } };
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

  /** Resolves when what was told is on disk, or failed; until `goOn` or `close` the rest waits. */
  async holdBack(): Promise<void> {
    this.#decision ??= Promise.withResolvers();
    await Promise.allSettled(this.#saves);
  }

  goOn(): void {
    this.#decision?.resolve();
    this.#decision = undefined;
  }

  /** The slot's state is another's from now on. */
  close(): void {
    this.#closed = true;
    this.goOn();
  }

  #read({ state, savedAtMs, fellBack }: StoredSnapshot): void {
    this.#stored = {
      atMs: savedAtMs,
      bytes: Buffer.byteLength(state),
      ...(fellBack && { fellBack }),
    };
  }

  get #isKept(): boolean {
    const { revision, dormancy } = this.#options;
    return keepsState(revision.spec) || dormancy.dormant !== undefined;
  }

  get #isHybrid(): boolean {
    return this.#options.revision.spec.persistence === "hybrid";
  }

  #flush(instance: Instance): Promise<void> {
    return this.#orOwed(instance, async () => {
      const { powers, key } = this.#options;
      await powers.faults("flushing", keyText(key));
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
