/**
 * The vault as the kernel holds it: one object for its whole life, opened anew whenever the
 * storage under it came back, with every use of a secret in the audit trail.
 *
 * 1. A vault keeps the storage that it was opened on: what was under way when that failed can
 *    never write into the one that follows.
 * 2. What was stored or revoked is in the audit trail, on disk, before it is acknowledged. A value
 *    leaves only after its `secret_accessed` is on disk; every refusal for a wrong key or
 *    an altered row is a `secret_access_denied`.
 * 3. While there is no vault every request is refused with `unavailable`, at once.
 */
import { randomBytes } from "node:crypto";
import type { Clock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import type { TenantId } from "#base/ids.ts";
import type { Logger } from "#base/log.ts";
import type { NewEvent } from "#events/event.ts";
import type { EventLog } from "#events/event-log.ts";
import type { Store } from "#kernel/store.ts";
import { accessDeniedEvent, type SecretName } from "#vault/events.ts";
import type { MasterKey } from "#vault/keys.ts";
import { MAX_KEYED_REQUESTS } from "#vault/limits.ts";
import {
  type KeyOrigin,
  type MasterKeySources,
  masterKeyFrom,
  saveMasterKey,
} from "#vault/master-key.ts";
import type { RotationResult } from "#vault/rotation.ts";
import type { SecretValue } from "#vault/secret-value.ts";
import {
  type RetrieveRequest,
  type SecretListing,
  type StoreRequest,
  Vault,
} from "#vault/vault.ts";

/** Where master keys are looked for; the values come from the process's environment. */
export interface MasterKeys extends Omit<MasterKeySources, "vaultExists" | "random"> {
  /** Opens the vault when the key in use does not: it is then rotated to that one. */
  readonly previous?: MasterKey | undefined;
}

export interface SecretsOptions {
  readonly store: Store;
  readonly events: EventLog;
  readonly clock: Clock;
  readonly log: Logger;
  readonly keys: MasterKeys;
}

interface Opened {
  readonly vault: Vault;
  readonly from: KeyOrigin;
}

/** Who uses a secret, for the audit trail. */
export type UsedBy = Readonly<Record<string, string>>;

export interface VaultStatus {
  readonly keyFrom: KeyOrigin;
  readonly keyId: string;
  readonly isRotating: boolean;
  readonly broken: string | undefined;
  readonly damaged: readonly string[];
}

const COUNTED = ["secret_stored", "secret_revoked"] as const;
/** Commits may be told in another order than they were made: so many of the last are looked at. */
const COUNTED_LOOKED_AT = 100;

export class Secrets {
  readonly #options: SecretsOptions;
  #opened: Opened | undefined;
  #resuming: Promise<void> = Promise.resolve();
  #keyed = 0;

  constructor(options: SecretsOptions) {
    this.#options = options;
  }

  /** Opens the vault, or makes it; refused with `vault_sealed` when the master key is not its. */
  async open(): Promise<void> {
    const { store, clock, keys } = this.#options;
    const { kv } = store.current;
    const vaultExists = await Vault.exists(kv);
    const master = await masterKeyFrom({ ...keys, vaultExists, random: randomBytes });
    const minCounter = await this.#lastCounter();
    const open = (key: MasterKey) =>
      Vault.open({ kv, clock, random: randomBytes, master: key, minCounter });
    const vault = await open(master).catch(async (error: unknown) => {
      if (keys.previous === undefined || !isSealed(error)) throw error;
      const old = await open(keys.previous);
      // A rotation that was cut short ends first; another may begin then.
      await old.resumeRotation({ save: async () => {} });
      await this.#rotate(old, master);
      return old;
    });
    this.#opened = { vault, from: master.from };
    const { broken, secrets } = vault.damage;
    if (broken !== undefined || secrets.length > 0) {
      this.#options.log.error("the vault was altered", { broken, secrets: secrets.length });
    }
    if (vault.isRotating) this.#resuming = this.#resumeBehind();
  }

  async close(): Promise<void> {
    const vault = this.#opened?.vault;
    this.#opened = undefined;
    vault?.[Symbol.dispose]();
    await this.#resuming;
  }

  /** The secret, if there is one with a version that can be read. */
  find(tenant: TenantId, name: string): SecretListing | undefined {
    return this.#vault.find(tenant, name);
  }

  /** Oldest first. */
  versionsOf(tenant: TenantId, name: string): readonly number[] {
    return this.find(tenant, name)?.versions.map(({ version }) => version) ?? [];
  }

  list(tenant: TenantId): SecretListing[] {
    return this.#vault.list(tenant);
  }

  /** A new version; resolves when it is on disk. */
  store(request: StoreRequest): Promise<{ version: number }> {
    return this.#write(request, () => this.#vault.store(request));
  }

  /** A new version of a secret that exists. */
  rotate(request: StoreRequest): Promise<{ version: number }> {
    return this.#write(request, () => this.#vault.rotate(request));
  }

  async retrieve(
    request: RetrieveRequest,
    by: UsedBy = {},
  ): Promise<{ secret: SecretValue; version: number }> {
    const { secret, version, event } = await this.read(request, by);
    try {
      await this.record(event, by);
      return { secret, version };
    } catch (error) {
      secret[Symbol.dispose]();
      throw error;
    }
  }

  /** Without its `secret_accessed`: whoever gives the value to anybody has to `record` that first. */
  async read(
    request: RetrieveRequest,
    by: UsedBy,
  ): Promise<{ secret: SecretValue; version: number; event: NewEvent }> {
    try {
      return await this.#bounded(request, () => this.#vault.retrieve(request));
    } catch (error) {
      if (error instanceof SoloError && isDenial(error)) this.denied(request, error, by);
      throw error;
    }
  }

  /** Resolves when it is on disk. */
  async record(event: NewEvent, by: UsedBy): Promise<void> {
    await this.#options.events.append({ ...event, payload: { ...event.payload, ...by } });
  }

  async revoke(
    request: SecretName & { readonly version?: number | undefined },
  ): Promise<readonly number[]> {
    const { versions, event } = await this.#vault.revoke(request);
    await this.#options.events.append(event);
    return versions;
  }

  /** Records that a secret was asked for and not given. */
  denied(secret: SecretName, error: SoloError, by: UsedBy): void {
    const event = accessDeniedEvent(secret, error);
    this.#options.events.emit({ ...event, payload: { ...event.payload, ...by } });
  }

  status(): VaultStatus {
    const { vault, from } = this.#current;
    const { broken, secrets } = vault.damage;
    const { keyId, isRotating } = vault;
    return { keyFrom: from, keyId, isRotating, broken, damaged: secrets };
  }

  /** To a new random key in the key file; resolves when the old one opens nothing any more. */
  async rotateMasterKey(): Promise<RotationResult> {
    const { vault, from } = this.#current;
    if (from !== "file") throw keptElsewhere(from);
    return await this.#rotate(vault, { kind: "key", key: randomBytes(32) });
  }

  async resumeRotation(): Promise<RotationResult> {
    const result = await this.#vault.resumeRotation({ save: this.#save });
    this.#rotated(result);
    return result;
  }

  /** Takes what is authentic as the truth; what was altered is dropped. */
  async accept(): Promise<void> {
    const { broken, damaged } = this.status();
    await this.#vault.accept();
    this.#options.events.emit({
      type: "vault_accepted",
      payload: { ...(broken !== undefined && { broken }), dropped: damaged.length },
    });
  }

  get #current(): Opened {
    if (this.#opened !== undefined) return this.#opened;
    throw new SoloError("unavailable", "The vault is not open.", {
      hint: "Storage is restarting; try again shortly.",
      retryAfterMs: 200,
    });
  }

  get #vault(): Vault {
    return this.#current.vault;
  }

  readonly #save = async (key: Uint8Array | undefined): Promise<void> => {
    // Elsewhere the next start finds the new key already: that is how it got here.
    if (key !== undefined && this.#opened?.from === "file")
      await saveMasterKey(this.#options.keys.file, key);
  };

  async #rotate(vault: Vault, next: MasterKey): Promise<RotationResult> {
    const result = await vault.rotateMasterKey({ next, save: this.#save });
    this.#rotated(result, vault);
    return result;
  }

  #rotated({ rewrapped, damaged }: RotationResult, vault = this.#vault): void {
    this.#options.log.info("the master key was rotated", { rewrapped, damaged: damaged.length });
    this.#options.events.emit({
      type: "master_key_rotated",
      payload: { key_id: vault.keyId, rewrapped, damaged: damaged.length },
    });
  }

  async #resumeBehind(): Promise<void> {
    try {
      await this.resumeRotation();
    } catch (error) {
      this.#options.log.warn("the master key's rotation waits to be resumed", {
        error: String(error),
      });
    }
  }

  async #write(
    request: StoreRequest,
    work: () => ReturnType<Vault["store"]>,
  ): Promise<{ version: number }> {
    const { version, event } = await this.#bounded(request, work);
    await this.#options.events.append(event);
    return { version };
  }

  /** A caller's key costs memory and a thread while it is stretched. */
  async #bounded<T>({ key }: { key?: unknown }, work: () => Promise<T>): Promise<T> {
    if (key === undefined) return await work();
    if (this.#keyed >= MAX_KEYED_REQUESTS) {
      throw new SoloError("overloaded", "Too many requests bring keys of their own.", {
        retryAfterMs: 500,
      });
    }
    this.#keyed += 1;
    try {
      return await work();
    } finally {
      this.#keyed -= 1;
    }
  }

  async #lastCounter(): Promise<number> {
    const last = await this.#options.events.read({
      eventTypes: COUNTED,
      limit: COUNTED_LOOKED_AT,
      order: "desc",
    });
    const counters = last.map(({ payload }) => Number(payload["vault_counter"]) || 0);
    return Math.max(0, ...counters);
  }
}

const isSealed = (error: unknown): boolean =>
  error instanceof SoloError && error.code === "vault_sealed";

const isDenial = ({ code }: SoloError): boolean =>
  code === "permission_denied" || code === "storage_corrupt";

const keptElsewhere = (from: KeyOrigin): SoloError => {
  const [now, before] =
    from === "passphrase"
      ? ["SOLO_MASTER_PASSPHRASE", "SOLO_MASTER_PASSPHRASE_PREVIOUS"]
      : ["SOLO_MASTER_KEY", "SOLO_MASTER_KEY_PREVIOUS"];
  return new SoloError(
    "conflict",
    `The master key comes from outside (${from}): the kernel cannot put another one there.`,
    {
      hint: `Start the kernel with the new one ${from === "credential" ? "as its credential" : `in ${now}`} and the present one in ${before}.`,
    },
  );
};
