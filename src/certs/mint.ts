/**
 * Certificates and revocation lists, made and signed: ECDSA on P-256 with SHA-256.
 *
 * 1. Serial numbers are 126 random bits; a private key never leaves as anything but PEM text
 *    for its own file.
 * 2. A client certificate cannot pass for a server's, nor a server's for a client's.
 */
// The certificate library's own dependency asks for it before anything else.
import "reflect-metadata";
import { createPrivateKey, randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
  X509CrlGenerator,
  X509CrlReason,
} from "@peculiar/x509";
import { type Holder, holderUri } from "#certs/holder.ts";

const CURVE = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" } as const;
const CA_YEARS = 10;
const DAY_MS = 86_400_000;
/** Clocks of other machines may be behind. */
const SKEW_MS = 5 * 60_000;

export interface Minted {
  /** 32 lower-case hex digits. */
  readonly serial: string;
  readonly cert: string;
  readonly key: string;
  readonly notAfterMs: number;
}

export interface Issuer {
  readonly cert: string;
  readonly key: string;
}

export interface Subject {
  readonly commonName: string;
  readonly use: { readonly server: readonly string[] } | { readonly client: Holder };
  readonly days: number;
  readonly nowMs: number;
}

function newSerial(): string {
  const bytes = randomBytes(16);
  // Positive, and always of the same length.
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString("hex");
}

const newKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(CURVE, true, ["sign", "verify"]);

async function keyText({ privateKey }: webcrypto.CryptoKeyPair): Promise<string> {
  return pemText("PRIVATE KEY", await webcrypto.subtle.exportKey("pkcs8", privateKey));
}

function pemText(label: string, der: ArrayBuffer): string {
  const lines = Buffer.from(der)
    .toString("base64")
    .replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

const signingKey = (pem: string): CryptoKey =>
  createPrivateKey(pem).toCryptoKey(CURVE, false, ["sign"]);

/** A name as it stands in a distinguished name. */
const dn = (commonName: string) => [{ CN: [commonName] }];

export async function mintAuthority({ nowMs }: { readonly nowMs: number }): Promise<Minted> {
  const keys = await newKeys();
  const serial = newSerial();
  const notAfter = new Date(nowMs);
  notAfter.setUTCFullYear(notAfter.getUTCFullYear() + CA_YEARS);
  const made = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serial,
    name: dn(`Solo certificate authority ${serial.slice(0, 8)}`),
    notBefore: new Date(nowMs - SKEW_MS),
    notAfter,
    signingAlgorithm: SIGNATURE,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { serial, cert: pemOf(made), key: await keyText(keys), notAfterMs: notAfter.getTime() };
}

export async function mint(subject: Subject, issuer: Issuer): Promise<Minted> {
  const { commonName, use, days, nowMs } = subject;
  const authority = new X509Certificate(issuer.cert);
  const keys = await newKeys();
  const serial = newSerial();
  // Nothing outlives the authority that vouches for it.
  const notAfterMs = Math.min(nowMs + days * DAY_MS, authority.notAfter.getTime());
  const extensions: Extension[] = [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([
      "server" in use ? ExtendedKeyUsage.serverAuth : ExtendedKeyUsage.clientAuth,
    ]),
    new SubjectAlternativeNameExtension(
      "server" in use
        ? use.server.map((host) => ({ type: isIP(host) === 0 ? "dns" : "ip", value: host }))
        : [{ type: "url", value: holderUri(use.client) }],
    ),
    await SubjectKeyIdentifierExtension.create(keys.publicKey),
    await AuthorityKeyIdentifierExtension.create(authority.publicKey),
  ];
  const made = await X509CertificateGenerator.create({
    serialNumber: serial,
    subject: dn(commonName),
    issuer: authority.subjectName.toJSON(),
    notBefore: new Date(nowMs - SKEW_MS),
    notAfter: new Date(notAfterMs),
    signingAlgorithm: SIGNATURE,
    publicKey: keys.publicKey,
    signingKey: signingKey(issuer.key),
    extensions,
  });
  return { serial, cert: pemOf(made), key: await keyText(keys), notAfterMs };
}

export interface Revocation {
  readonly serial: string;
  readonly at: string;
}

/** The list is as good as its authority: it is replaced when it changes, not when it ages. */
export async function mintCrl(
  revocations: readonly Revocation[],
  options: { readonly issuer: Issuer; readonly nowMs: number },
): Promise<string> {
  const { issuer, nowMs } = options;
  const authority = new X509Certificate(issuer.cert);
  const crl = await X509CrlGenerator.create({
    issuer: authority.subjectName.toJSON(),
    thisUpdate: new Date(nowMs - SKEW_MS),
    nextUpdate: authority.notAfter,
    signingAlgorithm: SIGNATURE,
    signingKey: signingKey(issuer.key),
    entries: revocations.map(({ serial, at }) => ({
      serialNumber: serial,
      revocationDate: new Date(at),
      reason: X509CrlReason.unspecified,
    })),
    extensions: [await AuthorityKeyIdentifierExtension.create(authority.publicKey)],
  });
  return pemText("X509 CRL", crl.rawData);
}

const pemOf = ({ rawData }: X509Certificate): string => pemText("CERTIFICATE", rawData);
