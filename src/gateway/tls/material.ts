/** The files that TLS is made of, read and checked together. */
import { X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { SoloError } from "#base/errors.ts";

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** Without the file no client is asked for a certificate. */
  readonly clientCa: string;
  /** Without the file nothing counts as revoked. */
  readonly crl: string;
}

export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly ca: string | undefined;
  readonly crl: string | undefined;
  readonly notAfterMs: number;
}

const SETTING: Readonly<Record<keyof TlsFiles, string>> = {
  cert: "security.tls_cert",
  key: "security.tls_key",
  clientCa: "security.tls_client_ca",
  crl: "security.tls_crl",
};

const refused = (part: keyof TlsFiles, message: string): SoloError =>
  new SoloError("config_invalid", `${SETTING[part]}: ${message}.`, {
    fields: [{ field: SETTING[part], message }],
    hint: "`solo certs init` makes every file that TLS needs.",
  });

async function read(files: TlsFiles, part: keyof TlsFiles): Promise<string | undefined> {
  try {
    return await readFile(files[part], "utf8");
  } catch (error) {
    const { code = "unknown" } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    throw refused(part, `${files[part]} cannot be read (${code})`);
  }
}

export async function readMaterial(
  files: TlsFiles,
  needed: { readonly clientCa: boolean; readonly crl: boolean },
): Promise<TlsMaterial> {
  const [cert, key, ca, crl] = await Promise.all([
    read(files, "cert"),
    read(files, "key"),
    read(files, "clientCa"),
    read(files, "crl"),
  ]);
  const missing = (part: keyof TlsFiles) => refused(part, `${files[part]} is not there`);
  if (cert === undefined) throw missing("cert");
  if (key === undefined) throw missing("key");
  if (ca === undefined && needed.clientCa) throw missing("clientCa");
  if (crl === undefined && needed.crl) throw missing("crl");
  // An empty text is no certificate to X509Certificate only; the key needs a whole context.
  const { validToDate } = attempt("cert", files, () => new X509Certificate(cert));
  attempt("cert", files, () => createSecureContext({ cert }));
  attempt("key", files, () => createSecureContext({ cert, key }));
  if (ca !== undefined) attempt("clientCa", files, () => new X509Certificate(ca));
  if (crl !== undefined) attempt("crl", files, () => createSecureContext({ crl }));
  return { cert, key, ca, crl, notAfterMs: validToDate.getTime() };
}

function attempt<T>(part: keyof TlsFiles, files: TlsFiles, make: () => T): T {
  try {
    return make();
  } catch (error) {
    // OpenSSL's reason; it quotes nothing of the file.
    const reason = (error as { reason?: string }).reason ?? "not what it should hold";
    throw refused(part, `${files[part]} cannot be used (${reason})`);
  }
}

/** Changes whenever one of the files does. */
export async function stampOf(files: TlsFiles): Promise<string> {
  const stamps = await Promise.all(
    Object.values(files).map(async (path: string) => {
      try {
        const { ino, size, mtimeMs } = await stat(path);
        return `${ino}:${size}:${mtimeMs}`;
      } catch (error) {
        return (error as NodeJS.ErrnoException).code ?? "unknown";
      }
    }),
  );
  return stamps.join(" ");
}
