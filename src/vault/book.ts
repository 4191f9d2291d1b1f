/**
 * The ledger in memory and on disk: changes are decided one after the other, and committed
 * together.
 *
 * 1. A change, its rows, its secret's record and the head are one commit; memory follows disk.
 * 2. A change sees every change before it, also those of its own commit.
 * 3. After a commit whose outcome is not known, the ledger is read again before the next.
 * 4. A ledger that does not fit its head gives and takes nothing until somebody accepts it.
 */
import { SoloError } from "#base/errors.ts";
import type { TenantId } from "#base/ids.ts";
import type { Kv } from "#storage/kv.ts";
import type { KvOp } from "#storage/protocol.ts";
import {
  decodeHead,
  decodeSecret,
  encodeHead,
  encodeSecret,
  minus,
  plus,
  secretKey,
  type SecretRecord,
  weightOf,
} from "#vault/ledger.ts";
import { MAX_CHANGES_PER_COMMIT, MAX_PENDING_CHANGES } from "#vault/limits.ts";
import { allOf, NAMES, put, VAULT } from "#vault/tables.ts";

export interface Change<T> {
  readonly tenant: TenantId;
  readonly name: string;
  /** Decides on the secret as it is; throws to refuse. Called once. */
  decide(current: SecretRecord | undefined, namesOfTenant: number): Decision<T>;
}

export interface Decision<T> {
  readonly record: SecretRecord;
  readonly ops: readonly KvOp[];
  readonly result: T;
}

interface Entry {
  readonly record: SecretRecord;
  readonly weight: bigint;
}

type Tenants = Map<TenantId, Map<string, Entry>>;

function remember(tenants: Tenants, entry: Entry): void {
  const { tenant, name } = entry.record;
  const names = tenants.get(tenant) ?? new Map<string, Entry>();
  tenants.set(tenant, names.set(name, entry));
}

interface Pending {
  readonly change: Change<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export class Book {
  readonly #kv: Kv;
  #macKey: Buffer;
  #tenants: Tenants = new Map();
  #damaged = new Set<string>();
  #broken: string | undefined;
  #counter = 0;
  #sum = 0n;
  #headVersion = 0;
  #isStale = false;
  #pending: Pending[] = [];
  #isDraining = false;
  #turn: Promise<unknown> = Promise.resolve();

  static async open(options: { kv: Kv; macKey: Buffer; minCounter: number }): Promise<Book> {
    const book = new Book(options);
    await book.#load();
    return book;
  }

  private constructor(options: { kv: Kv; macKey: Buffer; minCounter: number }) {
    this.#kv = options.kv;
    this.#macKey = options.macKey;
    this.#counter = options.minCounter;
  }

  get counter(): number {
    return this.#counter;
  }

  /** What is wrong with the ledger as a whole, and the secrets whose own record was altered. */
  get damage(): { readonly broken: string | undefined; readonly secrets: readonly string[] } {
    return { broken: this.#broken, secrets: [...this.#damaged] };
  }

  get(tenant: TenantId, name: string): SecretRecord | undefined {
    this.#mustBeSound({ tenant, name });
    return this.#tenants.get(tenant)?.get(name)?.record;
  }

  /** In order of their names. */
  of(tenant: TenantId): SecretRecord[] {
    const entries = [...(this.#tenants.get(tenant)?.values() ?? [])];
    return entries.map(({ record }) => record).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Resolves when it is on disk. */
  change<T>(change: Change<T>): Promise<T> {
    if (this.#pending.length >= MAX_PENDING_CHANGES) {
      throw new SoloError("overloaded", "Too many changes of secrets are waiting.", {
        retryAfterMs: 200,
      });
    }
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#pending.push({ change, resolve: resolve as Pending["resolve"], reject });
    void this.#drain();
    return promise;
  }

  /** Runs while no change is being committed. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(work);
    this.#turn = run.catch(() => {});
    return run;
  }

  /**
   * Signs everything that is authentic with another key, in one commit with `ops`; what was
   * altered is dropped. To be called in turn.
   */
  async signAnew(macKey: Buffer, ops: readonly KvOp[]): Promise<void> {
    const records = [...this.#tenants.values()].flatMap((names) =>
      [...names.values()].map(({ record }) => record),
    );
    const encoded = records.map((record) => ({
      key: secretKey(record),
      bytes: encodeSecret(macKey, record),
    }));
    const sum = encoded.reduce((total, { bytes }) => plus(total, weightOf(macKey, bytes)), 0n);
    const head = encodeHead(macKey, { counter: this.#counter + 1, sum });
    this.#isStale = true;
    await this.#kv.batch([
      ...ops,
      ...[...this.#damaged].map((key) => ({ op: "delete" as const, ns: NAMES, key })),
      ...encoded.map(({ key, bytes }) => put(NAMES, key, bytes)),
      put(VAULT, "head", head, this.#headVersion),
    ]);
    this.#macKey = macKey;
    await this.#load();
  }

  async #drain(): Promise<void> {
    if (this.#isDraining) return;
    this.#isDraining = true;
    while (this.#pending.length > 0) {
      // What is asked for while others are being written shares the next commit.
      await this.inTurn(() => this.#commit(this.#pending.splice(0, MAX_CHANGES_PER_COMMIT)));
    }
    this.#isDraining = false;
  }

  async #commit(batch: readonly Pending[]): Promise<void> {
    const done: (() => void)[] = [];
    let taken: readonly Pending[] = [];
    try {
      if (this.#isStale) await this.#load();
      const fresh = new Map<string, SecretRecord>();
      const ops: KvOp[] = [];
      taken = batch.filter((pending) => {
        try {
          const { record, ops: own, result } = this.#decide(pending.change, fresh);
          fresh.set(secretKey(record), record);
          ops.push(...own);
          done.push(() => pending.resolve(result));
          return true;
        } catch (error) {
          pending.reject(error);
          return false;
        }
      });
      if (taken.length > 0) await this.#write(fresh, ops);
      for (const tell of done) tell();
    } catch (error) {
      for (const { reject } of taken.length > 0 ? taken : batch) reject(error);
    }
  }

  #decide(change: Change<unknown>, fresh: ReadonlyMap<string, SecretRecord>): Decision<unknown> {
    const { tenant, name } = change;
    this.#mustBeSound(change);
    const names = this.#tenants.get(tenant);
    const current = fresh.get(secretKey(change)) ?? names?.get(name)?.record;
    return change.decide(current, names?.size ?? 0);
  }

  async #write(fresh: ReadonlyMap<string, SecretRecord>, ops: KvOp[]): Promise<void> {
    let sum = this.#sum;
    const entries: Entry[] = [];
    for (const [key, record] of fresh) {
      const bytes = encodeSecret(this.#macKey, record);
      const weight = weightOf(this.#macKey, bytes);
      const before = this.#tenants.get(record.tenant)?.get(record.name)?.weight ?? 0n;
      sum = plus(minus(sum, before), weight);
      entries.push({ record, weight });
      ops.push(put(NAMES, key, bytes));
    }
    const counter = this.#counter + 1;
    ops.push(put(VAULT, "head", encodeHead(this.#macKey, { counter, sum }), this.#headVersion));
    this.#isStale = true; // until the outcome is known
    const versions = await this.#kv.batch(ops);
    this.#isStale = false;
    this.#headVersion = versions.at(-1)!;
    this.#counter = counter;
    this.#sum = sum;
    for (const entry of entries) remember(this.#tenants, entry);
  }

  async #load(): Promise<void> {
    // Beside what is in use: readers go on meanwhile, and must not find half of it.
    const tenants: Tenants = new Map();
    const damaged = new Set<string>();
    let sum = 0n;
    for await (const { key, value } of allOf(this.#kv, NAMES)) {
      const weight = weightOf(this.#macKey, value);
      const record = decodeSecret(this.#macKey, key, value);
      sum = plus(sum, weight);
      if (record === undefined) damaged.add(key);
      else remember(tenants, { record, weight });
    }
    const row = await this.#kv.get(VAULT, "head");
    this.#tenants = tenants;
    this.#damaged = damaged;
    this.#sum = sum;
    const head = row && decodeHead(this.#macKey, row.value, this.#sum);
    const seen = this.#counter;
    this.#headVersion = row?.version ?? 0;
    this.#counter = Math.max(seen, head?.counter ?? 0);
    if (row === undefined) this.#broken = "its head is missing";
    else if (head === undefined) this.#broken = "its head was altered";
    else if (head.counter < seen) this.#broken = "it was set back to an earlier state";
    else this.#broken = head.fits ? undefined : "secrets were removed, added or set back";
    this.#isStale = false;
  }

  #mustBeSound(secret: { tenant: TenantId; name: string }): void {
    if (this.#broken !== undefined) {
      throw new SoloError(
        "storage_corrupt",
        `The vault's ledger is not as the vault left it: ${this.#broken}.`,
        {
          hint: "Restore the data directory from a backup, or have the owner accept the ledger as it is (`solo secrets accept`).",
        },
      );
    }
    if (!this.#damaged.has(secretKey(secret))) return;
    throw new SoloError("storage_corrupt", "The secret's record was altered.", {
      hint: "Restore the data directory from a backup, or have the owner accept the ledger (`solo secrets accept`) and store the secret again.",
    });
  }
}
