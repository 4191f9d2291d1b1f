/**
 * One kernel per data directory.
 *
 * 1. The lock is an open write transaction on lock.db: the operating system releases it
 *    when the process dies, however it dies.
 * 2. A write transaction lets others read, so a refused kernel can name the holder's pid.
 */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SoloError } from "#base/errors.ts";
import { storageError, translated } from "#storage/sqlite.ts";

export interface DirectoryLock {
  release(): void;
}

export function lockDirectory(options: { dataDir: string; pid: number }): DirectoryLock {
  const { dataDir, pid } = options;
  const path = join(dataDir, "lock.db");
  const db = translated(path, () => new DatabaseSync(path, { timeout: 0 }));
  try {
    // The file holds nothing that must survive, so it need not be synced.
    db.exec("PRAGMA synchronous = OFF; BEGIN IMMEDIATE");
    db.exec("CREATE TABLE IF NOT EXISTS holder (pid INTEGER); DELETE FROM holder");
    db.prepare("INSERT INTO holder VALUES (?)").run(pid);
    db.exec("COMMIT; BEGIN IMMEDIATE");
  } catch (error) {
    const refusal = storageError(error, path);
    const holder = refusal.code === "storage_locked" ? readHolder(db) : undefined;
    db.close();
    if (refusal.code !== "storage_locked") throw refusal;
    const by = holder === undefined ? "another kernel" : `another kernel (process ${holder})`;
    throw new SoloError("storage_locked", `${dataDir} is in use by ${by}.`, {
      hint: "Stop that kernel, or start this one with another --data-dir.",
    });
  }
  return { release: () => db.close() };
}

function readHolder(db: DatabaseSync): number | undefined {
  try {
    return db.prepare("SELECT pid FROM holder").get()?.["pid"] as number | undefined;
  } catch {
    // Another kernel is creating the file at this very moment: locked, by whom is not known yet.
    return undefined;
  }
}
