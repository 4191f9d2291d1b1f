/**
 * The certificates folder of a data directory, and how its files are written.
 *
 * 1. A file is there whole or not at all, and on disk before anybody is told.
 * 2. Private keys are readable by their owner only.
 */
import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SoloError } from "#base/errors.ts";

const CERTS_DIR = "certs";
export const SERVER_NAME = "server";
export const OPERATOR_NAME = "operator";

const OWNER_ONLY = 0o600;
const OWNER_DIR = 0o700;

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export interface CertsFolder {
  readonly dir: string;
  readonly ca: Pair;
  readonly server: Pair;
  readonly crl: string;
  /** One JSON record for each certificate ever issued, by serial number. */
  readonly issued: string;
  /** One JSON record for each revocation; the list is made from them. */
  readonly revoked: string;
  client(name: string, dir?: string): Pair;
}

const pair = (dir: string, name: string): Pair => ({
  cert: join(dir, `${name}.pem`),
  key: join(dir, `${name}.key`),
});

export function certsFolder(dataDir: string): CertsFolder {
  const dir = join(dataDir, CERTS_DIR);
  return {
    dir,
    ca: pair(dir, "ca"),
    server: pair(dir, SERVER_NAME),
    crl: join(dir, "crl.pem"),
    issued: join(dir, "issued"),
    revoked: join(dir, "revoked"),
    client: (name, at = join(dir, "clients")) => pair(at, name),
  };
}

/** Writes `text` in one step, on disk when it resolves. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const dir = dirname(path);
  const temporary = `${path}.${randomUUID()}`;
  try {
    await mkdir(dir, { recursive: true, mode: OWNER_DIR });
    const file = await open(temporary, "w", OWNER_ONLY);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncDir(dir);
  } catch (cause) {
    await rm(temporary, { force: true });
    const { code = "unknown" } = cause as NodeJS.ErrnoException;
    throw new SoloError("storage_read_only", `${path} cannot be written (${code}).`, {
      hint: "Make the folder writable, or name another.",
      cause,
    });
  }
}

async function syncDir(dir: string): Promise<void> {
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const whenThere = async <T>(reading: Promise<T>, otherwise: T): Promise<T> => {
  try {
    return await reading;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return otherwise;
    throw error;
  }
};

export const readIfThere = (path: string): Promise<string | undefined> =>
  whenThere<string | undefined>(readFile(path, "utf8"), undefined);

/** Every JSON record of a folder; none when there is no such folder. */
export async function readRecords<T>(dir: string): Promise<T[]> {
  const names = await whenThere(readdir(dir), []);
  const records = names.filter((name) => name.endsWith(".json")).toSorted();
  return Promise.all(
    records.map(async (name) => JSON.parse(await readFile(join(dir, name), "utf8")) as T),
  );
}
