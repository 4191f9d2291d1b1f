/**
 * The rollout of each service on disk: the one that is under way, or the last one.
 *
 * 1. What runs in which slot is decided by the record: it is written in one batch with the
 *    states that its slots begin with.
 * 2. While it is under way the record holds the whole new revision, and beside it stands the
 *    state that each moved slot had before; when it is over neither stays.
 * 3. A record that cannot be read means no rollout: every slot runs the current revision.
 */
import { keyText, type ServiceId, type ServiceKey, type TenantId } from "#base/ids.ts";
import { checked, withChecksum } from "#deploy/checksum.ts";
import { isOver, type Rollout } from "#deploy/rollout.ts";
import { stateKeyText } from "#deploy/snapshots.ts";
import type { ServiceSpec } from "#deploy/spec.ts";
import type { Kv } from "#storage/kv.ts";
import type { KvOp } from "#storage/protocol.ts";

const NAMESPACE = "rollouts";
const STATES = "rollout_states";
const FORM = 1;
const PAGE = 500;

/** How the old revision did before, as the watchdog measures it. */
export interface Baseline {
  readonly overMs: number;
  readonly messages: number;
  readonly errors: number;
  readonly crashes: number;
  readonly p95Ms: number;
  /** Of one instance. */
  readonly memoryBytes: number;
}

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
  readonly baseline: Baseline;
  /** Of the event that the next one follows from. */
  readonly causeId: number;
}

/** What a slot had when it moved. */
export interface KeptState {
  readonly state: string;
  readonly version?: string | undefined;
}

interface Stored extends Omit<RolloutRecord, "key"> {
  readonly form: number;
  readonly tenant: string;
  readonly service: string;
}

export class Rollouts {
  readonly #kv: Kv;

  constructor(kv: Kv) {
    this.#kv = kv;
  }

  async get(key: ServiceKey): Promise<RolloutRecord | undefined> {
    const entry = await this.#kv.get(NAMESPACE, keyText(key));
    return entry === undefined ? undefined : recordOf(entry.value);
  }

  /** Those that are under way, by `keyText`. */
  async underWay(): Promise<Map<string, RolloutRecord>> {
    const found = new Map<string, RolloutRecord>();
    for (let after: string | undefined; ;) {
      const page = await this.#kv.list(NAMESPACE, {
        limit: PAGE,
        ...(after !== undefined && { after }),
      });
      for (const { key, value } of page) {
        const record = recordOf(value);
        if (record?.spec !== undefined && !isOver(record.rollout)) found.set(key, record);
      }
      if (page.length < PAGE) return found;
      after = page.at(-1)!.key;
    }
  }

  /** Resolves when it is on disk. */
  async put(record: RolloutRecord): Promise<void> {
    await this.#kv.batch(this.writes(record));
  }

  /** What records it; `kept`: of the slots that move with this write. */
  writes(record: RolloutRecord, kept: ReadonlyMap<number, KeptState> = new Map()): KvOp[] {
    const { key, ...rest } = record;
    const over = isOver(record.rollout);
    const stored: Stored = {
      form: FORM,
      ...rest,
      spec: over ? undefined : record.spec,
      tenant: key.tenant,
      service: key.service,
    };
    const value = withChecksum(Buffer.from(JSON.stringify(stored)));
    return [
      { op: "put", ns: NAMESPACE, key: keyText(key), value },
      ...(over ? this.#stateRemovals(record) : stateWrites(key, kept)),
    ];
  }

  /** What each moved slot had before, as far as it was kept. */
  async keptStates({ key, rollout }: RolloutRecord): Promise<Map<number, KeptState>> {
    const found = new Map<number, KeptState>();
    for (const slot of rollout.slots) {
      const entry = await this.#kv.get(STATES, stateKeyText({ ...key, slot }));
      const body = entry && checked(entry.value);
      if (body !== undefined) found.set(slot, JSON.parse(body.toString()) as KeptState);
    }
    return found;
  }

  async remove(key: ServiceKey): Promise<void> {
    const record = await this.get(key);
    if (record === undefined) return;
    const removal = { op: "delete", ns: NAMESPACE, key: keyText(key) } as const;
    await this.#kv.batch([removal, ...this.#stateRemovals(record)]);
  }

  #stateRemovals({ key, rollout }: RolloutRecord): KvOp[] {
    return Array.from({ length: rollout.instances }, (_, slot) => ({
      op: "delete" as const,
      ns: STATES,
      key: stateKeyText({ ...key, slot }),
    }));
  }
}

const stateWrites = (key: ServiceKey, kept: ReadonlyMap<number, KeptState>): KvOp[] =>
  [...kept].map(([slot, { state, version }]) => ({
    op: "put",
    ns: STATES,
    key: stateKeyText({ ...key, slot }),
    value: withChecksum(Buffer.from(JSON.stringify({ state, version }))),
  }));

function recordOf(value: Uint8Array): RolloutRecord | undefined {
  const body = checked(value);
  const stored = body && (JSON.parse(body.toString()) as Stored);
  if (stored?.form !== FORM) return undefined;
  const { form: _form, tenant, service, ...rest } = stored;
  return { ...rest, key: { tenant: tenant as TenantId, service: service as ServiceId } };
}
