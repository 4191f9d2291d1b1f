/**
 * The stored state of services.
 *
 * 1. A snapshot says which revision wrote it and carries a checksum; a torn or altered one
 *    is refused by name, never loaded.
 */
import { SoloError } from "#base/errors.ts";
import { keyText, type ServiceKey } from "#base/ids.ts";
import { checked, withChecksum } from "#deploy/checksum.ts";
import type { Kv } from "#storage/kv.ts";

const NAMESPACE = "state";

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
  async save(key: ServiceKey, snapshot: Snapshot): Promise<void> {
    const body = Buffer.from(
      JSON.stringify([snapshot.sourceHash, snapshot.version ?? null, snapshot.state]),
    );
    const put = { op: "put", ns: NAMESPACE, key: keyText(key), value: withChecksum(body) } as const;
    await this.#kv.batch([put]);
  }

  async load(key: ServiceKey): Promise<Snapshot | undefined> {
    const entry = await this.#kv.get(NAMESPACE, keyText(key));
    if (entry === undefined) return undefined;
    const body = checked(entry.value);
    if (body === undefined) {
      throw new SoloError("storage_corrupt", `The stored state of ${keyText(key)} is damaged.`, {
        hint: "Kill the service and deploy it again to start with fresh state.",
      });
    }
    const [source, version, state] = JSON.parse(body.toString()) as [string, string | null, string];
    return { sourceHash: source, state, version: version ?? undefined };
  }

  async remove(key: ServiceKey): Promise<void> {
    await this.#kv.batch([{ op: "delete", ns: NAMESPACE, key: keyText(key) }]);
  }
}
