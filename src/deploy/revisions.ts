/**
 * What a service has been: its revisions, and the history of which was current when.
 *
 * 1. A revision is what it was made of, under the address of its content: never changed.
 * 2. The history says who made a revision current, when and why; its newest entry is the
 *    current one. It is written in one batch with the deployment it tells of.
 * 3. At most `keep` entries stay; a revision that no entry names is forgotten with its entry.
 */
import { SoloError } from "#base/errors.ts";
import { keyText, type RevisionId, type ServiceKey } from "#base/ids.ts";
import type { ServiceSpec } from "#deploy/spec.ts";
import type { Kv } from "#storage/kv.ts";
import type { KvOp } from "#storage/protocol.ts";

const HISTORY = "revision_history";
const CONTENT = "revisions";

export type RevisionAction = "deploy" | "update" | "rollback";

export interface RevisionEntry {
  /** From 1, in the order in which they became current. */
  readonly number: number;
  readonly revision: RevisionId;
  /** The revision that was current before. */
  readonly parent: RevisionId | undefined;
  readonly atMs: number;
  /** The capability that asked for it, or `watchdog`. */
  readonly by: string;
  readonly action: RevisionAction;
  readonly message: string | undefined;
}

export type NewEntry = Omit<RevisionEntry, "number" | "parent">;

export class Revisions {
  readonly #kv: Kv;
  readonly #keep: number;

  constructor(options: { kv: Kv; keep: number }) {
    this.#kv = options.kv;
    this.#keep = options.keep;
  }

  /** Newest first. */
  async history(key: ServiceKey): Promise<RevisionEntry[]> {
    return (await this.#entries(key)).toReversed();
  }

  /** What the revision is made of. */
  async get(key: ServiceKey, revision: string): Promise<ServiceSpec> {
    const entry = await this.#kv.get(CONTENT, contentKey(key, revision));
    if (entry !== undefined) return JSON.parse(Buffer.from(entry.value).toString()) as ServiceSpec;
    const known = [...new Set((await this.history(key)).map((each) => each.revision))].slice(0, 5);
    throw new SoloError("not_found", `${key.service} has no revision ${revision.slice(0, 64)}.`, {
      hint:
        known.length === 0
          ? "Its history is empty."
          : `The newest are: ${known.join(", ")}. Older ones than limits.revisions_kept are gone.`,
    });
  }

  /** The writes that make `entry` the newest of the history. */
  async became(key: ServiceKey, entry: NewEntry, spec: ServiceSpec): Promise<KvOp[]> {
    const before = await this.#entries(key);
    const last = before.at(-1);
    const entries = [
      ...before,
      { ...entry, number: (last?.number ?? 0) + 1, parent: last?.revision },
    ];
    const kept = entries.slice(-this.#keep);
    const named = new Set(kept.map(({ revision }) => revision));
    const forgotten = entries
      .map(({ revision }) => revision)
      .filter((revision) => !named.has(revision));
    return [
      put(HISTORY, keyText(key), kept),
      put(CONTENT, contentKey(key, entry.revision), spec),
      ...[...new Set(forgotten)].map((revision) => drop(CONTENT, contentKey(key, revision))),
    ];
  }

  /** The same for a service that had no history. */
  began(key: ServiceKey, entry: NewEntry, spec: ServiceSpec): KvOp[] {
    return [
      put(HISTORY, keyText(key), [{ ...entry, number: 1, parent: undefined }]),
      put(CONTENT, contentKey(key, entry.revision), spec),
    ];
  }

  async remove(key: ServiceKey): Promise<void> {
    const revisions = new Set((await this.#entries(key)).map(({ revision }) => revision));
    await this.#kv.batch([
      drop(HISTORY, keyText(key)),
      ...[...revisions].map((revision) => drop(CONTENT, contentKey(key, revision))),
    ]);
  }

  /** Oldest first. */
  async #entries(key: ServiceKey): Promise<RevisionEntry[]> {
    const entry = await this.#kv.get(HISTORY, keyText(key));
    if (entry === undefined) return [];
    return JSON.parse(Buffer.from(entry.value).toString()) as RevisionEntry[];
  }
}

/** No name holds the mark. */
const contentKey = (key: ServiceKey, revision: string): string => `${keyText(key)}@${revision}`;

const put = (ns: string, key: string, value: unknown): KvOp => ({
  op: "put",
  ns,
  key,
  value: Buffer.from(JSON.stringify(value)),
});
const drop = (ns: string, key: string): KvOp => ({ op: "delete", ns, key });
