import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { accessDeniedEvent } from "#vault/events.ts";
import { MAX_SECRET_BYTES } from "#vault/limits.ts";
import { Vault } from "#vault/vault.ts";
import {
  alice,
  bob,
  keyOf,
  openStore,
  type OpenStore,
  openVault,
  rejection,
  restore,
  textOf,
  utf8,
} from "./support.ts";

const store: OpenStore = await openStore();
const { kv } = store;
afterAll(() => store[Symbol.asyncDispose]());
beforeEach(() => restore(kv, []));

const put = (vault: Vault, name: string, value: string, key?: string | Uint8Array) =>
  vault.store({ tenant: alice, name, value: utf8(value), key });

describe("secrets", () => {
  test("come back as they were stored, also after a restart", async () => {
    const vault = await openVault(kv);
    expect(await Vault.exists(kv)).toBe(true);
    const bytes = Buffer.from([0, 255, 1, 128]);
    expect(await vault.store({ tenant: alice, name: "raw", value: bytes })).toMatchObject({
      version: 1,
      event: {
        type: "secret_stored",
        tenantId: alice,
        subject: "raw",
        payload: { version: 1, vault_counter: 1 },
      },
    });
    const again = await openVault(kv);
    using secret = (await again.retrieve({ tenant: alice, name: "raw" })).secret;
    expect(Buffer.from(secret.bytes)).toEqual(bytes);
  });

  test("have versions: the latest is given, older ones on request, ten are kept", async () => {
    const vault = await openVault(kv);
    for (let i = 1; i <= 12; i++) expect((await put(vault, "k", `value ${i}`)).version).toBe(i);
    expect(await textOf(vault, "k")).toBe("value 12");
    expect(await textOf(vault, "k", { version: 3 })).toBe("value 3");
    expect((await rejection(textOf(vault, "k", { version: 2 }))).code).toBe("not_found");
    const [listing] = vault.list(alice);
    expect(listing).toMatchObject({ name: "k", latest: 12 });
    expect(listing!.versions.map(({ version }) => version)).toEqual([
      3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ]);
    expect(vault.list(bob)).toEqual([]);
  });

  test("are rotated only when they exist, and a revoked one never gives its version numbers again", async () => {
    const vault = await openVault(kv);
    expect(
      (await rejection(vault.rotate({ tenant: alice, name: "k", value: utf8("x") }))).code,
    ).toBe("not_found");
    await put(vault, "k", "one");
    await vault.rotate({ tenant: alice, name: "k", value: utf8("two") });
    expect(await vault.revoke({ tenant: alice, name: "k", version: 2 })).toMatchObject({
      versions: [2],
    });
    expect(await textOf(vault, "k")).toBe("one");
    expect(await vault.revoke({ tenant: alice, name: "k" })).toMatchObject({
      versions: [1],
      event: { type: "secret_revoked" },
    });
    expect((await rejection(textOf(vault, "k"))).code).toBe("not_found");
    expect((await rejection(vault.revoke({ tenant: alice, name: "k" }))).code).toBe("not_found");
    expect(vault.list(alice)).toEqual([]);
    expect((await kv.list("vault_rows", { limit: 10 })).length).toBe(0);
    expect((await put(vault, "k", "three")).version).toBe(3);
  });

  test("of two tenants with the same name are two", async () => {
    const vault = await openVault(kv);
    await put(vault, "k", "alice's");
    expect((await rejection(vault.retrieve({ tenant: bob, name: "k" }))).code).toBe("not_found");
    await vault.store({ tenant: bob, name: "k", value: utf8("bob's") });
    expect(await textOf(vault, "k")).toBe("alice's");
  });

  test("stored at the same time are each stored, in one order", async () => {
    const vault = await openVault(kv);
    const all = await Promise.all(
      Array.from({ length: 500 }, (_, i) => put(vault, `k${i % 50}`, `value ${i}`)),
    );
    expect(all.filter(({ version }) => version === 10)).toHaveLength(50);
    const again = await openVault(kv);
    expect(again.damage).toEqual({ broken: undefined, secrets: [] });
    expect(await textOf(again, "k49")).toBe("value 499");
  });

  test("with impossible names and sizes are refused", async () => {
    const vault = await openVault(kv);
    for (const name of ["", "a/b", "..", "x".repeat(65), "__proto__"]) {
      expect((await rejection(put(vault, name, "v"))).code, name).toBe("invalid_argument");
    }
    expect((await rejection(put(vault, "k", ""))).code).toBe("invalid_argument");
    const huge = vault.store({
      tenant: alice,
      name: "k",
      value: Buffer.alloc(MAX_SECRET_BYTES + 1),
    });
    expect((await rejection(huge)).code).toBe("invalid_argument");
  });

  test("survive a store that fails: the vault reads its ledger again", async () => {
    let fails = 0;
    const flaky = {
      ...kv,
      batch: async (ops: Parameters<typeof kv.batch>[0]) => {
        const versions = await kv.batch(ops);
        // Written, and yet reported as failed: as when the storage thread dies after the commit.
        if (fails-- > 0) throw new Error("gone");
        return versions;
      },
    };
    const vault = await openVault(flaky);
    await put(vault, "k", "one");
    fails = 1;
    await expect(put(vault, "k", "two")).rejects.toThrow("gone");
    expect((await put(vault, "k", "three")).version).toBe(3);
    expect(await textOf(await openVault(kv), "k", { version: 2 })).toBe("two");
  });
});

describe("a key that the caller brings", () => {
  test.each([
    { what: "a passphrase", right: "correct horse", wrong: "wrong horse" },
    { what: "32 bytes", right: Buffer.alloc(32, 5), wrong: Buffer.alloc(32, 6) },
  ])("$what opens the secret, another or none does not", async ({ right, wrong }) => {
    const vault = await openVault(kv);
    await put(vault, "k", "kept twice", right);
    expect(await textOf(vault, "k", { key: right })).toBe("kept twice");
    for (const key of [wrong, undefined, "other", Buffer.alloc(32, 9)]) {
      const error = await rejection(vault.retrieve({ tenant: alice, name: "k", key }));
      expect(error.code).toBe("permission_denied");
      expect(accessDeniedEvent({ tenant: alice, name: "k" }, error)).toMatchObject({
        type: "secret_access_denied",
        payload: { code: "permission_denied" },
      });
    }
    expect(vault.list(alice)[0]?.versions[0]?.hasCallerKey).toBe(true);
  });

  test("for a secret that has none is refused", async () => {
    const vault = await openVault(kv);
    await put(vault, "k", "v");
    expect((await rejection(textOf(vault, "k", { key: "x" }))).code).toBe("permission_denied");
  });
});

describe("the master key", () => {
  test("another one does not open the vault, nor does a passphrase in place of a key", async () => {
    const vault = await openVault(kv);
    await put(vault, "k", "v");
    for (const master of [keyOf(2), { kind: "passphrase", passphrase: "x" }] as const) {
      expect((await rejection(openVault(kv, { master }))).code).toBe("vault_sealed");
    }
  });

  test("may be a passphrase, whose salt and cost are stored", async () => {
    const master = { kind: "passphrase", passphrase: "Ångström" } as const;
    await put(await openVault(kv, { master }), "k", "v");
    const other = { kind: "passphrase", passphrase: "A\u030angstro\u0308m" } as const;
    expect(
      await textOf(
        await openVault(kv, {
          master: other,
          argon2: { memoryKib: 64, passes: 2, parallelism: 2 },
        }),
        "k",
      ),
    ).toBe("v");
    expect(
      (await rejection(openVault(kv, { master: { kind: "passphrase", passphrase: "angstrom" } })))
        .code,
    ).toBe("vault_sealed");
  });
});

describe("values stay in", () => {
  test("neither errors, events, listings, logs of the object nor files of the store hold one", async () => {
    const own = await openStore();
    const value = "s3cr3t-that-must-not-be-seen";
    const key = "caller-key-that-must-not-be-seen";
    const vault = await openVault(own.kv);
    const seen: unknown[] = [];
    seen.push(await put(vault, "k", value, key), vault.list(alice));
    seen.push((await rejection(textOf(vault, "k", { key: `${key}x` }))).toBody());
    const answer = await vault.retrieve({ tenant: alice, name: "k", key });
    seen.push(answer, answer.event, `${answer.secret}`, JSON.stringify(answer.secret));
    seen.push(await vault.revoke({ tenant: alice, name: "k" }));
    await put(vault, "k", value, key);
    const files = (await readdir(own.dataDir, { recursive: true, withFileTypes: true })).filter(
      (each) => each.isFile(),
    );
    for (const file of files) {
      const bytes = await readFile(join(file.parentPath, file.name));
      expect(
        bytes.includes(value) || bytes.includes(key) || bytes.includes(Buffer.alloc(32, 1)),
        file.name,
      ).toBe(false);
    }
    expect(files.length).toBeGreaterThan(0);
    const text = inspect(seen, { depth: 10, showHidden: true }) + JSON.stringify(seen);
    expect(text).not.toContain(value);
    expect(text).not.toContain(key);
    await own[Symbol.asyncDispose]();
  });

  test("a value that was disposed of is wiped", async () => {
    const vault = await openVault(kv);
    await put(vault, "k", "value");
    const { secret } = await vault.retrieve({ tenant: alice, name: "k" });
    const { bytes } = secret;
    secret[Symbol.dispose]();
    expect(Buffer.from(bytes)).toEqual(Buffer.alloc(5));
  });
});
