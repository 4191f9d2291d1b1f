/** Somebody with write access to the disk. */
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import type { Kv } from "#storage/kv.ts";
import {
  alice,
  bob,
  openStore,
  openVault,
  rejection,
  restore,
  type Row,
  rowsOf,
  textOf,
  utf8,
} from "./support.ts";

const store = await openStore();
const { kv } = store;
afterAll(() => store[Symbol.asyncDispose]());
beforeEach(() => restore(kv, []));

const PASSPHRASE = "key of one";

/** Two tenants, versions, and a secret with a key of its own. */
async function fill() {
  const vault = await openVault(kv);
  await vault.store({ tenant: alice, name: "one", value: utf8("first") });
  await vault.store({ tenant: alice, name: "one", value: utf8("second") });
  await vault.store({ tenant: alice, name: "two", value: utf8("twofer") });
  await vault.store({ tenant: bob, name: "one", value: utf8("bobbed") });
  await vault.store({ tenant: alice, name: "keyed", value: utf8("locked"), key: PASSPHRASE });
  return vault;
}

/** The store as it is, but for one row. */
const seenWith = (changed: Row): Kv => ({
  ...kv,
  get: async (ns, key) => {
    const entry = await kv.get(ns, key);
    return entry && ns === changed.ns && key === changed.key
      ? { ...entry, value: changed.value }
      : entry;
  },
  list: async (ns, range) =>
    (await kv.list(ns, range)).map((entry) =>
      ns === changed.ns && entry.key === changed.key ? { ...entry, value: changed.value } : entry,
    ),
});

function* flipped({ ns, key, value }: Row): Generator<Row> {
  for (let bit = 0; bit < value.length * 8; bit++) {
    const copy = Buffer.from(value);
    copy[bit >> 3]! ^= 1 << (bit & 7);
    yield { ns, key, value: copy };
  }
}

const one = async (rows: Promise<Row[]>, ns: string, key: string) =>
  (await rows).find((row) => row.ns === ns && row.key.startsWith(key))!;

const retrieval = async (view: Kv, name: string, key?: string) =>
  await textOf(await openVault(view), name, key ? { key } : {});

describe("every single bit of what is stored counts", () => {
  test.each([
    {
      what: "a sealed row",
      ns: "vault_rows",
      key: "alice/two/",
      secret: "two",
      passphrase: undefined,
    },
    {
      what: "a sealed row with a caller's key",
      ns: "vault_rows",
      key: "alice/keyed/",
      secret: "keyed",
      passphrase: PASSPHRASE,
    },
    {
      what: "a secret's record",
      ns: "vault_names",
      key: "alice/two",
      secret: "two",
      passphrase: undefined,
    },
    { what: "the head", ns: "vault", key: "head", secret: "two", passphrase: undefined },
    { what: "the keyring", ns: "vault", key: "keyring", secret: "two", passphrase: undefined },
  ])("$what", async ({ ns, key, secret, passphrase }) => {
    await fill();
    const row = await one(rowsOf(kv), ns, key);
    expect(await retrieval(seenWith(row), secret, passphrase)).toMatch(/twofer|locked/);
    let flips = 0;
    for (const changed of flipped(row)) {
      const error = await rejection(retrieval(seenWith(changed), secret, passphrase));
      expect(["storage_corrupt", "permission_denied", "vault_sealed"]).toContain(error.code);
      flips += 1;
    }
    expect(flips).toBe(row.value.length * 8);
  });

  test("and rows that were cut short or made longer", async () => {
    await fill();
    for (const row of await rowsOf(kv)) {
      if (row.key.startsWith("bob") || row.key.includes("one")) continue;
      const name = row.key.includes("keyed") ? "keyed" : "two";
      const key = name === "keyed" ? PASSPHRASE : undefined;
      for (const value of [
        row.value.subarray(0, -1),
        row.value.subarray(0, 40),
        Buffer.alloc(0),
        Buffer.concat([row.value, Buffer.alloc(1)]),
      ]) {
        const error = await rejection(retrieval(seenWith({ ...row, value }), name, key));
        expect(["storage_corrupt", "permission_denied", "vault_sealed"]).toContain(error.code);
      }
    }
  });
});

describe("rows in another's place", () => {
  test.each([
    { what: "of another tenant", from: "bob/one/" },
    { what: "of another name", from: "alice/two/" },
    { what: "of an older version", from: "alice/one/0000000001" },
  ])("$what are refused", async ({ from }) => {
    await fill();
    const { value } = await one(rowsOf(kv), "vault_rows", from);
    const target = await one(rowsOf(kv), "vault_rows", "alice/one/0000000002");
    const error = await rejection(retrieval(seenWith({ ...target, value }), "one"));
    expect(error.code).toBe("storage_corrupt");
    expect(error.message).not.toContain("first");
  });

  test("a record of another secret is refused, and only that secret", async () => {
    await fill();
    const { value } = await one(rowsOf(kv), "vault_names", "alice/two");
    const target = await one(rowsOf(kv), "vault_names", "alice/one");
    const vault = await openVault(seenWith({ ...target, value }));
    expect((await rejection(textOf(vault, "one"))).code).toBe("storage_corrupt");
  });

  test("a row that was deleted is missed", async () => {
    const vault = await fill();
    await kv.batch([{ op: "delete", ns: "vault_rows", key: "alice/one/0000000002" }]);
    expect((await rejection(textOf(vault, "one"))).code).toBe("storage_corrupt");
    expect(await textOf(vault, "two")).toBe("twofer");
  });
});

describe("an earlier state put back", () => {
  test("of one secret, rows and record, is noticed by the head", async () => {
    const vault = await openVault(kv);
    await vault.store({ tenant: alice, name: "one", value: utf8("old") });
    const before = (await rowsOf(kv)).filter(({ ns }) => ns !== "vault");
    await vault.rotate({ tenant: alice, name: "one", value: utf8("new") });
    const now = (await rowsOf(kv)).filter(({ ns }) => ns === "vault");
    await restore(kv, [...before, ...now]);
    const again = await openVault(kv);
    expect(again.damage.broken).toMatch(/set back/);
    expect((await rejection(textOf(again, "one"))).code).toBe("storage_corrupt");
    const write = again.store({ tenant: alice, name: "three", value: utf8("x") });
    expect((await rejection(write)).code).toBe("storage_corrupt");
    await again.accept();
    expect(await textOf(again, "one")).toBe("old");
    expect((await openVault(kv)).damage.broken).toBeUndefined();
  });

  test("of a secret that was revoked, or of the absence of one, is noticed", async () => {
    const vault = await fill();
    const before = await rowsOf(kv);
    await vault.revoke({ tenant: alice, name: "two" });
    const revoked = (await rowsOf(kv)).filter(({ key }) => key === "head");
    await restore(kv, [...before.filter(({ key }) => key !== "head"), ...revoked]);
    expect((await openVault(kv)).damage.broken).toBeDefined();
    await restore(
      kv,
      before.filter(({ key }) => key !== "alice/two"),
    );
    expect((await openVault(kv)).damage.broken).toBeDefined();
    await restore(
      kv,
      before.filter(({ key }) => key !== "head"),
    );
    expect((await openVault(kv)).damage.broken).toBe("its head is missing");
  });

  test("of the whole vault is noticed against the counter that the audit trail knows", async () => {
    const vault = await fill();
    const before = await rowsOf(kv);
    const { event } = await vault.rotate({ tenant: alice, name: "two", value: utf8("new") });
    const { vault_counter: minCounter } = event.payload as { vault_counter: number };
    expect((await openVault(kv, { minCounter })).damage.broken).toBeUndefined();
    await restore(kv, before);
    expect((await openVault(kv)).damage.broken).toBeUndefined();
    const checked = await openVault(kv, { minCounter });
    expect((await rejection(textOf(checked, "two"))).code).toBe("storage_corrupt");
  });
});

test("a record that was altered costs that secret alone; accepting drops it", async () => {
  await fill();
  const row = await one(rowsOf(kv), "vault_names", "alice/two");
  const value = Buffer.from(row.value);
  value[value.length - 1]! ^= 1;
  await kv.batch([{ op: "put", ns: row.ns, key: row.key, value }]);
  const vault = await openVault(kv);
  expect(vault.damage).toEqual({ broken: undefined, secrets: ["alice/two"] });
  expect(await textOf(vault, "one")).toBe("second");
  const write = vault.store({ tenant: alice, name: "two", value: utf8("x") });
  expect((await rejection(write)).code).toBe("storage_corrupt");
  await vault.accept();
  expect(vault.damage).toEqual({ broken: undefined, secrets: [] });
  expect((await vault.store({ tenant: alice, name: "two", value: utf8("anew") })).version).toBe(1);
  expect(await textOf(await openVault(kv), "two")).toBe("anew");
});

test("a row from before the record was dropped does not pass in the place of the new one", async () => {
  await fill();
  const old = await one(rowsOf(kv), "vault_rows", "alice/two/");
  const record = await one(rowsOf(kv), "vault_names", "alice/two");
  await kv.batch([
    { op: "put", ...record, value: Buffer.concat([record.value, Buffer.from(" ")]) },
  ]);
  const vault = await openVault(kv);
  await vault.accept();
  await vault.store({ tenant: alice, name: "two", value: utf8("anew") });
  expect((await rejection(retrieval(seenWith(old), "two"))).code).toBe("storage_corrupt");
});
