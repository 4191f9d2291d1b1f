/**
 * What services keep, as operations see it: to look at, to carry elsewhere, to replace.
 *
 * 1. The old state is on disk until the service runs with the new one; when it does not
 *    start, it goes on with the old.
 * 2. A state that is damaged can be replaced, not looked at.
 */
import { SoloError, toSoloError } from "#base/errors.ts";
import type { ServiceKey } from "#base/ids.ts";
import { within } from "#base/deadline.ts";
import type { Snapshot, Snapshots, StateKey } from "#deploy/snapshots.ts";
import { fromDocument, toDocument, type StateDocument } from "#deploy/state-document.ts";
import type { Deployer, Started } from "#kernel/deployer.ts";
import type { Replica } from "#kernel/services/replica.ts";
import { keepsState } from "#kernel/services/start-message.ts";
import type { Tenants } from "#kernel/tenants.ts";

/** A guest that is busy for longer does not tell its state. */
const TELL_MS = 5000;

export interface SeenState extends Snapshot {
  readonly source: "running" | "stored";
  readonly savedAtMs: number | undefined;
}

export class States {
  readonly #tenants: Tenants;
  readonly #snapshots: Snapshots;
  readonly #deployer: Deployer;

  constructor(options: { tenants: Tenants; snapshots: Snapshots; deployer: Deployer }) {
    this.#tenants = options.tenants;
    this.#snapshots = options.snapshots;
    this.#deployer = options.deployer;
  }

  /** Of a running instance what it is now, else what is stored. */
  async see(key: StateKey): Promise<SeenState> {
    const replica = this.#replica(key);
    const running = await within(replica.tellState(), {
      ms: TELL_MS,
      what: `${key.service} to tell its state`,
      code: "unavailable",
    });
    if (running !== undefined) return { ...running, source: "running", savedAtMs: undefined };
    const stored = await this.#snapshots.load(key);
    if (stored !== undefined) return { ...stored, source: "stored" };
    throw new SoloError("not_found", `${key.service} does not run and has no stored state.`, {
      hint: "Start it, or see its persistence in its status.",
    });
  }

  async export(key: StateKey): Promise<StateDocument> {
    return toDocument(await this.see(key));
  }

  async import(key: StateKey, document: StateDocument): Promise<Started> {
    const { spec } = this.#replica(key);
    const snapshot = fromDocument(document, spec.limits.stateBytes);
    return this.#replace([key], (each) => this.#snapshots.save(each, snapshot));
  }

  /** Of all slots when none is named. */
  async reset(key: ServiceKey, slot: number | undefined): Promise<Started> {
    const { replicas } = this.#tenants.get(key);
    const slots = slot === undefined ? replicas.map((each) => each.slot) : [slot];
    const keys = slots.map((each) => ({ ...key, slot: each }));
    return this.#replace(keys, (each) => this.#snapshots.clear(each));
  }

  async #replace(
    keys: readonly StateKey[],
    put: (key: StateKey) => Promise<void>,
  ): Promise<Started> {
    for (const key of keys) this.#mustKeep(this.#replica(key));
    let before: (Snapshot | undefined)[] = [];
    return this.#deployer.startWith(keys[0]!, {
      apply: async () => {
        before = await Promise.all(keys.map((key) => this.#stored(key)));
        await Promise.all(keys.map(put));
      },
      undo: async () => {
        for (const [at, key] of keys.entries()) {
          const old = before[at];
          if (old === undefined) await this.#snapshots.clear(key);
          else await this.#snapshots.save(key, old);
        }
      },
    });
  }

  /** What there is to go back to; nothing when it is damaged. */
  async #stored(key: StateKey): Promise<Snapshot | undefined> {
    try {
      return await this.#snapshots.load(key);
    } catch (error) {
      if (toSoloError(error).code === "storage_corrupt") return undefined;
      throw error;
    }
  }

  #replica({ slot, ...key }: StateKey): Replica {
    const { replicas } = this.#tenants.get(key);
    const replica = replicas[slot];
    if (replica !== undefined) return replica;
    const message = `must be below ${replicas.length}, the number of instances`;
    throw new SoloError("invalid_argument", `slot ${message}.`, {
      fields: [{ field: "slot", message }],
    });
  }

  #mustKeep({ spec, key }: Replica): void {
    if (keepsState(spec)) return;
    throw new SoloError(
      "conflict",
      `${key.service} is ${spec.persistence}: Solo keeps no state for it that could be replaced.`,
      { hint: "Restart it to start anew, or update it with --persistence hybrid or durable." },
    );
  }
}
