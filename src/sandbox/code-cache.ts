/**
 * Node's compile cache for cells. Stripping types and compiling cost a TypeScript cell
 * about 70 ms of its start; the kernel fills a cache once, from its own sources, and shows
 * it to cells read-only.
 *
 * 1. Only trusted code ever fills it: no cell can write.
 * 2. A stale or missing entry is a slow start, never a wrong one: Node checks a hash.
 * 3. It is filled again when a source has changed; entries of changed files are replaced,
 *    so it does not grow.
 *
 * Node keeps a directory per version and uid (`v26.10.0-x64-310b2ce3-1000`), so a cell
 * is shown the kernel's directory under the name that its own uid makes.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdir, readFile, readdir, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Duplex } from "node:stream";
import { within } from "#base/deadline.ts";

export interface CodeCache {
  /** The directory with the entries. */
  readonly path: string;
  /** Its name, up to and without the uid. */
  readonly tag: string;
}

export interface CodeCacheOptions {
  /** The kernel's own, for this program alone: Node's flags are part of what it keeps. */
  readonly directory: string;
  readonly node: string;
  /** A run that ends by itself when descriptor 3 does, and executes no guest's code. */
  readonly args: readonly string[];
  /** Directories of the code that the run loads. */
  readonly sources: readonly string[];
  readonly timeoutMs?: number;
}

const FILL_TIMEOUT_MS = 10_000;
/** Says from what the cache was filled. */
const STAMP = "filled-from";

/** The cache as it is, or null when it was never filled, or from other sources. */
export async function openCodeCache(options: CodeCacheOptions): Promise<CodeCache | null> {
  const { directory } = options;
  const [stamp, filled] = await Promise.all([
    stampOf(options),
    readFile(path.join(directory, STAMP), "utf8").catch(() => null),
  ]);
  return filled === stamp ? findCodeCache(directory) : null;
}

/** Runs the program once outside the walls, then lets every uid read what Node kept. */
export async function fillCodeCache(options: CodeCacheOptions): Promise<CodeCache | null> {
  const { directory } = options;
  // Before the run: what changes meanwhile must be seen as a change.
  const stamp = await stampOf(options);
  await mkdir(directory, { recursive: true });
  await runOnce(options);
  await writeFile(path.join(directory, STAMP), stamp);
  return findCodeCache(directory);
}

async function runOnce(options: CodeCacheOptions): Promise<void> {
  const { directory, node, args, timeoutMs = FILL_TIMEOUT_MS } = options;
  const child = spawn(node, args, {
    env: { NODE_COMPILE_CACHE: directory },
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  const pipe = child.stdio[3] as Duplex;
  // The run is over when the process ends, however it leaves its pipe.
  pipe.on("error", () => {});
  pipe.resume().end();
  try {
    await within(once(child, "exit"), { ms: timeoutMs, what: "the code cache to be filled" });
  } finally {
    child.kill("SIGKILL");
  }
}

/** Changes with every file below the sources. */
async function stampOf({ sources }: CodeCacheOptions): Promise<string> {
  const files = await Promise.all(
    sources.map(async (directory) => {
      const names = await readdir(directory, { recursive: true });
      return Promise.all(
        names.map(async (name) => {
          const { size, mtimeMs } = await stat(path.join(directory, name));
          return `${path.join(directory, name)} ${size} ${mtimeMs}`;
        }),
      );
    }),
  );
  const hash = createHash("sha256").update(process.version);
  for (const file of files.flat().toSorted()) hash.update(`\0${file}`);
  return hash.digest("hex");
}

/** The cache of this Node and uid in `directory`, readable by every uid, or null. */
async function findCodeCache(directory: string): Promise<CodeCache | null> {
  const uid = process.geteuid?.() ?? 0;
  const prefix = `${process.version}-${process.arch}-`;
  const name = (await readdir(directory).catch(() => [])).find(
    (each) => each.startsWith(prefix) && each.endsWith(`-${uid}`),
  );
  if (name === undefined) return null;
  const found = path.join(directory, name);
  await chmod(found, 0o755);
  await Promise.all((await readdir(found)).map((entry) => chmod(path.join(found, entry), 0o644)));
  return { path: found, tag: name.slice(0, -`-${uid}`.length) };
}
