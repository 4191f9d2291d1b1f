/** Opening SQLite files the way Solo needs them, and its errors in Solo's words. */
import { accessSync, constants, mkdirSync } from "node:fs";
import { basename } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SoloError } from "#base/errors.ts";
import {
  BUSY_TIMEOUT_MS,
  CHECKPOINT_PAGES,
  MIN_SQLITE_VERSION,
  READER_CACHE_KIB,
  WRITER_CACHE_KIB,
} from "#storage/limits.ts";
import { makeRoom } from "#storage/wal-room.ts";

export interface OpenOptions {
  readonly path: string;
  /** `full`: a commit is on the disk when it returns. `relaxed`: it survives the process, not a power cut. */
  readonly durability: "full" | "relaxed";
  /** A quota: growing the file beyond it fails as a full disk does. */
  readonly maxBytes?: number | undefined;
}

const PAGE_BYTES = 4_096;

export function openForWriting(options: OpenOptions): DatabaseSync {
  const { path, durability, maxBytes } = options;
  return translated(path, () => {
    const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    try {
      db.exec(`
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = ${durability === "full" ? "FULL" : "NORMAL"};
        PRAGMA cache_size = -${WRITER_CACHE_KIB};
        PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
        SELECT 1 FROM sqlite_schema;
      `);
      // The query has opened the log. Where no commit waits for the disk, its length costs nothing.
      if (durability === "full") makeRoom(path);
      if (maxBytes !== undefined)
        db.exec(`PRAGMA max_page_count = ${Math.ceil(maxBytes / PAGE_BYTES)}`);
    } catch (error) {
      db.close();
      throw error;
    }
    return db;
  });
}

export function openForReading(path: string): DatabaseSync {
  return translated(path, () => {
    const db = new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
    db.exec(`PRAGMA cache_size = -${READER_CACHE_KIB}`);
    return db;
  });
}

/** Runs `work` as one transaction: all of it, or none and the error. */
export function transaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    db.exec("COMMIT");
    return result;
  } catch (error) {
    // SQLite has already rolled back after a full disk or an I/O error.
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

/** Creates the directory if need be, and refuses one that cannot be written to. */
export function prepareDirectory(directory: string): void {
  translated(directory, () => {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  });
}

export function checkSqliteVersion(version: string | undefined): void {
  const parts = (text: string) => text.split(".").map(Number);
  const have = parts(version ?? "0");
  for (const [i, wanted] of parts(MIN_SQLITE_VERSION).entries()) {
    const part = have[i] ?? 0;
    if (part > wanted) return;
    if (part < wanted) {
      throw new SoloError(
        "unavailable",
        `This Node brings SQLite ${version}; Solo needs ${MIN_SQLITE_VERSION} or newer.`,
        {
          hint: "Run Solo with the Node that npm install put into node_modules/.bin.",
        },
      );
    }
  }
}

/** `work`, with whatever it throws about `file` as a SoloError. */
export function translated<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw storageError(error, file);
  }
}

const SQLITE = {
  ERROR: 1,
  BUSY: 5,
  READONLY: 8,
  FULL: 13,
  CORRUPT: 11,
  CANTOPEN: 14,
  NOTADB: 26,
  IOERR_SHMSIZE: 4874,
};
const NOT_WRITABLE = new Set(["EACCES", "EPERM", "EROFS", "ENOTDIR", "EEXIST"]);

export function storageError(error: unknown, file: string): SoloError {
  if (error instanceof SoloError) return error;
  const { code, errcode = 0 } = error as { code?: string; errcode?: number };
  const primary = errcode & 0xff;
  const cause = { cause: error };
  if (code === "ENOSPC" || primary === SQLITE.FULL || errcode === SQLITE.IOERR_SHMSIZE) {
    return new SoloError("storage_full", `There is no room to write ${file}.`, {
      hint: "Free disk space or raise the quota; nothing acknowledged was lost, and writing goes on by itself.",
      retryAfterMs: 1_000,
      ...cause,
    });
  }
  // Solo's own statements are right, so an error in one means that the tables are not Solo's.
  if (primary === SQLITE.CORRUPT || primary === SQLITE.NOTADB || primary === SQLITE.ERROR) {
    return new SoloError("storage_corrupt", `${file} is damaged: ${(error as Error).message}.`, {
      hint: `Stop Solo, keep a copy of the data directory, and restore ${basename(file)} from a backup.`,
      ...cause,
    });
  }
  if (primary === SQLITE.READONLY || primary === SQLITE.CANTOPEN || NOT_WRITABLE.has(code ?? "")) {
    return new SoloError(
      "storage_read_only",
      `${file} cannot be written: ${(error as Error).message}.`,
      {
        hint: "Give Solo a data directory that its user may write to (--data-dir).",
        ...cause,
      },
    );
  }
  if (primary === SQLITE.BUSY) {
    return new SoloError("storage_locked", `${file} is in use by another process.`, {
      hint: "Stop the other process; two kernels cannot share a data directory.",
      ...cause,
    });
  }
  return new SoloError(
    "internal",
    `Storage failed on ${file}: ${(error as Error).message}.`,
    cause,
  );
}
