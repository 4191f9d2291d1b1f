/**
 * Where the master key comes from: a value of the environment, a passphrase, a systemd
 * credential, or a file that is made on the first start.
 *
 * 1. A key file is readable by its owner alone, or it is not used.
 * 2. A key is made only for a vault that does not exist yet, and is on disk before it is used.
 */
import { mkdir, open, readFile, rename, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SoloError } from "#base/errors.ts";
import type { Random } from "#vault/keyring.ts";
import type { MasterKey } from "#vault/keys.ts";
import { KEY_BYTES } from "#vault/limits.ts";

/** Of a systemd unit: `LoadCredential=solo-master-key:/etc/…`. */
const CREDENTIAL_NAME = "solo-master-key";

export type KeyOrigin = "environment" | "passphrase" | "credential" | "file";

export interface MasterKeySources {
  /** Only this one; the first that is there unless given. */
  readonly only?: KeyOrigin | undefined;
  /** The value of a variable, 32 bytes in base64, base64url or hex. */
  readonly environment?: string | undefined;
  readonly passphrase?: string | undefined;
  /** What systemd put into CREDENTIALS_DIRECTORY. */
  readonly credentialsDirectory?: string | undefined;
  readonly file: string;
  /** Whether the vault exists: then no key is made. */
  readonly vaultExists: boolean;
  readonly random: Random;
}

export type FoundMasterKey = MasterKey & { readonly from: KeyOrigin };

export async function masterKeyFrom(sources: MasterKeySources): Promise<FoundMasterKey> {
  const { only, environment, passphrase, credentialsDirectory, file, vaultExists, random } =
    sources;
  const wanted = (origin: KeyOrigin) => only === undefined || only === origin;
  if (wanted("environment") && environment !== undefined)
    return { kind: "key", key: decodeKey(environment, "the environment"), from: "environment" };
  if (wanted("passphrase") && passphrase !== undefined)
    return { kind: "passphrase", passphrase, from: "passphrase" };
  if (wanted("credential") && credentialsDirectory !== undefined) {
    const text = await textOf(join(credentialsDirectory, CREDENTIAL_NAME));
    if (text !== undefined)
      return { kind: "key", key: decodeKey(text, "the credential"), from: "credential" };
  }
  if (!wanted("file")) throw missingKey(only!);
  await mustBePrivate(file);
  const text = await textOf(file);
  if (text !== undefined)
    return { kind: "key", key: decodeKey(text, "the key file"), from: "file" };
  if (vaultExists) throw missingKey("file");
  const key = random(KEY_BYTES);
  await saveMasterKey(file, key);
  return { kind: "key", key, from: "file" };
}

/** Replaces the file as a whole; resolves when it is on the disk. */
export async function saveMasterKey(file: string, key: Uint8Array): Promise<void> {
  const next = `${file}.next`;
  const made = await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const handle = await open(next, "w", 0o600);
  try {
    await handle.chmod(0o600); // the file may be left from a save that was cut short
    await handle.writeFile(`${Buffer.from(key).toString("base64url")}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(next, file);
  await syncDirectory(dirname(file));
  if (made !== undefined) await syncDirectory(dirname(made));
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** 32 bytes from their text; `source` is named in the refusal, the text is not. */
export function decodeKey(text: string, source: string): Buffer {
  const trimmed = text.trim();
  const key = /^[0-9a-f]{64}$/i.test(trimmed)
    ? Buffer.from(trimmed, "hex")
    : /^[A-Za-z0-9+/_-]{43}=?$/.test(trimmed)
      ? Buffer.from(trimmed, "base64")
      : undefined;
  if (key?.length === KEY_BYTES) return key;
  throw new SoloError(
    "config_invalid",
    `The master key from ${source} is not ${KEY_BYTES} bytes in base64 or hex.`,
    {
      hint: "Make one with: openssl rand -base64 32",
    },
  );
}

const WHERE: Readonly<Record<KeyOrigin, string>> = {
  environment: "Set SOLO_MASTER_KEY to it.",
  passphrase: "Set SOLO_MASTER_PASSPHRASE to it.",
  credential: `Give the unit LoadCredential=${CREDENTIAL_NAME}:<file>.`,
  file: "Put the key file back into database.vault_db, or give the key in SOLO_MASTER_KEY.",
};

const missingKey = (origin: KeyOrigin): SoloError =>
  new SoloError("vault_sealed", `The vault's master key is missing (${origin}).`, {
    hint: WHERE[origin],
  });

async function mustBePrivate(file: string): Promise<void> {
  const found = await stat(file).catch(missing);
  if (found === undefined || (found.mode & 0o077) === 0) return;
  throw new SoloError("config_invalid", "The vault's key file can be read by others.", {
    hint: "chmod 600 it, and rotate the master key if somebody may have read it.",
  });
}

const textOf = (path: string): Promise<string | undefined> => readFile(path, "utf8").catch(missing);

function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}
