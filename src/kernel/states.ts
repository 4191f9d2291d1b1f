/**
 * What services keep, as operations see it: to look at, to carry elsewhere, to replace.
 *
 * 1. A new state replaces the old one in one write, while the service is stopped; when it does
 *    not start with it, the old one is put back. A kernel that dies in between comes back with
 *    the new one.
 * 2. A state that is damaged can be replaced, not looked at.
 * 3. What somebody has put in place stays: a probation does not bring back what was there before.
 */
import { SoloError, toSoloError } from "#base/errors.ts";
import { keyText, type ServiceKey } from "#base/ids.ts";
import { within } from "#base/deadline.ts";
import type { Dormants } from "#deploy/dormants.ts";
import type { Snapshot, Snapshots, StateKey } from "#deploy/snapshots.ts";
import { fromDocument, toDocument, type StateDocument } from "#deploy/state-document.ts";
import type { Started } from "#kernel/deploys/deployed.ts";
import type { Restarter } from "#kernel/deploys/restarter.ts";
import type { Faults } from "#kernel/faults.ts";
import type { Replica } from "#kernel/services/replica/replica.ts";
import type { ProbationKeeper } from "#kernel/upgrades/probation-keeper.ts";
import { keepsState } from "#kernel/services/instance/start-message.ts";
import type { Tenants } from "#kernel/tenants.ts";
import type { KvOp } from "#storage/protocol.ts";

/** A guest that is busy for longer does not tell its state. */
const TELL_MS = 5000;

export interface SeenState extends Snapshot {
  readonly source: "running" | "stored";
  readonly savedAtMs: number | undefined;
}

export interface StatesOptions {
  readonly tenants: Tenants;
  readonly snapshots: Snapshots;
  readonly restarter: Restarter;
  readonly probations: Pick<ProbationKeeper, "forgetStates">;
  readonly powers: { readonly dormants: Dormants; readonly faults: Faults };
}

export class States {
  readonly #tenants: Tenants;
  readonly #snapshots: Snapshots;
  readonly #restarter: Restarter;
  readonly #probations: StatesOptions["probations"];
  readonly #powers: StatesOptions["powers"];

  constructor(options: StatesOptions) {
    this.#tenants = options.tenants;
    this.#snapshots = options.snapshots;
    this.#restarter = options.restarter;
    this.#probations = options.probations;
    this.#powers = options.powers;
  }

  /** Of a running instance what it is now, else what is stored. */
  async see(key: StateKey): Promise<SeenState> {
    const running = await this.#told(this.#replica(key));
    if (running !== undefined) return { ...running, source: "running", savedAtMs: undefined };
    const stored = await this.#snapshots.load(key);
    if (stored !== undefined) return { ...stored, source: "stored" };
    throw new SoloError("not_found", `${key.service} does not run and has no stored state.`, {
      hint: "Start it, or see its persistence in its status.",
    });
  }

  /** One that is idle must not fall asleep while it is asked. */
  async #told(replica: Replica): Promise<Snapshot | undefined> {
    const letSleep = replica.keepAwake();
    try {
      return await within(replica.tellState(), {
        ms: TELL_MS,
        what: `${replica.key.service} to tell its state`,
        code: "unavailable",
      });
    } finally {
      letSleep();
    }
  }

  async export(key: StateKey): Promise<StateDocument> {
    return toDocument(await this.see(key));
  }

  async import(key: StateKey, document: StateDocument): Promise<Started> {
    const { spec } = this.#replica(key);
    const snapshot = fromDocument(document, spec.limits.stateBytes);
    return this.#replace([key], snapshot);
  }

  /** Of all slots when none is named. */
  async reset(key: ServiceKey, slot: number | undefined): Promise<Started> {
    const { replicas } = this.#tenants.get(key);
    const slots = slot === undefined ? replicas.map((each) => each.slot) : [slot];
    const keys = slots.map((each) => ({ ...key, slot: each }));
    return this.#replace(keys, undefined);
  }

  /** `snapshot`: what all of them begin with; a fresh state when there is none. */
  async #replace(keys: readonly StateKey[], snapshot: Snapshot | undefined): Promise<Started> {
    for (const key of keys) this.#mustKeep(this.#replica(key));
    const { dormants, faults } = this.#powers;
    const probations = this.#probations;
    const [first] = keys;
    let before: (Snapshot | undefined)[] = [];
    return this.#restarter.startWith(first!, {
      apply: async () => {
        before = await Promise.all(keys.map((key) => this.#stored(key)));
        // Who slept must not go on with it where the old one stopped.
        const wakes = keys.map((key) => dormants.removal(key));
        await this.#put(keys, () => snapshot, wakes);
        await faults("replaced", keyText(first!));
      },
      undo: () => this.#put(keys, (at) => before[at]),
      done: () =>
        probations.forgetStates(
          first!,
          keys.map(({ slot }) => slot),
        ),
    });
  }

  /** In one write. */
  async #put(
    keys: readonly StateKey[],
    stateOf: (at: number) => Snapshot | undefined,
    beside: readonly KvOp[] = [],
  ): Promise<void> {
    const saved: [StateKey, Snapshot][] = [];
    const removed: KvOp[] = [];
    for (const [at, key] of keys.entries()) {
      const snapshot = stateOf(at);
      if (snapshot === undefined) removed.push(...this.#snapshots.removal(key));
      else saved.push([key, snapshot]);
    }
    await this.#snapshots.saveAll(saved, [...removed, ...beside]);
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
