/** One version of a secret, read and opened. */
import { SoloError } from "#base/errors.ts";
import type { Kv } from "#storage/kv.ts";
import { type CallerSecret, deriveCallerKey } from "#vault/caller-key.ts";
import type { SecretName } from "#vault/events.ts";
import type { VersionRecord } from "#vault/ledger.ts";
import type { KeyringHolder } from "#vault/rotation.ts";
import { callerKeyOf, keyIdOf, openValue, unwrapRow, valueTagOf } from "#vault/row.ts";
import { rowKey, ROWS } from "#vault/tables.ts";

/** Undefined when the row is not there or no known master key wraps it. */
export async function readVersion(
  { kv, holder }: { kv: Kv; holder: KeyringHolder },
  { tenant, name, key }: SecretName & { readonly key?: CallerSecret | undefined },
  { version, tag }: VersionRecord,
): Promise<Buffer | undefined> {
  const place = { tenant, name, version };
  const row = (await kv.get(ROWS, rowKey(place)))?.value;
  const id = row && keyIdOf(row);
  const { current, previous } = holder.keyring;
  const master = [current, previous].find((each) => each?.kek.id === id);
  if (row === undefined || master === undefined) return undefined;
  const dataKey = unwrapRow(row, place, master.kek);
  const caller = callerKeyOf(row);
  if (dataKey === undefined || caller === undefined || valueTagOf(row) !== tag) {
    throw unreadable(name);
  }
  let callerKey: Buffer | undefined;
  try {
    callerKey = await deriveCallerKey(caller, key);
    const value = openValue({ row, place, dataKey, callerKey });
    if (value !== undefined) return value;
    throw caller.kind === "none" ? unreadable(name) : wrongCallerKey(name);
  } finally {
    dataKey.fill(0);
    callerKey?.fill(0);
  }
}

export const unreadable = (name: string): SoloError =>
  new SoloError("storage_corrupt", `The stored secret ${name} was altered and is not given out.`, {
    hint: "Store it again, or restore the data directory from a backup.",
  });

const wrongCallerKey = (name: string): SoloError =>
  new SoloError("permission_denied", `The key does not open the secret ${name}.`, {
    hint: "Give the key that it was stored with.",
  });
