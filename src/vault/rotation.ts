/**
 * Another master key, while everybody goes on reading and writing.
 *
 * 1. The order is: both keys into the keyring, the new key to where the next start finds it,
 *    each data key wrapped anew, the old key out of the keyring. Wherever it is cut short, the
 *    key that the next start finds opens every secret, and `resume` goes on from there.
 * 2. Once it is done, the old key opens nothing that is written from then on, nor the ledger.
 * 3. A vault that is closed meanwhile stops between two pages: with its keys wiped, rows that
 *    only the old key opens would pass for altered ones.
 */
import { SoloError } from "#base/errors.ts";
import type { Kv } from "#storage/kv.ts";
import type { Book } from "#vault/book.ts";
import { encodeKeyring, type Keyring, type Master, type Random } from "#vault/keyring.ts";
import { KEY_BYTES, REWRAP_PAGE } from "#vault/limits.ts";
import { keyIdOf, rewrapRow } from "#vault/row.ts";
import { placeOf, put, ROWS, VAULT } from "#vault/tables.ts";

/** Where the keyring in use lives. */
export interface KeyringHolder {
  keyring: Keyring;
}

export interface RotationParts {
  readonly kv: Kv;
  readonly book: Book;
  readonly random: Random;
  readonly holder: KeyringHolder;
  /** Throws once the vault is closed. */
  readonly mustBeOpen: () => void;
}

export interface RotationResult {
  readonly rewrapped: number;
  /** Rows that no master key opens: they were altered before. */
  readonly damaged: readonly string[];
}

/** Puts the new key where the next start finds it; given the bytes unless it is a passphrase. */
export type SaveMasterKey = (key: Uint8Array | undefined) => Promise<void>;

export async function beginRotation(
  { kv, book, random, holder }: RotationParts,
  next: Master,
): Promise<void> {
  await book.inTurn(async () => {
    const { current, previous, macKey } = holder.keyring;
    if (previous !== undefined) {
      throw new SoloError("conflict", "A rotation of the master key is under way.", {
        hint: "Resume it; another can follow.",
      });
    }
    if (next.kek.id === current.kek.id) {
      throw new SoloError("invalid_argument", "The new master key is the one in use.", {
        hint: "Give another key.",
      });
    }
    const keyring: Keyring = { current: next, previous: current, macKey };
    await kv.batch([put(VAULT, "keyring", encodeKeyring(keyring, random))]);
    holder.keyring = keyring;
  });
}

export async function finishRotation(
  parts: RotationParts,
  save: SaveMasterKey,
): Promise<RotationResult> {
  const { book, random, holder } = parts;
  const { current, previous } = holder.keyring;
  if (previous === undefined) return { rewrapped: 0, damaged: [] };
  await save(current.kdf === null ? current.kek.key : undefined);

  const damaged: string[] = [];
  let rewrapped = 0;
  for (let after: string | undefined; ;) {
    const page = await book.inTurn(() => rewrapPage(parts, { from: previous, to: current, after }));
    rewrapped += page.rewrapped;
    damaged.push(...page.damaged);
    if (page.last === undefined) break;
    after = page.last;
  }

  await book.inTurn(async () => {
    parts.mustBeOpen();
    const keyring: Keyring = {
      current,
      previous: undefined,
      macKey: Buffer.from(random(KEY_BYTES)),
    };
    await book.signAnew(keyring.macKey, [put(VAULT, "keyring", encodeKeyring(keyring, random))]);
    holder.keyring = keyring;
    previous.kek.key.fill(0);
  });
  return { rewrapped, damaged };
}

async function rewrapPage(
  { kv, random, mustBeOpen }: RotationParts,
  { from, to, after }: { from: Master; to: Master; after: string | undefined },
): Promise<RotationResult & { readonly last: string | undefined }> {
  const page = await kv.list(ROWS, { limit: REWRAP_PAGE, after });
  mustBeOpen();
  const damaged: string[] = [];
  const ops = page.flatMap(({ key, value, version }) => {
    if (keyIdOf(value) === to.kek.id) return [];
    const row = rewrapRow({ row: value, place: placeOf(key), from: from.kek, to: to.kek, random });
    if (row !== undefined) return [put(ROWS, key, row, version)];
    damaged.push(key);
    return [];
  });
  await kv.batch(ops);
  const last = page.length < REWRAP_PAGE ? undefined : page.at(-1)!.key;
  return { rewrapped: ops.length, damaged, last };
}
