import { spawn } from "node:child_process";
import { once } from "node:events";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "#base/clock.ts";
import { openStorage } from "#storage/storage.ts";
import { masterKeyFrom, saveMasterKey } from "#vault/master-key.ts";
import { Vault } from "#vault/vault.ts";
import {
  alice,
  keyOf,
  openStore,
  openVault,
  rejection,
  restore,
  rowsOf,
  textOf,
  utf8,
} from "./support.ts";

const store = await openStore();
const { kv } = store;
afterAll(() => store[Symbol.asyncDispose]());
beforeEach(() => restore(kv, []));

const CHILD = new URL("./rotation-child.ts", import.meta.url).pathname;
const ROUNDS = 6;
const noSave = async () => {};

const put = (vault: Vault, name: string, value: string) =>
  vault.store({ tenant: alice, name, value: utf8(value) });

describe("rotating the master key", () => {
  test("moves every secret under the new key; the old one opens nothing any more", async () => {
    const vault = await openVault(kv);
    for (let i = 0; i < 450; i++) await put(vault, `k${i}`, `value ${i}`);
    const before = await rowsOf(kv);
    const saved: unknown[] = [];
    const result = await vault.rotateMasterKey({
      next: keyOf(2),
      save: async (key) => void saved.push(Buffer.from(key!)),
    });
    expect(result).toEqual({ rewrapped: 450, damaged: [] });
    expect(saved).toEqual([Buffer.alloc(32, 2)]);
    expect(await textOf(vault, "k449")).toBe("value 449");
    expect((await rejection(openVault(kv))).code).toBe("vault_sealed");
    const again = await openVault(kv, { master: keyOf(2) });
    expect(await textOf(again, "k7")).toBe("value 7");
    const old = before.find(({ key }) => key.startsWith("alice/k7/"))!;
    await kv.batch([{ op: "put", ...old }]);
    expect((await rejection(textOf(again, "k7"))).code).toBe("storage_corrupt");
  });

  test("to the key in use, or while one is under way, is refused", async () => {
    const vault = await openVault(kv);
    expect((await rejection(vault.rotateMasterKey({ next: keyOf(1), save: noSave }))).code).toBe(
      "invalid_argument",
    );
    const rotation = vault.rotateMasterKey({ next: keyOf(2), save: noSave });
    expect((await rejection(vault.rotateMasterKey({ next: keyOf(3), save: noSave }))).code).toBe(
      "conflict",
    );
    await rotation;
  });

  test("cut short before or after the new key was saved goes on with either key", async () => {
    const vault = await openVault(kv);
    await put(vault, "k", "value");
    const save = () => Promise.reject(new Error("no disk"));
    await expect(vault.rotateMasterKey({ next: keyOf(2), save })).rejects.toThrow("no disk");
    expect(await textOf(vault, "k")).toBe("value");
    await put(vault, "later", "under the new key");
    for (const master of [keyOf(1), keyOf(2)]) {
      const again = await openVault(kv, { master });
      expect(again.isRotating).toBe(true);
      expect(await textOf(again, "k")).toBe("value");
      expect(await textOf(again, "later")).toBe("under the new key");
    }
    const resumed = await openVault(kv);
    const saved: unknown[] = [];
    expect(
      await resumed.resumeRotation({ save: async (key) => void saved.push(Buffer.from(key!)) }),
    ).toMatchObject({ rewrapped: 1 });
    expect(saved).toEqual([Buffer.alloc(32, 2)]);
    expect(resumed.isRotating).toBe(false);
    expect((await rejection(openVault(kv))).code).toBe("vault_sealed");
    expect(await textOf(await openVault(kv, { master: keyOf(2) }), "k")).toBe("value");
  });

  test("from a key to a passphrase and on to another passphrase", async () => {
    const vault = await openVault(kv);
    await put(vault, "k", "value");
    const passphrase = (text: string) => ({ kind: "passphrase", passphrase: text }) as const;
    const saved: unknown[] = [];
    const save = async (key: Uint8Array | undefined) => void saved.push(key);
    await vault.rotateMasterKey({ next: passphrase("first"), save });
    await vault.rotateMasterKey({ next: passphrase("second"), save });
    expect(saved).toEqual([undefined, undefined]);
    expect((await rejection(openVault(kv, { master: passphrase("first") }))).code).toBe(
      "vault_sealed",
    );
    expect(await textOf(await openVault(kv, { master: passphrase("second") }), "k")).toBe("value");
  });

  test("names the rows that were damaged before, and goes on with the others", async () => {
    const vault = await openVault(kv);
    await put(vault, "a", "value");
    await put(vault, "b", "value");
    const row = (await rowsOf(kv)).find(({ key }) => key.startsWith("alice/a/"))!;
    const value = Buffer.from(row.value);
    value[60]! ^= 1;
    await kv.batch([{ op: "put", ns: row.ns, key: row.key, value }]);
    expect(await vault.rotateMasterKey({ next: keyOf(2), save: noSave })).toEqual({
      rewrapped: 1,
      damaged: [row.key],
    });
    expect(await textOf(vault, "b")).toBe("value");
  });
});

test("a kill -9 at any moment of a rotation leaves every secret readable", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "solo-vault-kill-"));
  const stored = new Map<string, string>();
  let [rotations, cutShort] = [0, 0];
  try {
    for (let round = 0; round < ROUNDS || cutShort === 0; round++) {
      const child = spawn(process.execPath, [CHILD, dataDir], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      // Killed after a number of lines that nobody chose.
      let left = 60 + Math.floor(Math.random() * 200);
      for await (const line of createInterface({ input: child.stdout })) {
        const [, name, version, value] = /^stored (\S+) (\S+) (.*)$/.exec(line) ?? [];
        if (value !== undefined) stored.set(`${name} ${version}`, value);
        else if (line === "rotated") rotations += 1;
        else if (line !== "ready") throw new Error(`The child said: ${line}`);
        if (--left === 0) child.kill("SIGKILL");
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      expect(child.signalCode).toBe("SIGKILL");
      cutShort += await check(dataDir, stored);
    }
    expect(rotations).toBeGreaterThan(0);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});

/** Reads everything with the key that the next start would find; 1 when a rotation was cut short. */
async function check(dataDir: string, stored: ReadonlyMap<string, string>): Promise<number> {
  await using storage = await openStorage({ dataDir, clock: systemClock });
  const file = join(dataDir, "master-key");
  const master = await masterKeyFrom({ file, vaultExists: true, random: randomBytes });
  const vault = await Vault.open({
    kv: storage.kv,
    clock: systemClock,
    random: randomBytes,
    master,
  });
  expect(vault.damage).toEqual({ broken: undefined, secrets: [] });
  const { isRotating } = vault;
  const known = new Set(
    vault
      .list(alice)
      .flatMap(({ name, versions }) => versions.map((each) => `${name} ${each.version}`)),
  );
  const latest = new Map([...stored.keys()].map((key) => [key.split(" ")[0]!, key]));
  const listed = new Map(vault.list(alice).map(({ name, latest: newest }) => [name, newest]));
  for (const [name, key] of latest) {
    expect(listed.get(name), key).toBeGreaterThanOrEqual(Number(key.split(" ")[1]));
  }
  // What is not known any more was dropped by ten later versions.
  const readable = [...stored].filter(([key]) => known.has(key));
  await Promise.all(
    readable.map(async ([key, value]) => {
      const [name, version] = key.split(" ") as [string, string];
      expect(await textOf(vault, name, { version: Number(version) })).toBe(value);
    }),
  );
  if (isRotating && Math.random() < 0.5)
    await vault.resumeRotation({ save: (key) => saveMasterKey(file, key!) });
  return isRotating ? 1 : 0;
}

test("whoever reads all the while finds every secret, also as the ledger is signed anew", async () => {
  await using own = await openStore();
  const vault = await openVault(own.kv);
  const names = Array.from({ length: 1_200 }, (_, n) => `k${n}`);
  await Promise.all(names.map((name) => put(vault, name, `of ${name}`)));
  const over = new AbortController();
  const rotation = vault
    .rotateMasterKey({ next: keyOf(9), save: async () => {} })
    .finally(() => over.abort());
  for (let n = 0; !over.signal.aborted; n = (n + 7) % names.length) {
    expect(vault.list(alice)).toHaveLength(names.length);
    expect(await textOf(vault, names[n]!)).toBe(`of ${names[n]}`);
  }
  expect((await rotation).damaged).toEqual([]);
});
