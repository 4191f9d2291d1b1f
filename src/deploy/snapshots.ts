/**
 * The stored state of services.
 *
 * 1. A snapshot says which revision wrote it and carries a checksum; a torn or altered one
 *    is refused by name, never loaded.
 */
import { SoloError } from "#base/errors.ts";
import { keyText, type ServiceKey } from "#base/ids.ts";
import { checked, withChecksum } from "#deploy/checksum.ts";
import { MAX_INSTANCES } from "#deploy/spec.ts";
import type { Kv } from "#storage/kv.ts";

const NAMESPACE = "state";
/** No name holds it: the slots of one service are nobody else's. */
const SLOT_MARK = "#";

/** Whose state it is: of one slot of a service. */
export interface StateKey extends ServiceKey {
  readonly slot: number;
}

/** The first slot's key is the service's own name. */
export const stateKeyText = (key: StateKey): string =>
  key.slot === 0 ? keyText(key) : `${keyText(key)}${SLOT_MARK}${key.slot}`;

export interface Snapshot {
  /** Of the source that wrote it; other source must migrate it. */
  readonly sourceHash: string;
  /** The encoded state; only guests read it. */
  readonly state: string;
  /** What the service called its version when it wrote this. */
  readonly version: string | undefined;
}

export class Snapshots {
  readonly #kv: Kv;

  constructor(kv: Kv) {
    this.#kv = kv;
  }

  /** Resolves when it is on disk. */
  async save(key: StateKey, snapshot: Snapshot): Promise<void> {
    const body = Buffer.from(
      JSON.stringify([snapshot.sourceHash, snapshot.version ?? null, snapshot.state]),
    );
    const put = {
      op: "put",
      ns: NAMESPACE,
      key: stateKeyText(key),
      value: withChecksum(body),
    } as const;
    await this.#kv.batch([put]);
  }

  async load(key: StateKey): Promise<Snapshot | undefined> {
    const entry = await this.#kv.get(NAMESPACE, stateKeyText(key));
    if (entry === undefined) return undefined;
    const body = checked(entry.value);
    if (body === undefined) {
      throw new SoloError(
        "storage_corrupt",
        `The stored state of ${stateKeyText(key)} is damaged.`,
        {
          hint: "Kill the service and deploy it again to start with fresh state.",
        },
      );
    }
    const [source, version, state] = JSON.parse(body.toString()) as [string, string | null, string];
    return { sourceHash: source, state, version: version ?? undefined };
  }

  /** Of all the slots that the service has or had. */
  async remove(key: ServiceKey): Promise<void> {
    const slots = Array.from({ length: MAX_INSTANCES }, (_, slot) =>
      stateKeyText({ ...key, slot }),
    );
    await this.#kv.batch(
      slots.map((slot) => ({ op: "delete", ns: NAMESPACE, key: slot }) as const),
    );
  }
}
