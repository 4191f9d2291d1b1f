/** Certificates for one test: an authority in a directory of its own, and odd ones beside it. */
import "reflect-metadata";
import { createPrivateKey, webcrypto } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { onTestFinished } from "vitest";
import { systemClock } from "#base/clock.ts";
import { CertificateBook } from "#certs/book.ts";
import { certsFolder, type CertsFolder, type Pair } from "#certs/folder.ts";
import type { TlsFiles } from "#gateway/tls/material.ts";

export interface Shown {
  readonly cert: string;
  readonly key: string;
}

const DAY_MS = 86_400_000;
const CURVE = { name: "ECDSA", namedCurve: "P-256" };

export class Certificates {
  readonly dataDir: string;
  readonly folder: CertsFolder;
  readonly book: CertificateBook;

  private constructor(dataDir: string) {
    this.dataDir = dataDir;
    this.folder = certsFolder(dataDir);
    this.book = new CertificateBook({ folder: this.folder, clock: systemClock });
  }

  static async make(dataDir?: string): Promise<Certificates> {
    const made = new Certificates(dataDir ?? (await mkdtemp(join(tmpdir(), "solo-tls-"))));
    if (dataDir === undefined)
      onTestFinished(() => rm(made.dataDir, { recursive: true, force: true }));
    await made.book.init({ hosts: [], days: 1 });
    return made;
  }

  get files(): TlsFiles {
    const { server, ca, crl } = this.folder;
    return { ...server, clientCa: ca.cert, crl };
  }

  ca(): Promise<string> {
    return readFile(this.folder.ca.cert, "utf8");
  }

  async read({ cert, key }: Pair): Promise<Shown> {
    return { cert: await readFile(cert, "utf8"), key: await readFile(key, "utf8") };
  }

  async of(tenant: string): Promise<Shown> {
    return this.read(await this.book.issue({ holder: { kind: "tenant", tenant }, days: 1 }));
  }

  operator(): Promise<Shown> {
    return this.read(this.folder.client("operator"));
  }

  /** One that was good until yesterday. */
  async expired(tenant: string): Promise<Shown> {
    const clock = { ...systemClock, wallMs: () => Date.now() - 2 * DAY_MS };
    const before = new CertificateBook({ folder: this.folder, clock });
    const holder = { kind: "tenant", tenant } as const;
    return this.read(await before.issue({ holder, name: `${tenant}-expired`, days: 1 }));
  }

  /** Signed by the authority, with the names of the test's choice. */
  async named(options: { readonly cn: string; readonly uris?: readonly string[] }): Promise<Shown> {
    const authority = new X509Certificate(await this.ca());
    const keys = await webcrypto.subtle.generateKey(CURVE, true, ["sign", "verify"]);
    const signingKey = createPrivateKey(await readFile(this.folder.ca.key)).toCryptoKey(
      CURVE,
      false,
      ["sign"],
    );
    const { cn, uris = [] } = options;
    const made = await X509CertificateGenerator.create({
      serialNumber: "7f01",
      subject: [{ CN: [cn] }],
      issuer: authority.subjectName.toJSON(),
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + DAY_MS),
      signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
      publicKey: keys.publicKey,
      signingKey,
      extensions: [
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]),
        ...(uris.length === 0
          ? []
          : [new SubjectAlternativeNameExtension(uris.map((value) => ({ type: "url", value })))]),
      ],
    });
    const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
    const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
    return {
      cert: made.toString("pem"),
      key: key.export({ format: "pem", type: "pkcs8" }).toString(),
    };
  }
}
