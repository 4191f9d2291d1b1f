/**
 * A program's own code as one file of JavaScript: stripping types and finding eighty modules
 * would be half of a cell's start.
 *
 * 1. The file's name says what went into it: sources that change make another file.
 * 2. A torn file is never seen, because it is written aside and renamed.
 */
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";

export interface BundleOptions {
  readonly name: string;
  readonly entry: string;
  /** Directories of the code that the entry can load. */
  readonly sources: readonly string[];
  /** Changes with the packages that the code loads. */
  readonly lock: string;
  /** CommonJS starts some 8 ms sooner, and knows no top-level await. */
  readonly format: "cjs" | "esm";
  /** Packages that are loaded from where they are. */
  readonly external: readonly string[];
  /** Made when it is not there. */
  readonly cacheDir: string;
}

/** The path of the bundle, made if it is not there. */
export async function bundle(options: BundleOptions): Promise<string> {
  const { name, entry, format, external, cacheDir } = options;
  const extension = format === "cjs" ? "cjs" : "mjs";
  const path = join(cacheDir, `${name}-${await stampOf(options)}.${extension}`);
  if (existsSync(path)) return path;
  // Loaded only here: a kernel that finds its bundles has no use for a bundler.
  const { build } = await import("esbuild");
  await mkdir(cacheDir, { recursive: true });
  const temporary = `${path}.${randomUUID()}`;
  await build({
    entryPoints: [entry],
    outfile: temporary,
    bundle: true,
    format,
    platform: "node",
    target: "esnext",
    external: [...external],
    legalComments: "none",
    logLevel: "silent",
  });
  await rename(temporary, path);
  return path;
}

/** Changes with every file below the sources. */
async function stampOf({ sources, lock, external }: BundleOptions): Promise<string> {
  const directories = await Promise.all(
    sources.map(async (directory) =>
      (await readdir(directory, { recursive: true })).map((name) => join(directory, name)),
    ),
  );
  const files = [lock, ...directories.flat().toSorted()];
  const facts = await Promise.all(
    files.map(async (file) => {
      const { size, mtimeMs } = await stat(file);
      return `${file} ${size} ${mtimeMs}`;
    }),
  );
  const hash = createHash("sha256").update([process.version, ...external, ...facts].join("\0"));
  return hash.digest("hex").slice(0, 32);
}
