/**
 * The vault: secrets of tenants, sealed.
 *
 * 1. A value is on disk, sealed, before storing it is acknowledged; it is nowhere else.
 * 2. What comes out was stored for exactly this tenant, name and version; a row that was
 *    altered, moved or set back is refused.
 * 3. No error and no event holds a value or a key. Who may ask is settled before: the vault
 *    knows no capabilities.
 */
import type { Clock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import { isName, NAME_RULE } from "#base/ids.ts";
import type { NewEvent } from "#events/event.ts";
import type { Kv } from "#storage/kv.ts";
import { Book } from "#vault/book.ts";
import { accessedEvent, revokedEvent, type SecretName, storedEvent } from "#vault/events.ts";
import { type CallerSecret, newCallerKey } from "#vault/caller-key.ts";
import { decideRevoke, decideStore } from "#vault/decide.ts";
import {
  encodeKeyring,
  type Keyring,
  newMaster,
  openKeyring,
  type Random,
} from "#vault/keyring.ts";
import type { Argon2, MasterKey } from "#vault/keys.ts";
import { encodeHead, type SecretRecord, type VersionRecord } from "#vault/ledger.ts";
import { ARGON2_DEFAULTS, KEY_BYTES, MAX_SECRET_BYTES } from "#vault/limits.ts";
import {
  beginRotation,
  finishRotation,
  type KeyringHolder,
  type RotationResult,
  type SaveMasterKey,
} from "#vault/rotation.ts";
import { sealRow } from "#vault/row.ts";
import { readVersion, unreadable } from "#vault/read.ts";
import { SecretValue } from "#vault/secret-value.ts";
import { put, VAULT } from "#vault/tables.ts";

export interface VaultOptions {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly random: Random;
  readonly master: MasterKey;
  /** For passphrases that are new from now on. */
  readonly argon2?: Argon2 | undefined;
  /** The highest `vault_counter` of the audit trail: an older vault than that is refused. */
  readonly minCounter?: number | undefined;
}

export interface StoreRequest extends SecretName {
  /** Copied at once. */
  readonly value: Uint8Array;
  /** The caller's own key, without which the value cannot be read again. */
  readonly key?: CallerSecret | undefined;
}

export interface RetrieveRequest extends SecretName {
  /** The latest unless given. */
  readonly version?: number | undefined;
  readonly key?: CallerSecret | undefined;
}

export interface SecretListing {
  readonly name: string;
  readonly latest: number;
  readonly versions: readonly {
    readonly version: number;
    readonly createdAtMs: number;
    readonly hasCallerKey: boolean;
  }[];
}

export class Vault implements Disposable {
  readonly #options: VaultOptions;
  readonly #book: Book;
  readonly #holder: KeyringHolder;
  #rotating = false;
  #closed = false;

  static async exists(kv: Kv): Promise<boolean> {
    return (await kv.get(VAULT, "keyring")) !== undefined;
  }

  /** Makes the vault when there is none. */
  static async open(options: VaultOptions): Promise<Vault> {
    const { kv, master, minCounter = 0 } = options;
    const row = await kv.get(VAULT, "keyring");
    const keyring = row ? await openKeyring(row.value, master) : await create(options);
    const book = await Book.open({ kv, macKey: keyring.macKey, minCounter });
    return new Vault(options, { keyring, book });
  }

  private constructor(options: VaultOptions, parts: { keyring: Keyring; book: Book }) {
    this.#options = options;
    this.#holder = { keyring: parts.keyring };
    this.#book = parts.book;
  }

  /** A new version, the first or a further one. */
  async store(
    request: StoreRequest,
  ): Promise<{ readonly version: number; readonly event: NewEvent }> {
    return await this.#store(request, { mustExist: false });
  }

  /** A new version of a secret that exists. */
  async rotate(
    request: StoreRequest,
  ): Promise<{ readonly version: number; readonly event: NewEvent }> {
    return await this.#store(request, { mustExist: true });
  }

  async retrieve(request: RetrieveRequest): Promise<{
    readonly secret: SecretValue;
    readonly version: number;
    readonly event: NewEvent;
  }> {
    const { tenant, name } = request;
    let version = this.#versionOf(request);
    let value = await readVersion(this.#parts(), request, version);
    if (value === undefined) {
      // Meanwhile the version may have been revoked, or the row wrapped by another master key.
      version = this.#versionOf(request);
      value = await readVersion(this.#parts(), request, version);
    }
    if (value === undefined) throw unreadable(name);
    return {
      secret: new SecretValue(value),
      version: version.version,
      event: accessedEvent({ tenant, name }, version.version),
    };
  }

  /** Names and versions, never values. */
  list(tenant: SecretName["tenant"]): SecretListing[] {
    return this.#book.of(tenant).flatMap((record) => listingOf(record) ?? []);
  }

  /** One of the list. */
  find(tenant: SecretName["tenant"], name: string): SecretListing | undefined {
    const record = this.#book.get(tenant, name);
    return record && listingOf(record);
  }

  /** One version, or all of them. */
  async revoke(
    request: SecretName & { readonly version?: number | undefined },
  ): Promise<{ readonly versions: readonly number[]; readonly event: NewEvent }> {
    const { tenant, name, version } = request;
    const versions = await this.#book.change({
      tenant,
      name,
      decide: (current) => decideRevoke({ name, current, version }),
    });
    return {
      versions,
      event: revokedEvent({ tenant, name }, { versions, counter: this.#book.counter }),
    };
  }

  /** To another master key; resolves when the old one opens nothing any more. */
  async rotateMasterKey(options: {
    next: MasterKey;
    save: SaveMasterKey;
  }): Promise<RotationResult> {
    const { argon2 = ARGON2_DEFAULTS, random } = this.#options;
    return await this.#alone(async () => {
      await beginRotation(this.#parts(), await newMaster(options.next, argon2, random));
      return await finishRotation(this.#parts(), options.save);
    });
  }

  /** Whether a rotation was cut short: `resumeRotation` ends it. */
  get isRotating(): boolean {
    return this.#holder.keyring.previous !== undefined;
  }

  async resumeRotation(options: { save: SaveMasterKey }): Promise<RotationResult> {
    return await this.#alone(() => finishRotation(this.#parts(), options.save));
  }

  /** What was found altered; nothing of it is given out. */
  get damage(): Book["damage"] {
    return this.#book.damage;
  }

  /** Takes what is authentic as the truth, after somebody has looked at `damage`. */
  async accept(): Promise<void> {
    await this.#book.inTurn(() => this.#book.signAnew(this.#holder.keyring.macKey, []));
  }

  /** Names the master key in use and tells nothing of it. */
  get keyId(): string {
    return this.#holder.keyring.current.kek.id;
  }

  /** What is under way is refused; a rotation stops where it is, to be resumed. */
  [Symbol.dispose](): void {
    this.#closed = true;
    if (!this.#rotating) this.#wipe();
  }

  #wipe(): void {
    const { current, previous, macKey } = this.#holder.keyring;
    for (const key of [current.kek.key, previous?.kek.key, macKey]) key?.fill(0);
  }

  async #store(
    request: StoreRequest,
    { mustExist }: { mustExist: boolean },
  ): Promise<{ version: number; event: NewEvent }> {
    const { tenant, name, value, key } = request;
    const { clock, random, argon2 = ARGON2_DEFAULTS } = this.#options;
    checkStore(request);
    const copy = Buffer.from(value);
    const { caller, callerKey } = await newCallerKey(key, { params: argon2, random });
    try {
      const version = await this.#book.change({
        tenant,
        name,
        decide: (current, namesOfTenant) => {
          this.#mustBeOpen();
          return decideStore({
            tenant,
            name,
            current,
            namesOfTenant,
            mustExist,
            createdAtMs: clock.wallMs(),
            hasCallerKey: callerKey !== undefined,
            rowOf: (place) =>
              sealRow({
                place,
                kek: this.#holder.keyring.current.kek,
                value: copy,
                caller,
                callerKey,
                random,
              }),
          });
        },
      });
      return {
        version,
        event: storedEvent({ tenant, name }, { version, counter: this.#book.counter }),
      };
    } finally {
      copy.fill(0);
      callerKey?.fill(0);
    }
  }

  /** A value must never be sealed under a key that was wiped. */
  #mustBeOpen(): void {
    if (!this.#closed) return;
    throw new SoloError("unavailable", "The vault is closed.", {
      hint: "Try again shortly.",
      retryAfterMs: 200,
    });
  }

  #versionOf({ tenant, name, version }: RetrieveRequest): VersionRecord {
    this.#mustBeOpen();
    const versions = this.#book.get(tenant, name)?.versions ?? [];
    const found =
      version === undefined ? versions.at(-1) : versions.find((each) => each.version === version);
    if (found !== undefined) return found;
    throw new SoloError(
      "not_found",
      `There is no secret ${name.slice(0, 64)}${version === undefined ? "" : ` with version ${version}`}.`,
      {
        hint: "List the secrets to see their names and versions.",
      },
    );
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#rotating)
      throw new SoloError("conflict", "The master key is being rotated.", {
        hint: "Wait until that is done.",
      });
    this.#rotating = true;
    try {
      return await work();
    } finally {
      this.#rotating = false;
      if (this.#closed) this.#wipe();
    }
  }

  #parts() {
    const { kv, random } = this.#options;
    const mustBeOpen = () => this.#mustBeOpen();
    return { kv, random, book: this.#book, holder: this.#holder, mustBeOpen };
  }
}

function listingOf({ name, versions }: SecretRecord): SecretListing | undefined {
  const latest = versions.at(-1);
  return (
    latest && {
      name,
      latest: latest.version,
      versions: versions.map(({ version, created_at_ms, has_caller_key }) => ({
        version,
        createdAtMs: created_at_ms,
        hasCallerKey: has_caller_key,
      })),
    }
  );
}

async function create({
  kv,
  master,
  argon2 = ARGON2_DEFAULTS,
  random,
}: VaultOptions): Promise<Keyring> {
  const current = await newMaster(master, argon2, random);
  const keyring: Keyring = { current, previous: undefined, macKey: Buffer.from(random(KEY_BYTES)) };
  await kv.batch([
    // The condition: two makers at once would each think that theirs is the key.
    put(VAULT, "keyring", encodeKeyring(keyring, random), 0),
    put(VAULT, "head", encodeHead(keyring.macKey, { counter: 0, sum: 0n })),
  ]);
  return keyring;
}

function checkStore({ name, value }: StoreRequest): void {
  const refuse = (field: string, message: string): SoloError =>
    new SoloError("invalid_argument", `${field} ${message}.`, { fields: [{ field, message }] });
  if (!isName(name)) throw refuse("name", NAME_RULE);
  if (value.length === 0) throw refuse("value", "is empty");
  if (value.length > MAX_SECRET_BYTES)
    throw refuse("value", `has ${value.length} bytes; at most ${MAX_SECRET_BYTES} are kept`);
}
