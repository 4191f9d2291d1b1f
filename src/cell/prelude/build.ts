/**
 * The prelude ready to run: its segments' scripts, and V8's compiled form of each.
 *
 * 1. The cache is keyed by everything that goes in: sources, package versions, Node's
 *    version, and V8's own tag of its version, flags and CPU.
 * 2. A wrong or torn entry is built anew. Builders may race: each writes a temporary
 *    file of its own and renames it.
 */
import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, readdir, rename, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cachedDataVersionTag } from "node:v8";
import { SEGMENT_NAMES, type SegmentName } from "./segments.ts";

export interface PreludeSegment {
  readonly name: SegmentName;
  /** The script's name, which the compiled form does not depend on. */
  readonly filename: string;
  /** Pure ASCII; evaluates to a Segment, or for `core` to a CoreSegment (see host.ts). */
  readonly code: string;
  /** For the isolate's `compileScript`; V8 refuses it when its version or flags differ. */
  readonly cachedData: Buffer;
}

export type Prelude = Readonly<Record<SegmentName, PreludeSegment>>;

export interface PreludeOptions {
  /** Made when it does not exist. Trusted: V8 runs what it finds there. */
  readonly cacheDir: string;
}

/** The packages whose code is in the bundle, and the bundler. */
const PACKAGES = [
  "@exodus/bytes",
  "core-js",
  "esbuild",
  "event-target-shim",
  "node-inspect-extracted",
  "tr46",
  "undici",
  "web-streams-polyfill",
  "webidl-conversions",
  "whatwg-url",
];

const HERE = dirname(fileURLToPath(import.meta.url));
const SOURCE_DIRS = ["guest", "shims"];
const SOURCE_FILES = ["bundle.ts", "compile.ts", "idna-tables.ts", "segments.ts"];
const LENGTH_BYTES = 4;
const DIGEST_BYTES = 32;

const require = createRequire(import.meta.url);

const sha256 = (...parts: readonly (string | Uint8Array)[]): Buffer => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

async function readSources(): Promise<string[]> {
  const listed = await Promise.all(
    SOURCE_DIRS.map(async (dir) => (await readdir(join(HERE, dir))).map((name) => join(dir, name))),
  );
  const names = [...SOURCE_FILES, ...listed.flat()].sort();
  return Promise.all(
    names.map(async (name) => `${name}\0${await readFile(join(HERE, name), "utf8")}\0`),
  );
}

async function versionOf(name: string): Promise<string> {
  for (const root of require.resolve.paths(name) ?? []) {
    const text = await readFile(join(root, name, "package.json"), "utf8").catch(() => undefined);
    if (text !== undefined) return `${name}@${(JSON.parse(text) as { version: string }).version}\0`;
  }
  throw new Error(`The package ${name} is not installed`);
}

async function keyOf(): Promise<string> {
  const [sources, versions] = await Promise.all([
    readSources(),
    Promise.all(PACKAGES.map(versionOf)),
  ]);
  const engine = `${process.version}\0${process.arch}\0${cachedDataVersionTag()}`;
  return sha256(...sources, ...versions, engine).toString("hex");
}

const withLength = (bytes: Buffer): Buffer[] => {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(bytes.byteLength);
  return [length, bytes];
};

/** A digest of the rest, then code and compiled form of each segment, each after its length. */
function pack(prelude: Prelude): Buffer {
  const blocks = SEGMENT_NAMES.flatMap((name) => {
    const { code, cachedData } = prelude[name];
    return [...withLength(Buffer.from(code, "latin1")), ...withLength(cachedData)];
  });
  return Buffer.concat([sha256(...blocks), ...blocks]);
}

function unpack(file: Buffer): Prelude | undefined {
  const body = file.subarray(DIGEST_BYTES);
  if (!sha256(body).equals(file.subarray(0, DIGEST_BYTES))) return undefined;
  let at = 0;
  const next = (): Buffer => {
    const start = at + LENGTH_BYTES;
    at = start + body.readUInt32LE(at);
    return body.subarray(start, at);
  };
  return assemble(
    SEGMENT_NAMES.map((name) => ({ name, code: next().toString("latin1"), cachedData: next() })),
  );
}

const assemble = (segments: readonly Omit<PreludeSegment, "filename">[]): Prelude =>
  Object.fromEntries(
    segments.map((segment) => [segment.name, { ...segment, filename: `solo:${segment.name}` }]),
  ) as Record<SegmentName, PreludeSegment>;

/** Loaded only here: the bundler has no place in a process that finds the cache warm. */
async function build(): Promise<Prelude> {
  const [{ bundleSegments }, { compileAfterRun }] = await Promise.all([
    import("./bundle.ts"),
    import("./compile.ts"),
  ]);
  const bundles = await bundleSegments();
  const compiled = compileAfterRun(bundles);
  return assemble(bundles.map(({ name, code }, at) => ({ name, code, cachedData: compiled[at]! })));
}

export async function loadPrelude({ cacheDir }: PreludeOptions): Promise<Prelude> {
  const path = join(cacheDir, `prelude-${await keyOf()}.bin`);
  const file = await readFile(path).catch(() => undefined);
  const cached = file === undefined ? undefined : unpack(file);
  if (cached !== undefined) return cached;
  const prelude = await build();
  await mkdir(cacheDir, { recursive: true });
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, pack(prelude));
  await rename(temporary, path);
  return prelude;
}
