import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { masterKeyFrom, saveMasterKey } from "#vault/master-key.ts";
import { rejection } from "./support.ts";

const dir = await mkdtemp(join(tmpdir(), "solo-master-key-"));
afterAll(() => rm(dir, { recursive: true, force: true }));

const from = (more: Partial<Parameters<typeof masterKeyFrom>[0]> = {}) =>
  masterKeyFrom({ file: join(dir, "key"), vaultExists: false, random: randomBytes, ...more });
const key = Buffer.alloc(32, 9);

test("the first start makes a key that only the owner can read; later starts find it", async () => {
  const made = await from();
  expect(made).toMatchObject({ kind: "key", from: "file" });
  expect((await stat(join(dir, "key"))).mode & 0o777).toBe(0o600);
  expect(await from({ vaultExists: true })).toEqual(made);
  expect(await readdir(dir)).toEqual(["key"]);
});

test("a key that others can read is not used, and one that is missing is not made up", async () => {
  await saveMasterKey(join(dir, "open"), key);
  await chmod(join(dir, "open"), 0o640);
  expect((await rejection(from({ file: join(dir, "open") }))).code).toBe("config_invalid");
  expect((await rejection(from({ file: join(dir, "missing"), vaultExists: true }))).code).toBe(
    "vault_sealed",
  );
  expect(await readdir(dir)).not.toContain("missing");
});

test("the environment comes before a credential, and that before the file", async () => {
  const hex = key.toString("hex");
  await writeFile(join(dir, "solo-master-key"), Buffer.alloc(32, 8).toString("base64"));
  expect(await from({ environment: hex, credentialsDirectory: dir })).toMatchObject({
    key,
    from: "environment",
  });
  expect(await from({ environment: `${key.toString("base64url")}\n` })).toMatchObject({ key });
  expect(await from({ credentialsDirectory: dir })).toMatchObject({
    key: Buffer.alloc(32, 8),
    from: "credential",
  });
  expect(await from({ credentialsDirectory: join(dir, "nowhere") })).toMatchObject({
    from: "file",
  });
});

test("a key of another length is refused without being shown", async () => {
  for (const environment of [
    "",
    "short",
    "a".repeat(42),
    "z".repeat(65),
    key.toString("hex").slice(2),
  ]) {
    const error = await rejection(from({ environment }));
    expect(error.code).toBe("config_invalid");
    if (environment !== "") expect(error.message).not.toContain(environment);
  }
});

test("a save that was cut short leaves the old key, and the next one succeeds", async () => {
  const file = join(dir, "replaced");
  await saveMasterKey(file, key);
  await writeFile(`${file}.next`, "half", { mode: 0o644 });
  expect(await from({ file })).toMatchObject({ key });
  await saveMasterKey(file, Buffer.alloc(32, 3));
  expect(Buffer.from((await readFile(file, "utf8")).trim(), "base64url")).toEqual(
    Buffer.alloc(32, 3),
  );
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});
