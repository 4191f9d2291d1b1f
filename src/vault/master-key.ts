/**
 * Where the master key comes from: a value of the environment, a systemd credential, or a file
 * in the data directory that is made on the first start.
 *
 * 1. A key file is readable by its owner alone, or it is not used.
 * 2. A key is made only for a vault that does not exist yet, and is on disk before it is used.
 */
import { open, readFile, rename, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SoloError } from "#base/errors.ts";
import type { Random } from "#vault/keyring.ts";
import type { MasterKey } from "#vault/keys.ts";
import { KEY_BYTES } from "#vault/limits.ts";

/** Of a systemd unit: `LoadCredential=solo-master-key:/etc/…`. */
export const CREDENTIAL_NAME = "solo-master-key";

export interface MasterKeySources {
  /** The value of a variable, 32 bytes in base64, base64url or hex. */
  readonly environment?: string | undefined;
  /** What systemd put into CREDENTIALS_DIRECTORY. */
  readonly credentialsDirectory?: string | undefined;
  readonly file: string;
  /** Whether the vault exists: then no key is made. */
  readonly vaultExists: boolean;
  readonly random: Random;
}

export async function masterKeyFrom(
  sources: MasterKeySources,
): Promise<MasterKey & { readonly from: string }> {
  const { environment, credentialsDirectory, file, vaultExists, random } = sources;
  if (environment !== undefined)
    return { kind: "key", key: decodeKey(environment, "the environment"), from: "environment" };
  if (credentialsDirectory !== undefined) {
    const text = await textOf(join(credentialsDirectory, CREDENTIAL_NAME));
    if (text !== undefined)
      return { kind: "key", key: decodeKey(text, "the credential"), from: "credential" };
  }
  await mustBePrivate(file);
  const text = await textOf(file);
  if (text !== undefined)
    return { kind: "key", key: decodeKey(text, "the key file"), from: "file" };
  if (vaultExists) {
    throw new SoloError("config_invalid", "The vault's master key is missing.", {
      hint: "Put the key file back, or give the key by environment or credential.",
    });
  }
  const key = random(KEY_BYTES);
  await saveMasterKey(file, key);
  return { kind: "key", key, from: "file" };
}

/** Replaces the file as a whole; resolves when it is on the disk. */
export async function saveMasterKey(file: string, key: Uint8Array): Promise<void> {
  const next = `${file}.next`;
  const handle = await open(next, "w", 0o600);
  try {
    await handle.chmod(0o600); // the file may be left from a save that was cut short
    await handle.writeFile(`${Buffer.from(key).toString("base64url")}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(next, file);
  const directory = await open(dirname(file), "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function decodeKey(text: string, source: string): Buffer {
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
