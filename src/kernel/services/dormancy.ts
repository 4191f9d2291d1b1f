/**
 * A replica's sleep as the disk knows it: written before the instance goes, removed after
 * it is back.
 *
 * 1. The record is removed at the latest together with the first newer snapshot, so that a
 *    kernel that dies never goes on from an older state than was acknowledged.
 */
import type { Dormant, Dormants } from "#deploy/dormants.ts";
import type { Snapshot, StateKey } from "#deploy/snapshots.ts";
import type { KvOp } from "#storage/protocol.ts";

export class Dormancy {
  readonly #dormants: Dormants;
  readonly #key: StateKey;
  /** Whether the snapshot belongs to the sleep alone. */
  readonly #stateless: boolean;
  #dormant: Dormant | undefined;
  /** There is a record on disk that says nothing any more. */
  #stale = false;
  #cleaning: Promise<void> | undefined;

  constructor(options: { dormants: Dormants; key: StateKey; stateless: boolean }) {
    this.#dormants = options.dormants;
    this.#key = options.key;
    this.#stateless = options.stateless;
  }

  /** Set from when it falls asleep until it is awake again. */
  get dormant(): Dormant | undefined {
    return this.#dormant;
  }

  /** As an earlier kernel left it. */
  resume(dormant: Dormant): void {
    this.#dormant = dormant;
  }

  async begin(dormant: Dormant, snapshot: Snapshot): Promise<void> {
    await this.#cleaning?.catch(() => {});
    // Set first: what fails half-way must be looked after as well.
    this.#stale = true;
    await this.#dormants.put(this.#key, dormant, snapshot);
    this.#stale = false;
    this.#dormant = dormant;
  }

  /** It runs: the record is of no use any more. Resolves when it is gone. */
  async end(): Promise<void> {
    if (this.#dormant !== undefined) this.#stale = true;
    this.#dormant = undefined;
    await this.clean();
  }

  /** Tries again what failed. */
  async clean(): Promise<void> {
    if (!this.#stale) return;
    this.#cleaning ??= this.#clean().finally(() => (this.#cleaning = undefined));
    await this.#cleaning;
  }

  async #clean(): Promise<void> {
    await this.#dormants.remove(this.#key, { state: this.#stateless });
    this.#stale = false;
  }

  /** What goes to disk beside a newer snapshot. */
  get beside(): KvOp[] {
    return this.#stale ? [this.#dormants.removal(this.#key)] : [];
  }
}
