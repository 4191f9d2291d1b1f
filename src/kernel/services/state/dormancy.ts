/**
 * A replica's sleep as the disk knows it: written before the instance goes, removed after
 * it is back.
 *
 * 1. The record is removed at the latest together with the first newer snapshot, so that a
 *    kernel that dies never goes on from an older state than was acknowledged.
 * 2. Until then it says the truth of what is on disk: a hybrid or stateless service whose kernel
 *    dies before its next flush sleeps on as it slept, with its timers. Of a durable one, whose
 *    timers may have changed without its state, it is removed at once.
 * 3. What is being written is not removed meanwhile: it may be all that is left in a moment.
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
  #beginning: Promise<void> | undefined;
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

  begin(dormant: Dormant, snapshot: Snapshot): Promise<void> {
    this.#beginning = this.#begin(dormant, snapshot).finally(() => (this.#beginning = undefined));
    return this.#beginning;
  }

  /** It runs: the record is of no use any more, and goes with the next `clean` or snapshot. */
  end(): void {
    if (this.#dormant !== undefined) this.#stale = true;
    this.#dormant = undefined;
  }

  /** A newer snapshot is on disk, and what went `beside` it. */
  outdated(): void {
    this.#stale = false;
  }

  /** Resolves when no record is left that says nothing any more. */
  async clean(): Promise<void> {
    while (this.#beginning !== undefined) await this.#beginning.catch(() => {});
    if (!this.#stale) return;
    this.#cleaning ??= this.#clean().finally(() => (this.#cleaning = undefined));
    await this.#cleaning;
  }

  async #begin(dormant: Dormant, snapshot: Snapshot): Promise<void> {
    await this.#cleaning?.catch(() => {});
    // Set first: what fails half-way must be looked after as well.
    this.#stale = true;
    await this.#dormants.put(this.#key, dormant, snapshot);
    this.#stale = false;
    this.#dormant = dormant;
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
