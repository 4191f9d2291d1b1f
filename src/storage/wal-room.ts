/**
 * Room for a write-ahead log, on disk before it is needed. A commit that makes its file longer
 * waits until the file system has written down where the new part is; one that writes over what
 * is there does not, which takes a fifth of the time.
 *
 * 1. Only what lies beyond the end of the file is written, by the thread that appends to it: no
 *    frame is ever touched.
 * 2. Zeros are no frame. SQLite ends the log at the first frame that is not of it, as it does
 *    after every checkpoint, when it begins to write over the old ones.
 * 3. It is taken only where there is plenty.
 */
import { closeSync, fdatasync, fstatSync, openSync, statfsSync, writeSync } from "node:fs";
import { PLENTY_OF_ROOM_BYTES, WAL_ROOM_BYTES } from "#storage/limits.ts";

const ZEROS = Buffer.alloc(4096);
/** A quota may be used up where the disk is not: the log grows as it needs to, then. */
const FULL: ReadonlySet<string | undefined> = new Set(["ENOSPC", "EDQUOT"]);

/** `path`: of a database that has been opened for writing and used. */
export function makeRoom(path: string): void {
  const { bavail, bsize } = statfsSync(path);
  if (bavail * bsize < PLENTY_OF_ROOM_BYTES) return;
  const file = openSync(`${path}-wal`, "r+");
  // Page by page: of one long write the system keeps pages of megabytes, and takes each commit for
  // a change of a whole one.
  try {
    for (let at = fstatSync(file).size; at < WAL_ROOM_BYTES;) {
      at += writeSync(file, ZEROS, 0, ZEROS.length, at);
    }
  } catch (error) {
    if (!FULL.has((error as NodeJS.ErrnoException).code)) throw error;
  }
  // On its way to disk while the kernel starts, so that the first commit need not wait for it.
  fdatasync(file, () => closeSync(file));
}
