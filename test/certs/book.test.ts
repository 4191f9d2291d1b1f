import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "#base/clock.ts";
import { CertificateBook } from "#certs/book.ts";
import { certsFolder } from "#certs/folder.ts";
import { runCli } from "../support/run-cli.ts";

async function newBook(wallMs: () => number = Date.now) {
  const dataDir = await mkdtemp(join(tmpdir(), "solo-certs-"));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  const folder = certsFolder(dataDir);
  return {
    dataDir,
    folder,
    book: new CertificateBook({ folder, clock: { ...systemClock, wallMs } }),
  };
}

const read = async (path: string) => new X509Certificate(await readFile(path));

test("the authority vouches for server and clients, each for its own use, keys for the owner only", async () => {
  const { book, folder } = await newBook();
  await book.init({ hosts: ["solo.example:8080", "10.0.0.7"], days: 30 });
  const issued = await book.issue({ holder: { kind: "tenant", tenant: "acme" }, days: 400 });
  const [ca, server, acme] = await Promise.all([
    read(folder.ca.cert),
    read(folder.server.cert),
    read(issued.cert),
  ]);
  for (const certificate of [server, acme]) {
    expect(certificate.verify(ca.publicKey)).toBe(true);
    expect(certificate.checkIssued(ca)).toBe(true);
    expect(certificate.ca).toBe(false);
  }
  for (const host of ["localhost", "solo.example"]) expect(server.checkHost(host)).toBe(host);
  for (const ip of ["127.0.0.1", "::1", "10.0.0.7"]) expect(server.checkIP(ip)).toBe(ip);
  expect(acme.subjectAltName).toBe("URI:solo://tenant/acme");
  expect([server.keyUsage, acme.keyUsage]).toEqual([["1.3.6.1.5.5.7.3.1"], ["1.3.6.1.5.5.7.3.2"]]);
  expect(acme.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: "prime256v1" });
  for (const { key } of [folder.ca, folder.server, issued]) {
    expect((await stat(key)).mode & 0o777).toBe(0o600);
  }
});

test("what exists is not overwritten; what does not is named", async () => {
  const { book } = await newBook();
  const acme = { kind: "tenant", tenant: "acme" } as const;
  await expect(book.issue({ holder: acme, days: 1 })).rejects.toMatchObject({ code: "not_found" });
  await book.init({ hosts: [], days: 1 });
  await expect(book.init({ hosts: [], days: 1 })).rejects.toMatchObject({ code: "already_exists" });
  await book.issue({ holder: acme, days: 1 });
  for (const name of [undefined, "server", "ca", "operator"]) {
    const again = book.issue({ holder: acme, name, days: 1 });
    await expect(again).rejects.toMatchObject({ code: "already_exists" });
  }
  await expect(book.issue({ holder: acme, name: "../up", days: 1 })).rejects.toMatchObject({
    code: "invalid_argument",
  });
  await expect(book.revoke("nobody")).rejects.toMatchObject({ code: "not_found" });
  await expect(book.revoke("server")).rejects.toMatchObject({ code: "invalid_argument" });
  await expect(
    (await newBook()).book.init({ hosts: ["not a host"], days: 1 }),
  ).rejects.toMatchObject({ code: "invalid_argument" });
});

test("a renewed certificate has a new key, and the old one is good until it is revoked", async () => {
  let now = Date.now();
  const { book, folder } = await newBook(() => now);
  await book.init({ hosts: ["one.example"], days: 10 });
  const first = await book.issue({ holder: { kind: "tenant", tenant: "acme" }, days: 10 });
  const firstKey = await readFile(first.key, "utf8");
  now += 60_000;
  const second = await book.renew({ name: "acme", days: 10, hosts: [], revokeOld: false });
  expect(await readFile(second.key, "utf8")).not.toBe(firstKey);
  const acme = async () => (await book.list()).filter(({ name }) => name === "acme");
  expect((await acme()).map(({ status }) => status)).toEqual(["valid", "valid"]);
  now += 60_000;
  const third = await book.renew({ name: "acme", days: 20, hosts: [], revokeOld: true });
  expect((await acme()).map(({ serial, status }) => [serial, status])).toEqual([
    [first.serial, "revoked"],
    [second.serial, "revoked"],
    [third.serial, "valid"],
  ]);
  await book.renew({ name: "server", days: 10, hosts: ["two.example"], revokeOld: false });
  const server = await read(folder.server.cert);
  expect(server.checkHost("one.example") && server.checkHost("two.example")).toBeTruthy();
  now += 30 * 86_400_000;
  expect((await acme()).map(({ status }) => status)).toEqual(["revoked", "revoked", "expired"]);
});

test("revocations at the same time are all on the list", async () => {
  const { book, folder } = await newBook();
  await book.init({ hosts: [], days: 1 });
  const names = ["a", "b", "c", "d"];
  const serials: string[] = [];
  for (const tenant of names) {
    serials.push((await book.issue({ holder: { kind: "tenant", tenant }, days: 1 })).serial);
  }
  await Promise.all(names.map((name) => book.revoke(name)));
  const { X509Crl } = await import("@peculiar/x509");
  const crl = new X509Crl(await readFile(folder.crl, "utf8"));
  expect(crl.entries.map(({ serialNumber }) => serialNumber).toSorted()).toEqual(
    serials.toSorted(),
  );
});

test("the command line makes, lists and revokes them without a kernel", async () => {
  const { dataDir } = await newBook();
  const solo = (...args: string[]) =>
    runCli(["certs", ...args, "--data-dir", dataDir, "--json"], { cwd: dataDir });
  expect((await solo("init")).code).toBe(0);
  expect((await solo("issue", "acme", "--out", "given", "--days", "7")).code).toBe(0);
  expect((await stat(join(dataDir, "given", "acme.key"))).mode & 0o777).toBe(0o600);
  expect(JSON.parse((await solo("revoke", "acme")).stdout)).toMatchObject([{ status: "revoked" }]);
  expect(JSON.parse((await solo("list")).stdout)).toMatchObject([
    { name: "acme", holder: "acme", status: "revoked" },
    { name: "operator", holder: "operator", status: "valid" },
    { name: "server", holder: "server", status: "valid" },
  ]);
  expect(await solo("issue")).toMatchObject({ code: 2 });
  expect(await solo("issue", "acme", "--operator")).toMatchObject({ code: 2 });
  expect(await solo("issue", "x", "--days", "0")).toMatchObject({ code: 2 });
  expect(await solo("revoke", "nobody")).toMatchObject({ code: 4 });
});
