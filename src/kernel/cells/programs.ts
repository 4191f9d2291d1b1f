/**
 * The programs that run in processes of their own, and every file that each may read.
 *
 * 1. A file that is not listed here does not exist for the program when walls stand.
 */
import { readdirSync } from "node:fs";
import { createRequire, findPackageJSON } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export type ProgramName = "cell" | "compiler";

export interface Program {
  readonly module: string;
  readonly nodeFlags: readonly string[];
  /** Directories of its own code, absolute. */
  readonly sources: readonly string[];
  /** Those, and every other file and directory that it may read. */
  readonly files: readonly string[];
  /** Native addons among them, whose shared libraries it needs as well. */
  readonly addons: readonly string[];
}

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const source = (name: string): string => join(ROOT, "src", name);
const MANIFEST = join(ROOT, "package.json");
const NO_WARNINGS = "--disable-warning=ExperimentalWarning";

export function findPrograms(): Readonly<Record<ProgramName, Program>> {
  const packages = dirname(dirname(findPackageJSON("isolated-vm", import.meta.url)!));
  const inPackages = (name: string) => join(packages, name);
  const shared = ["base", "sdk", "wire"].map(source);
  const cell = [...shared, source("cell")];
  const compiler = [...shared, source("compiler")];
  const oxc = ["@jridgewell", "@oxc-parser", "@oxc-transform", "oxc-parser", "oxc-transform"];
  return {
    cell: {
      module: source("cell/main.ts"),
      // WebAssembly memories are not held by an isolate's limit; 4096 pages are 256 MiB.
      nodeFlags: ["--wasm-max-mem-pages=4096", NO_WARNINGS],
      sources: cell,
      files: [...cell, MANIFEST, ...["isolated-vm", "node-gyp-build"].map(inPackages)],
      addons: [addonOf(inPackages("isolated-vm"))],
    },
    compiler: {
      module: source("compiler/main.ts"),
      nodeFlags: ["--max-old-space-size=512", NO_WARNINGS],
      sources: compiler,
      files: [...compiler, MANIFEST, ...oxc.map(inPackages)],
      addons: ["@oxc-parser", "@oxc-transform"].flatMap((scope) => addonsBelow(inPackages(scope))),
    },
  };
}

/** The build of a package for this Node and this machine, as the package itself finds it. */
function addonOf(directory: string): string {
  const gyp = createRequire(join(directory, "package.json"))("node-gyp-build") as {
    path(directory: string): string;
  };
  return gyp.path(directory);
}

const addonsBelow = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".node"))
    .map((name) => join(directory, name));
