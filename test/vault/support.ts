/** What vault tests share: real storage, a fast passphrase, rows that are changed behind the vault's back. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import { tenantId } from "#base/ids.ts";
import type { Kv } from "#storage/kv.ts";
import { openStorage, type Storage } from "#storage/storage.ts";
import type { MasterKey } from "#vault/keys.ts";
import { Vault, type VaultOptions } from "#vault/vault.ts";

export const alice = tenantId("alice");
export const bob = tenantId("bob");
/** The least that argon2 takes: tests derive often. */
export const FAST = { memoryKib: 8, passes: 1, parallelism: 1 };
export const keyOf = (byte: number): MasterKey => ({ kind: "key", key: Buffer.alloc(32, byte) });
export const utf8 = (text: string) => Buffer.from(text);

export interface OpenStore extends AsyncDisposable {
  readonly dataDir: string;
  readonly storage: Storage;
  readonly kv: Kv;
}

export async function openStore(): Promise<OpenStore> {
  const dataDir = await mkdtemp(join(tmpdir(), "solo-vault-"));
  const storage = await openStorage({ dataDir, clock: systemClock });
  return {
    dataDir,
    storage,
    kv: storage.kv,
    async [Symbol.asyncDispose]() {
      await storage.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

export const openVault = (kv: Kv, more: Partial<VaultOptions> = {}): Promise<Vault> =>
  Vault.open({
    kv,
    clock: systemClock,
    random: randomBytes,
    master: keyOf(1),
    argon2: FAST,
    ...more,
  });

export async function textOf(
  vault: Vault,
  name: string,
  more: { version?: number; key?: string | Uint8Array } = {},
) {
  using secret = (await vault.retrieve({ tenant: alice, name, ...more })).secret;
  return secret.text();
}

export interface Row {
  readonly ns: string;
  readonly key: string;
  readonly value: Uint8Array;
}

/** Everything that the vault has written. */
export async function rowsOf(kv: Kv): Promise<Row[]> {
  const namespaces = ["vault", "vault_names", "vault_rows"];
  const lists = await Promise.all(
    namespaces.map(async (ns) =>
      (await kv.list(ns, { limit: 10_000 })).map((row) => ({ ns, ...row })),
    ),
  );
  return lists.flat().map(({ ns, key, value }) => ({ ns, key, value }));
}

/** What somebody with write access to the disk makes the vault see. */
export async function restore(kv: Kv, rows: readonly Row[]): Promise<void> {
  const gone = await rowsOf(kv);
  await kv.batch([
    ...gone.map(({ ns, key }) => ({ op: "delete" as const, ns, key })),
    ...rows.map((row) => ({ op: "put" as const, ...row })),
  ]);
}

export async function rejection(promise: Promise<unknown>): Promise<SoloError> {
  const error: unknown = await promise.then(
    () => new Error("It was expected to be refused."),
    (thrown: unknown) => thrown,
  );
  if (error instanceof SoloError) return error;
  throw error;
}
