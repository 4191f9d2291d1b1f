/**
 * The prelude's segments as scripts: the guest sources and the packages they stand on.
 *
 * 1. Each is an expression, a function of the host, in pure ASCII: V8 then keeps one
 *    byte a character, and an isolate keeps the whole text of what it compiled.
 * 2. Free names of the platform in packages become members of the prelude's own
 *    `platform` object; see guest/platform.ts.
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { compactIdna } from "./idna-tables.ts";
import { SEGMENT_NAMES, type SegmentName } from "./segments.ts";

const HERE = dirname(fileURLToPath(import.meta.url));
const HOST = "__soloHost";
const PLATFORM = "__soloPlatform";
const SEGMENTS = "__soloSegments";
const EXPORTS = "__soloExports";

const require = createRequire(import.meta.url);

/** Names of the platform that packages use freely. */
const PLATFORM_NAMES = [
  "AbortController",
  "AbortSignal",
  "Blob",
  "DOMException",
  "File",
  "FinalizationRegistry",
  "FormData",
  "ReadableStream",
  "Response",
  "SharedArrayBuffer",
  "TextDecoder",
  "TextEncoder",
  "TransformStream",
  "URL",
  "URLSearchParams",
  "WeakRef",
  "WritableStream",
  "console",
  "queueMicrotask",
];

const shim = (name: string): string => join(HERE, "shims", `${name}.ts`);

/** What replaces what; the first match wins. */
const REPLACEMENTS: readonly (readonly [RegExp, string])[] = [
  [/^node:(util|util\/types|stream|stream\/web|worker_threads|perf_hooks|crypto)$/, shim("node")],
  [/^node:assert$/, join(HERE, "shims", "assert.cts")],
  [/^node:zlib$/, shim("empty")],
  [/\/core\/util$/, shim("undici-core-util")],
  [/\/util\/runtime-features\.js$/, shim("undici-runtime-features")],
];

const replaceModules: Plugin = {
  name: "replace-modules",
  setup({ onResolve, onLoad, resolve }) {
    onResolve({ filter: /^node:|\/core\/util$|\/runtime-features\.js$/ }, ({ path, importer }) => {
      const found = REPLACEMENTS.find(([pattern]) => pattern.test(path));
      if (found === undefined)
        throw new Error(`The prelude has no replacement for ${path}, wanted by ${importer}`);
      return { path: found[1] };
    });
    // Legacy multi-byte decoders are 150 kB of tables in every isolate: left out.
    onResolve({ filter: /^@exodus\/bytes\/encoding\.js$/ }, ({ resolveDir, kind }) =>
      resolve("@exodus/bytes/encoding-lite.js", { resolveDir, kind }),
    );
    onResolve({ filter: /^tr46$/ }, () => ({ path: shim("tr46") }));
    onResolve({ filter: /^undici\/lib\// }, ({ path }) => ({ path: require.resolve(path) }));
    // It takes its primordials from globalThis by name, also those the guest no longer has.
    onLoad({ filter: /node-inspect-extracted[\\/]dist[\\/]inspect\.js$/ }, async ({ path }) => ({
      contents: `const globalThis = ${PLATFORM}.pristineGlobal;\n${await readFile(path, "utf8")}`,
      loader: "js",
    }));
    onLoad({ filter: /tr46[\\/]lib[\\/](mappingTable\.json|regexes\.js)$/ }, async ({ path }) => ({
      contents: await compactIdna(path),
      loader: "js",
    }));
  },
};

export interface Bundle {
  readonly name: SegmentName;
  readonly code: string;
  /** Bytes that each input contributes, by its path. */
  readonly inputs: Readonly<Record<string, number>>;
}

function wrap(name: SegmentName, script: string): string {
  const body = `${script.trim()}return ${EXPORTS}.default`;
  return name === "core"
    ? `(function(${HOST},${SEGMENTS}){"use strict";const ${PLATFORM}=Object.create(null);${body}})`
    : `(function(${HOST},${PLATFORM}){"use strict";${body}})`;
}

export async function bundleSegments(): Promise<Bundle[]> {
  const platformNames = PLATFORM_NAMES.flatMap((name) => [
    [name, `${PLATFORM}.${name}`],
    [`globalThis.${name}`, `${PLATFORM}.${name}`],
  ]);
  const { outputFiles, metafile } = await build({
    entryPoints: Object.fromEntries(
      SEGMENT_NAMES.map((name) => [name, join(HERE, "guest", `${name}.ts`)]),
    ),
    outdir: "/",
    bundle: true,
    write: false,
    metafile: true,
    format: "iife",
    globalName: EXPORTS,
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["import", "require"],
    target: "esnext",
    charset: "ascii",
    minify: true,
    legalComments: "none",
    logLevel: "silent",
    define: Object.fromEntries([
      ...platformNames,
      ["Buffer", `${PLATFORM}.Buffer`],
      ["MessagePort", "undefined"],
      ["process.emitWarning", `${PLATFORM}.ignore`],
      ["window", `${PLATFORM}.window`],
      ["globalThis.Buffer", "undefined"],
      ["globalThis.HermesInternal", "undefined"],
      ["globalThis.Deno", "undefined"],
    ]),
    plugins: [replaceModules],
  });
  const outputs = Object.entries(metafile.outputs);
  return SEGMENT_NAMES.map((name) => {
    const file = outputFiles.find(({ path }) => basename(path, ".js") === name)!;
    const [, { inputs }] = outputs.find(([path]) => basename(path, ".js") === name)!;
    return {
      name,
      code: wrap(name, file.text),
      inputs: Object.fromEntries(
        Object.entries(inputs).map(([path, { bytesInOutput }]) => [path, bytesInOutput]),
      ),
    };
  });
}
