/**
 * What is to be deployed, read from a file, a directory or standard input.
 *
 * 1. A directory is read without following symbolic links, so nothing outside it is sent.
 * 2. Reading stops at MAX_SOURCE_FILES and MAX_SOURCE_BYTES: a wrong path costs nothing.
 */
import { readFile, readdir, stat } from "node:fs/promises";
import { basename, dirname, extname, join, relative, sep } from "node:path";
import type { RawInputOf } from "#api/catalogue.ts";
import { isName } from "#base/ids.ts";
import { UsageError } from "#cli/usage-error.ts";

const MAX_SOURCE_FILES = 2_000;
const MAX_SOURCE_BYTES = 32 * 1024 * 1024;
const MAX_DEPTH = 32;

type Format = NonNullable<RawInputOf<"Deploy">["format"]>;

const FORMAT_OF: Readonly<Record<string, Format>> = {
  ".ts": "typescript_source",
  ".mts": "typescript_source",
  ".js": "javascript_source",
  ".mjs": "javascript_source",
};
const ENTRIES = ["index", "main"].flatMap((name) =>
  Object.keys(FORMAT_OF).map((extension) => name + extension),
);
/** Found beside sources, never part of them. */
const TOOLING = /^(package-lock|tsconfig.*)\.json$|\.d\.m?ts$/;

export interface Source {
  readonly code?: string;
  readonly files?: Record<string, string>;
  readonly entry?: string;
  readonly format?: Format;
  /** What the service would be called by its file's or directory's name. */
  readonly id?: string;
  /** For people: "counter.ts, 812 bytes". */
  readonly what: string;
}

class Budget {
  #files = 0;
  #bytes = 0;

  spend(bytes: number): void {
    this.#files += 1;
    this.#bytes += bytes;
    if (this.#files <= MAX_SOURCE_FILES && this.#bytes <= MAX_SOURCE_BYTES) return;
    throw new UsageError(
      `The source is larger than ${MAX_SOURCE_FILES} files or ${MAX_SOURCE_BYTES} bytes.`,
      "Name the directory of the service itself, or bundle it into one file.",
    );
  }

  get text(): string {
    return this.#files === 1
      ? `${this.#bytes} bytes`
      : `${this.#files} files, ${this.#bytes} bytes`;
  }
}

function decode(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new UsageError(`${name} is not UTF-8 text.`);
  }
}

async function readText(path: string, name: string, budget: Budget): Promise<string> {
  budget.spend((await stat(path)).size);
  return decode(await readFile(path), name);
}

async function filePaths(directory: string, depth: number): Promise<string[]> {
  if (depth > MAX_DEPTH) throw new UsageError(`Directories are nested deeper than ${MAX_DEPTH}.`);
  const entries = await readdir(directory, { withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
    const path = join(directory, entry.name);
    if (entry.isDirectory()) found.push(...(await filePaths(path, depth + 1)));
    else if (entry.isFile() && isSource(entry.name)) found.push(path);
    if (found.length > MAX_SOURCE_FILES) new Budget().spend(Infinity);
  }
  return found;
}

const isSource = (name: string): boolean =>
  (extname(name) in FORMAT_OF || extname(name) === ".json") && !TOOLING.test(name);

function entryOf(paths: readonly string[]): string {
  const code = paths.filter((path) => extname(path) in FORMAT_OF);
  const entry =
    ENTRIES.find((name) => code.includes(name)) ?? (code.length === 1 ? code[0] : undefined);
  if (entry !== undefined) return entry;
  throw new UsageError(
    code.length === 0
      ? "The directory holds no .ts, .mts, .js or .mjs file."
      : "Which file is loaded first cannot be told.",
    code.length === 0 ? undefined : "Name it with --entry, or call it index.ts.",
  );
}

const asId = (name: string): Pick<Source, "id"> => (isName(name) ? { id: name } : {});

async function fromDirectory(directory: string, named: string | undefined): Promise<Source> {
  const budget = new Budget();
  const files: Record<string, string> = {};
  for (const path of await filePaths(directory, 0)) {
    const name = relative(directory, path).split(sep).join("/");
    files[name] = await readText(path, name, budget);
  }
  const paths = Object.keys(files);
  const entry = named ?? entryOf(paths);
  if (!paths.includes(entry)) throw new UsageError(`The entry ${entry} is not in the directory.`);
  const typed = paths.some((path) => FORMAT_OF[extname(path)] === "typescript_source");
  return {
    files,
    entry,
    format: typed ? "typescript_source" : "javascript_source",
    what: `${basename(directory)}/, ${budget.text}`,
    ...asId(basename(directory)),
  };
}

async function fromFile(path: string): Promise<Source> {
  const name = basename(path);
  const format = FORMAT_OF[extname(name)];
  if (format === undefined) {
    throw new UsageError(
      `${name} is not a source file.`,
      "Solo runs .ts, .mts, .js and .mjs; use - to read any text from standard input.",
    );
  }
  const budget = new Budget();
  const code = await readText(path, name, budget);
  const stem = name.slice(0, -extname(name).length);
  const id = ENTRIES.includes(name) ? basename(dirname(path)) : stem;
  return { code, format, what: `${name}, ${budget.text}`, ...asId(id) };
}

async function fromStream(stdin: AsyncIterable<Uint8Array | string>): Promise<Source> {
  const budget = new Budget();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    const data = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    bytes += data.byteLength;
    chunks.push(data);
    if (bytes > MAX_SOURCE_BYTES) break;
  }
  budget.spend(bytes);
  const code = decode(Buffer.concat(chunks), "Standard input");
  return { code, what: `standard input, ${budget.text}` };
}

export interface ReadSourceOptions {
  /** An absolute path, or "-" for standard input. */
  readonly path: string;
  readonly entry: string | undefined;
  readonly stdin: AsyncIterable<Uint8Array | string>;
}

export async function readSource({ path, entry, stdin }: ReadSourceOptions): Promise<Source> {
  if (path === "-") return fromStream(stdin);
  try {
    const found = await stat(path);
    if (found.isDirectory()) return await fromDirectory(path, entry);
    if (found.isFile()) return await fromFile(path);
  } catch (thrown) {
    if (thrown instanceof UsageError) throw thrown;
    const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "unknown";
    throw new UsageError(
      code === "ENOENT" ? `${path} is not there.` : `${path} cannot be read (${code}).`,
    );
  }
  throw new UsageError(`${path} is neither a file nor a directory.`);
}
