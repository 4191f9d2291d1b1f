/**
 * Which master keys this vault knows, and the vault's MAC key under each of them.
 *
 * 1. Outside a rotation there is one master key. During one there are two, each sealed under
 *    the other, so that either opens everything whatever moment the machine died at.
 * 2. The whole record is under the MAC key that it carries.
 */
import { SoloError } from "#base/errors.ts";
import {
  type Argon2,
  checkedKey,
  isAllowed,
  type Kek,
  kekOf,
  type MasterKey,
  stretch,
} from "#vault/keys.ts";
import { IV_BYTES, SALT_BYTES } from "#vault/limits.ts";
import { bodyOf, signed, verified } from "#vault/mac.ts";
import { associated, open, pack, seal, unpack } from "#vault/seal.ts";

export type Random = (bytes: number) => Uint8Array;

/** A master key and, for a passphrase, how it was derived. */
export interface Master {
  readonly kek: Kek;
  readonly kdf: (Argon2 & { readonly salt: string }) | null;
}

export interface Keyring {
  readonly current: Master;
  /** The one before, while rows are still wrapped by it. */
  readonly previous: Master | undefined;
  readonly macKey: Buffer;
}

interface StoredKey {
  readonly id: string;
  readonly kdf: Master["kdf"];
  /** The MAC key under this master key. */
  readonly mac_key: string;
  /** The other master key under this one, during a rotation. */
  readonly other: string | null;
}
interface StoredKeyring {
  readonly form: 1;
  readonly current: string;
  readonly keys: readonly StoredKey[];
}

/** A master key for a new vault or a rotation. */
export async function newMaster(
  master: MasterKey,
  params: Argon2,
  random: Random,
): Promise<Master> {
  if (master.kind === "key") return { kek: kekOf(checkedKey(master.key)), kdf: null };
  const salt = random(SALT_BYTES);
  const kek = kekOf(await stretch(master.passphrase, salt, params));
  const { memoryKib, passes, parallelism } = params;
  return {
    kek,
    kdf: { memoryKib, passes, parallelism, salt: Buffer.from(salt).toString("base64") },
  };
}

export function encodeKeyring({ current, previous, macKey }: Keyring, random: Random): Buffer {
  const stored = (master: Master, other: Master | undefined): StoredKey => ({
    id: master.kek.id,
    kdf: master.kdf,
    mac_key: sealUnder(master.kek, "mac key", macKey, random),
    other: other ? sealUnder(master.kek, "master key", other.kek.key, random) : null,
  });
  const content: StoredKeyring = {
    form: 1,
    current: current.kek.id,
    keys: [stored(current, previous), ...(previous ? [stored(previous, current)] : [])],
  };
  return signed(macKey, "keyring", content);
}

/** The keyring, if the master key is one of its own. */
export async function openKeyring(record: Uint8Array, master: MasterKey): Promise<Keyring> {
  const stored = parse(record);
  const found = await findOwn(stored.keys, master);
  if (found === undefined) throw wrongKey();
  const { own, kek } = found;
  const macKey = openUnder(kek, "mac key", own.mac_key);
  if (macKey === undefined || verified(macKey, "keyring", record) === undefined) throw altered();
  const otherStored = stored.keys.find(({ id }) => id !== own.id);
  const mine: Master = { kek, kdf: own.kdf };
  if (own.other === null || otherStored === undefined)
    return { current: mine, previous: undefined, macKey };
  const otherKey = openUnder(kek, "master key", own.other);
  if (otherKey === undefined) throw altered();
  const other: Master = { kek: kekOf(otherKey), kdf: otherStored.kdf };
  const isCurrent = stored.current === own.id;
  return { current: isCurrent ? mine : other, previous: isCurrent ? other : mine, macKey };
}

async function findOwn(
  keys: readonly StoredKey[],
  master: MasterKey,
): Promise<{ own: StoredKey; kek: Kek } | undefined> {
  for (const own of keys) {
    if ((own.kdf === null) !== (master.kind === "key")) continue;
    const key =
      master.kind === "key"
        ? checkedKey(master.key)
        : await stretch(master.passphrase, Buffer.from(own.kdf!.salt, "base64"), own.kdf!);
    const kek = kekOf(key);
    if (kek.id === own.id) return { own, kek };
  }
  return undefined;
}

/** Read before anything can be verified: whatever it says is only tried. */
function parse(record: Uint8Array): StoredKeyring {
  let stored: StoredKeyring;
  try {
    stored = JSON.parse(bodyOf(record).toString()) as StoredKeyring;
  } catch {
    throw altered();
  }
  const { form, keys } = stored ?? {};
  const readable =
    form === 1 &&
    Array.isArray(keys) &&
    keys.length <= 2 &&
    keys.every(
      (each) =>
        typeof each?.mac_key === "string" &&
        (each.other === null || typeof each.other === "string") &&
        (each.kdf === null || (typeof each.kdf?.salt === "string" && isAllowed(each.kdf))),
    );
  if (!readable) throw altered();
  return stored;
}

function sealUnder(kek: Kek, what: string, plaintext: Uint8Array, random: Random): string {
  const aad = associated(what, kek.id);
  return pack(seal({ key: kek.key, iv: random(IV_BYTES), aad, plaintext })).toString("base64");
}

const openUnder = (kek: Kek, what: string, sealed: string): Buffer | undefined =>
  open({
    key: kek.key,
    aad: associated(what, kek.id),
    sealed: unpack(Buffer.from(sealed, "base64")),
  });

const wrongKey = (): SoloError =>
  new SoloError("vault_sealed", "The vault does not open with this master key.", {
    hint: "Give the key or passphrase that the vault was made with, or was last rotated to.",
  });

const altered = (): SoloError =>
  new SoloError("storage_corrupt", "The vault's list of keys was altered.", {
    hint: "Restore the data directory from a backup.",
  });
