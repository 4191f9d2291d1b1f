/** A kernel that dies while its master key is exchanged, and one that is given another key. */
import { randomBytes } from "node:crypto";
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { startKernel, type TestKernel, until } from "../support/kernel.ts";
import { refusedStart } from "./refused-start.ts";

const SECRETS = 250; // two pages of the rotation
const root = mkdtempSync(join(tmpdir(), "solo-vault-killed-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const valueOf = (n: number): string => `value of secret ${n}`;
const keyFile = (kernel: TestKernel): string => join(kernel.dataDir, "vault", "master-key");

async function allAreReadable({ client }: TestKernel): Promise<void> {
  const read = await Promise.all(
    Array.from({ length: SECRETS }, (_, n) => client.retrieveSecret({ name: `k${n}` })),
  );
  expect(read.map(({ value }) => value)).toEqual(
    Array.from({ length: SECRETS }, (_, n) => valueOf(n)),
  );
}

describe("kill -9 while the master key is exchanged leaves every secret readable", () => {
  test("wherever it comes", async () => {
    await using kernel = await startKernel();
    await Promise.all(
      Array.from({ length: SECRETS }, (_, n) =>
        kernel.client.storeSecret({ name: `k${n}`, value: valueOf(n) }),
      ),
    );
    const points: Record<string, (before: string) => Promise<unknown>> = {
      "as it begins": async () => {},
      "when the new key is in the file": (before) =>
        until(() => readFileSync(keyFile(kernel), "utf8") !== before, "the new key"),
      "a little later": async (before) => {
        await until(() => readFileSync(keyFile(kernel), "utf8") !== before, "the new key");
        await kernel.client.vaultStatus();
        await kernel.client.vaultStatus();
      },
    };
    for (const [point, reached] of Object.entries(points)) {
      const before = readFileSync(keyFile(kernel), "utf8");
      const rotation = kernel.client.rotateMasterKey({}).then(
        () => "answered",
        () => "cut off",
      );
      await reached(before);
      await kernel.kill9();
      await rotation;
      await kernel.restart();
      await allAreReadable(kernel);
      const status = await until(async () => {
        const told = await kernel.client.vaultStatus();
        return told.rotating ? undefined : told;
      }, "the rotation to be resumed");
      expect({ point, ...status }).toMatchObject({ point, ok: true, damaged: [] });
      await allAreReadable(kernel);
    }
  });
});

describe("a kernel whose vault does not open", () => {
  const fresh = () => mkdtempSync(join(root, "data-"));
  const start = (dataDir: string, env: Record<string, string> = {}) =>
    refusedStart({ dataDir, cwd: root, env });
  const base64 = (): string => randomBytes(32).toString("base64");

  test("does not start: another key, no key, or a key that others can read", async () => {
    const dataDir = fresh();
    const kernel = await startKernel({ dataDir });
    await kernel.client.storeSecret({ name: "a", value: "kept" });
    await kernel.stop();

    const another = await start(dataDir, { SOLO_MASTER_KEY: base64() });
    expect(another.stderr).toContain("error[vault_sealed]: The vault does not open");
    expect(another.stderr).toContain("hint: ");
    expect(another.code).toBe(3);

    const file = join(dataDir, "vault", "master-key");
    chmodSync(file, 0o644);
    const open = await start(dataDir);
    expect(open.stderr).toContain("can be read by others");
    expect(open.code).toBe(2);
    chmodSync(file, 0o600);

    const key = readFileSync(file, "utf8").trim();
    rmSync(file);
    const missing = await start(dataDir);
    expect(missing.stderr).toContain("error[vault_sealed]: The vault's master key is missing");
    expect(missing.code).toBe(3);

    // The same key from elsewhere opens it.
    await using again = await startKernel({ dataDir, env: { SOLO_MASTER_KEY: key } });
    expect(await again.client.vaultStatus()).toMatchObject({ key_from: "environment", ok: true });
    expect((await again.client.retrieveSecret({ name: "a" })).value).toBe("kept");
    await expect(again.client.rotateMasterKey({})).rejects.toMatchObject({ code: "conflict" });
  });

  test("of which the key is exchanged from outside starts with both, then with the new one", async () => {
    const dataDir = fresh();
    const [old, next] = [base64(), base64()];
    const first = await startKernel({ dataDir, env: { SOLO_MASTER_KEY: old } });
    await first.client.storeSecret({ name: "a", value: "kept" });
    await first.stop();
    const env = { SOLO_MASTER_KEY: next, SOLO_MASTER_KEY_PREVIOUS: old };
    const both = await startKernel({ dataDir, env });
    expect((await both.client.retrieveSecret({ name: "a" })).value).toBe("kept");
    await both.stop();
    expect((await start(dataDir, { SOLO_MASTER_KEY: old })).code).toBe(3);
    await using last = await startKernel({ dataDir, env: { SOLO_MASTER_KEY: next } });
    expect((await last.client.retrieveSecret({ name: "a" })).value).toBe("kept");
  });

  test("of which the state was set back is open, and gives nothing until it is accepted", async () => {
    const dataDir = fresh();
    const copy = join(root, "copy.db");
    const kernel = await startKernel({ dataDir });
    await kernel.client.storeSecret({ name: "a", value: "first" });
    await kernel.stop();
    cpSync(join(dataDir, "state.db"), copy);
    await kernel.restart();
    await kernel.client.storeSecret({ name: "a", value: "second" });
    await kernel.stop();
    cpSync(copy, join(dataDir, "state.db"));
    await using back = await startKernel({ dataDir });
    expect(await back.client.vaultStatus()).toMatchObject({ ok: false });
    await expect(back.client.retrieveSecret({ name: "a" })).rejects.toMatchObject({
      code: "storage_corrupt",
    });
    await back.client.acceptVault({});
    expect((await back.client.retrieveSecret({ name: "a" })).value).toBe("first");
  });
});
