/**
 * No dump of the kernel's memory on disk when it crashes: secrets and the master key are in it.
 *
 * 1. The limit is one byte, which no dump fits into, and at which Linux starts no dump handler
 *    either (core(5)); processes that are started later inherit it.
 * 2. Where that cannot be done the log says so, with what the machine's owner can do.
 */
import { execFile } from "node:child_process";
import type { Logger } from "#base/log.ts";

const LIMIT_BYTES = 1;
const TIMEOUT_MS = 5_000;

/** Resolves when it is done or cannot be done. */
export function preventCoreDumps({ pid, log }: { pid: number; log: Logger }): Promise<void> {
  const args = [`--pid=${pid}`, `--core=${LIMIT_BYTES}:${LIMIT_BYTES}`];
  return new Promise((resolve) => {
    execFile("prlimit", args, { timeout: TIMEOUT_MS }, (error) => {
      if (error !== null) {
        log.warn("a crash of the kernel may leave its memory on disk, secrets included", {
          error: error.message.slice(0, 200),
          hint: "Install util-linux's prlimit, or start the kernel with `ulimit -c 0`.",
        });
      }
      resolve();
    });
  });
}
