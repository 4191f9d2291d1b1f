/**
 * The stored state of services: the newest snapshot and the one before it.
 *
 * 1. A snapshot says which source wrote it and carries a checksum; a torn or altered one is
 *    never loaded.
 * 2. A save leaves the snapshot before it untouched: when the newest is damaged, the last
 *    good one is loaded, and the answer says so.
 * 3. When nothing good is left, that is an error with a name, never an empty state.
 * 4. Older forms are still read.
 */
import { SoloError } from "#base/errors.ts";
import { keyText, type ServiceKey } from "#base/ids.ts";
import { checked, withChecksum } from "#deploy/checksum.ts";
import type { Kv } from "#storage/kv.ts";
import type { KvOp } from "#storage/protocol.ts";

const NAMESPACE = "state";
const FORM = 2;
const PAGE = 100;
const NEWLINE = 10;

/** No name holds it: the slots of one service are nobody else's. */
const SLOT_MARK = "#";
/** Of the second row of a slot. */
const TURN_MARK = "~";

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
  /** The encoded state; only guests decode it. */
  readonly state: string;
  /** What the service called its version when it wrote this. */
  readonly version: string | undefined;
}

export interface StoredSnapshot extends Snapshot {
  /** Unknown of snapshots in the oldest form. */
  readonly savedAtMs: number | undefined;
  /** The newest was damaged: this is the one before it. */
  readonly fellBack: boolean;
}

interface Header {
  readonly form: number;
  readonly source: string;
  readonly version?: string;
  readonly saved_at_ms: number;
}

export class Snapshots {
  readonly #kv: Kv;
  readonly #wallMs: () => number;
  /** The row of each place that holds its newest good snapshot; the other is written next. */
  readonly #newest = new Map<string, string>();

  constructor(options: { kv: Kv; wallMs: () => number }) {
    this.#kv = options.kv;
    this.#wallMs = options.wallMs;
  }

  /** Resolves when it is on disk, together with `beside`: all of it or nothing. */
  async save(key: StateKey, snapshot: Snapshot, beside: readonly KvOp[] = []): Promise<void> {
    await this.saveAll([[key, snapshot]], beside);
  }

  async saveAll(
    snapshots: readonly (readonly [StateKey, Snapshot])[],
    beside: readonly KvOp[] = [],
  ): Promise<void> {
    for (const [key] of snapshots) {
      if (!this.#newest.has(stateKeyText(key))) await this.#look(key);
    }
    const puts = snapshots.map((each) => this.#put(...each));
    try {
      await this.#kv.batch([...puts, ...beside]);
    } catch (error) {
      // Which row is the newest is to be looked up again: the last good one must not be next.
      for (const [key] of snapshots) this.#newest.delete(stateKeyText(key));
      throw error;
    }
  }

  #put(key: StateKey, snapshot: Snapshot): KvOp {
    const [first, second] = rowsOf(key);
    const row = this.#newest.get(first) === first ? second : first;
    this.#newest.set(first, row);
    const { sourceHash, version, state } = snapshot;
    const header: Header = {
      form: FORM,
      source: sourceHash,
      ...(version !== undefined && { version }),
      saved_at_ms: this.#wallMs(),
    };
    const value = withChecksum(`${JSON.stringify(header)}\n${state}`);
    return { op: "put", ns: NAMESPACE, key: row, value };
  }

  async load(key: StateKey): Promise<StoredSnapshot | undefined> {
    const found = await this.#look(key);
    if (found.length === 0) return undefined;
    for (const [at, { body }] of found.entries()) {
      if (body !== undefined) return { ...read(body), fellBack: at > 0 };
    }
    throw new SoloError(
      "storage_corrupt",
      `The stored state of ${stateKeyText(key)} is damaged, and there is no good one before it.`,
      {
        hint: `Import a state that you exported with \`solo state import ${key.service} FILE\`, or start with a fresh one: \`solo state reset ${key.service}\`.`,
      },
    );
  }

  /** Of one slot. */
  async clear(key: StateKey): Promise<void> {
    await this.#kv.batch(this.removal(key));
  }

  /** What removes the slot's snapshots, to go with a batch. */
  removal(key: StateKey): KvOp[] {
    return this.#deletions(rowsOf(key));
  }

  /** Of all slots. */
  async remove(key: ServiceKey): Promise<void> {
    const slots = await this.#slotRows(key);
    await this.#kv.batch(this.#deletions([...rowsOf({ ...key, slot: 0 }), ...slots]));
  }

  #deletions(rows: readonly string[]): KvOp[] {
    for (const row of rows) this.#newest.delete(row);
    return rows.map((key) => ({ op: "delete", ns: NAMESPACE, key }) as const);
  }

  /** Both rows, the newest first; which of them is good decides where the next save goes. */
  async #look(key: StateKey): Promise<{ row: string; body: Buffer | undefined }[]> {
    const rows = rowsOf(key);
    const entries = await Promise.all(
      rows.map(async (row) => ({ row, entry: await this.#kv.get(NAMESPACE, row) })),
    );
    const found = entries
      .flatMap(({ row, entry }) => (entry === undefined ? [] : [{ row, entry }]))
      .toSorted((a, b) => b.entry.version - a.entry.version)
      .map(({ row, entry }) => ({ row, body: checked(entry.value) }));
    const good = found.find(({ body }) => body !== undefined) ?? found[0];
    if (good !== undefined) this.#newest.set(rows[0], good.row);
    return found;
  }

  async #slotRows(key: ServiceKey): Promise<string[]> {
    const rows: string[] = [];
    for (;;) {
      const after = rows.at(-1);
      const prefix = `${keyText(key)}${SLOT_MARK}`;
      const page = await this.#kv.list(NAMESPACE, {
        prefix,
        limit: PAGE,
        ...(after !== undefined && { after }),
      });
      rows.push(...page.map((entry) => entry.key));
      if (page.length < PAGE) return rows;
    }
  }
}

const rowsOf = (key: StateKey): [string, string] => {
  const name = stateKeyText(key);
  return [name, `${name}${TURN_MARK}`];
};

/** A body whose checksum is right. The first form was a JSON array. */
function read(body: Buffer): Omit<StoredSnapshot, "fellBack"> {
  const end = body.indexOf(NEWLINE);
  if (end === -1) {
    const [source, version, state] = JSON.parse(body.toString()) as [string, string | null, string];
    return { sourceHash: source, state, version: version ?? undefined, savedAtMs: undefined };
  }
  const header = JSON.parse(body.toString("utf8", 0, end)) as Header;
  if (header.form !== FORM) {
    throw new SoloError("storage_corrupt", `A stored state has the form ${header.form}.`, {
      hint: "A newer version of Solo wrote it; start that one again.",
    });
  }
  return {
    sourceHash: header.source,
    version: header.version,
    state: body.toString("utf8", end + 1),
    savedAtMs: header.saved_at_ms,
  };
}
