/** Where the vault's rows lie in the key-value store. */
import type { Kv } from "#storage/kv.ts";
import type { KvEntry, KvOp } from "#storage/protocol.ts";
import type { Place } from "#vault/row.ts";

/** Two rows: `keyring` and `head`. */
export const VAULT = "vault";
/** A record for each secret: `tenant/name`. */
export const NAMES = "vault_names";
/** A row for each version: `tenant/name/version`. */
export const ROWS = "vault_rows";

const PAGE = 1_000;
const VERSION_DIGITS = 10;

export const rowKey = ({ tenant, name, version }: Place): string =>
  `${tenant}/${name}/${String(version).padStart(VERSION_DIGITS, "0")}`;

export function placeOf(key: string): Place {
  const [tenant = "", name = "", version] = key.split("/");
  return { tenant, name, version: Number(version) };
}

export const put = (ns: string, key: string, value: Uint8Array, ifVersion?: number): KvOp => ({
  op: "put",
  ns,
  key,
  value,
  ifVersion,
});

export async function* allOf(kv: Kv, ns: string): AsyncGenerator<KvEntry> {
  for (let after: string | undefined; ;) {
    const page = await kv.list(ns, { limit: PAGE, after });
    yield* page;
    if (page.length < PAGE) return;
    after = page.at(-1)!.key;
  }
}
