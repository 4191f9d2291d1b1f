/**
 * Retention: whole sealed event files leave the log, compressed, oldest first.
 *
 * 1. A file is removed only after its archive is on the disk and the state database knows
 *    where the log now begins; a crash at any point leaves the file, its archive, or both.
 * 2. Ids and chain go on: the next file's description holds the hash that it continues.
 */
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { listEventFiles } from "#storage/event-dir.ts";
import type { PruneResult } from "#storage/protocol.ts";
import { openForWriting, storageError } from "#storage/sqlite.ts";

export interface PruneOptions {
  readonly eventsDir: string;
  /** Events from here on stay. */
  readonly beforeId: number;
  /** Records the first event that is left, durably. */
  readonly onArchived: (firstId: number) => void;
}

export async function pruneEvents(options: PruneOptions): Promise<PruneResult> {
  const { eventsDir, beforeId, onArchived } = options;
  const archiveDir = join(eventsDir, "archive");
  const archived: string[] = [];
  const files = listEventFiles(eventsDir);
  let firstId = files[0]?.firstId ?? 1;
  for (const [i, file] of files.entries()) {
    const next = files[i + 1];
    if (next === undefined || next.firstId > beforeId || !settled(file.path)) break;
    mkdirSync(archiveDir, { recursive: true });
    const archive = join(archiveDir, `${basename(file.path)}.gz`);
    await compress(file.path, archive);
    onArchived(next.firstId);
    for (const suffix of ["", "-wal", "-shm"]) rmSync(file.path + suffix, { force: true });
    archived.push(archive);
    ({ firstId } = next);
  }
  return { firstId, archived };
}

/** Whether everything is in the file itself: a reader may have kept its write-ahead log alive. */
function settled(path: string): boolean {
  const isEmpty = () => !existsSync(`${path}-wal`) || statSync(`${path}-wal`).size === 0;
  if (isEmpty()) return true;
  openForWriting({ path, durability: "full" }).close();
  return isEmpty();
}

async function compress(from: string, to: string): Promise<void> {
  const part = `${to}.part`;
  try {
    await pipeline(createReadStream(from), createGzip(), createWriteStream(part, { flush: true }));
    renameSync(part, to);
    await syncDirectory(join(to, ".."));
  } catch (error) {
    rmSync(part, { force: true });
    throw storageError(error, to);
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
