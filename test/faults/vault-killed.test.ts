/** A kernel that dies while its master key is exchanged (test/chaos: wherever it is in that), and
 *  one that is given another key. */
import { randomBytes } from "node:crypto";
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startKernel } from "../support/kernel.ts";
import { refusedStart } from "./refused-start.ts";
import { killWhileRotating } from "./rotation-killed.ts";

test("kill -9 while the master key is exchanged leaves every secret readable", async () => {
  await using kernel = await startKernel();
  await killWhileRotating(kernel, ["when the new key is in the file"]);
});

describe("a kernel whose vault does not open", () => {
  const root = mkdtempSync(join(tmpdir(), "solo-vault-killed-"));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  /** Left in order, with the secret `a` and its key in a file. */
  const used = join(root, "used");
  let dataDir: string;
  let keyFile: string;
  let key: string;
  beforeAll(async () => {
    const fresh = mkdtempSync(join(root, "data-"));
    const kernel = await startKernel({ dataDir: fresh });
    await kernel.client.storeSecret({ name: "a", value: "kept" });
    await kernel.stop();
    cpSync(fresh, used, { recursive: true });
  });
  beforeEach(() => {
    dataDir = mkdtempSync(join(root, "data-"));
    cpSync(used, dataDir, { recursive: true });
    keyFile = join(dataDir, "vault", "master-key");
    key = readFileSync(keyFile, "utf8").trim();
  });
  const refused = (env: Record<string, string> = {}) => refusedStart({ dataDir, cwd: root, env });
  const base64 = (): string => randomBytes(32).toString("base64");

  test("does not start: another key, no key, or a key that others can read", async () => {
    const another = await refused({ SOLO_MASTER_KEY: base64() });
    expect(another.stderr).toContain("error[vault_sealed]: The vault does not open");
    expect(another.stderr).toContain("hint: ");
    expect(another.code).toBe(3);

    chmodSync(keyFile, 0o644);
    const open = await refused();
    expect(open.stderr).toContain("can be read by others");
    expect(open.code).toBe(2);
    chmodSync(keyFile, 0o600);

    rmSync(keyFile);
    const missing = await refused();
    expect(missing.stderr).toContain("error[vault_sealed]: The vault's master key is missing");
    expect(missing.code).toBe(3);

    // The same key from elsewhere opens it.
    await using again = await startKernel({ dataDir, env: { SOLO_MASTER_KEY: key } });
    expect(await again.client.vaultStatus()).toMatchObject({ key_from: "environment", ok: true });
    expect((await again.client.retrieveSecret({ name: "a" })).value).toBe("kept");
    await expect(again.client.rotateMasterKey({})).rejects.toMatchObject({ code: "conflict" });
  });

  test("of which the key is exchanged from outside starts with both, then with the new one", async () => {
    rmSync(keyFile);
    const next = base64();
    const env = { SOLO_MASTER_KEY: next, SOLO_MASTER_KEY_PREVIOUS: key };
    const both = await startKernel({ dataDir, env });
    expect((await both.client.retrieveSecret({ name: "a" })).value).toBe("kept");
    await both.stop();
    expect((await refused({ SOLO_MASTER_KEY: key })).code).toBe(3);
    await using last = await startKernel({ dataDir, env: { SOLO_MASTER_KEY: next } });
    expect((await last.client.retrieveSecret({ name: "a" })).value).toBe("kept");
  });

  test("of which the state was set back is open, and gives nothing until it is accepted", async () => {
    const kernel = await startKernel({ dataDir });
    await kernel.client.storeSecret({ name: "a", value: "second" });
    await kernel.stop();
    cpSync(join(used, "state.db"), join(dataDir, "state.db"));
    await using back = await startKernel({ dataDir });
    expect(await back.client.vaultStatus()).toMatchObject({ ok: false });
    await expect(back.client.retrieveSecret({ name: "a" })).rejects.toMatchObject({
      code: "storage_corrupt",
    });
    await back.client.acceptVault({});
    expect((await back.client.retrieveSecret({ name: "a" })).value).toBe("kept");
  });
});
