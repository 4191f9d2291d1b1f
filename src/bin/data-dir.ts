/** The files of the data directory that are not the stores': the owner's token and the
 *  addresses of the running kernel. */
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SoloError } from "#base/errors.ts";
import { newToken } from "#kernel/authority.ts";

const OWNER_ONLY = 0o600;

export interface Addresses {
  readonly http: string;
  readonly grpc: string;
  readonly metrics: string | null;
}

/** Makes the directory; one that cannot be written is refused before anything starts. */
export function prepareDataDir(dataDir: string): void {
  writing(dataDir, () => {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const probe = join(dataDir, `.writable-${process.pid}`);
    writeFileSync(probe, "");
    rmSync(probe);
  });
}

/** The owner's token, made at the first start. */
export function ownerToken(dataDir: string): string {
  const path = join(dataDir, "owner-token");
  try {
    const token = readFileSync(path, "utf8").trim();
    if (token !== "") {
      chmodSync(path, OWNER_ONLY);
      return token;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const token = newToken();
  // Written whole or not at all: a torn token would lock the owner out.
  const temporary = `${path}.${process.pid}`;
  writing(dataDir, () => {
    writeFileSync(temporary, `${token}\n`, { mode: OWNER_ONLY });
    renameSync(temporary, path);
  });
  return token;
}

export function announce(dataDir: string, addresses: Addresses): void {
  const path = join(dataDir, "kernel.json");
  const text = JSON.stringify({
    pid: process.pid,
    ...addresses,
    started_at: new Date().toISOString(),
  });
  writing(dataDir, () => {
    writeFileSync(`${path}.${process.pid}`, `${text}\n`, { mode: OWNER_ONLY });
    renameSync(`${path}.${process.pid}`, path);
  });
}

export const withdraw = (dataDir: string): void =>
  rmSync(join(dataDir, "kernel.json"), { force: true });

function writing(dataDir: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOSPC" || code === "EDQUOT") {
      throw new SoloError("storage_full", `There is no room to write in ${dataDir}.`, {
        hint: "Free disk space, or choose another directory with --data-dir.",
      });
    }
    throw new SoloError(
      "storage_read_only",
      `The data directory ${dataDir} cannot be written: ${message}.`,
      {
        hint: "Choose another with --data-dir, or make this one writable.",
      },
    );
  }
}
