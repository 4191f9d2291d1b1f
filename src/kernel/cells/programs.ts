/**
 * The programs that run in processes of their own, and every file that each may read.
 *
 * 1. A file that is not listed here does not exist for the program when walls stand.
 */
import { readdirSync } from "node:fs";
import { createRequire, findPackageJSON } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundle } from "#kernel/cells/bundle.ts";

export type ProgramName = "cell" | "compiler";

export interface Program {
  /** Its own code, in one file. */
  readonly module: string;
  readonly nodeFlags: readonly string[];
  /** Come before the launch's own arguments. */
  readonly args: readonly string[];
  /** Every file and directory that it may read. */
  readonly files: readonly string[];
  /** Native addons among them, whose shared libraries it needs as well. */
  readonly addons: readonly string[];
}

export type Programs = Readonly<Record<ProgramName, Program>>;

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const NO_WARNINGS = "--disable-warning=ExperimentalWarning";
/** Packages that find their own native parts, and so stay outside the bundle. */
const NATIVE = ["oxc-parser", "oxc-transform"];

/** The programs, ready to be launched. `cacheDir` is trusted: what is in it is run. */
export async function preparePrograms({ cacheDir }: { cacheDir: string }): Promise<Programs> {
  const packages = dirname(dirname(findPackageJSON("isolated-vm", import.meta.url)!));
  const inPackages = (name: string) => join(packages, name);
  const bundled = (name: ProgramName, format: "cjs" | "esm") =>
    bundle({
      format,
      entry: join(ROOT, "src", name, "main.ts"),
      sources: ["base", "sdk", "wire", name].map((each) => join(ROOT, "src", each)),
      lock: join(ROOT, "package-lock.json"),
      external: NATIVE,
      cacheDir,
      name,
    });
  const [cell, compiler] = await Promise.all([bundled("cell", "cjs"), bundled("compiler", "esm")]);
  const isolates = addonOf(inPackages("isolated-vm"));
  const oxc = ["@oxc-parser", "@oxc-transform"].map(inPackages);
  return {
    cell: {
      module: cell,
      // WebAssembly memories are not held by an isolate's limit; 4096 pages are 256 MiB.
      nodeFlags: ["--wasm-max-mem-pages=4096", NO_WARNINGS],
      args: [isolates],
      files: [cell, isolates],
      addons: [isolates],
    },
    compiler: {
      module: compiler,
      nodeFlags: ["--max-old-space-size=512", NO_WARNINGS],
      args: [],
      files: [compiler, ...oxc, ...NATIVE.map(inPackages)],
      addons: oxc.flatMap(addonsBelow),
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
