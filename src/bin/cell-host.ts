/**
 * How this kernel starts its cells: behind the walls that the machine can build, unless the
 * configuration says otherwise, and from a guest image and a code cache made beforehand.
 *
 * 1. The probe of the walls runs while the rest of the kernel starts; the first cell waits
 *    for it, nothing else does, unless walls are required.
 * 2. Walls that are missing are said in the log, each time.
 */
import { realpath } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { prepareImage } from "#cell/image.ts";
import type { Config } from "#config/schema.ts";
import { launchPlain, type Launcher } from "#kernel/cells/launcher.ts";
import { findPrograms, type ProgramName } from "#kernel/cells/programs.ts";
import { launchBehindWalls } from "#kernel/cells/sandboxed.ts";
import { fillCodeCache, openCodeCache, type CodeCache } from "#sandbox/code-cache.ts";
import { doctorReport } from "#sandbox/doctor.ts";
import { probeHost } from "#sandbox/probe.ts";
import type { HostWalls } from "#sandbox/walls.ts";

export interface CellHost {
  readonly launch: Launcher;
  /** The file from which every guest starts. */
  readonly image: string;
}

export interface CellHostOptions {
  readonly mode: Config["security"]["sandbox"];
  readonly node: string;
  readonly log: Logger;
  /** Finds out which walls this machine can build. */
  readonly probe?: (node: string) => Promise<HostWalls>;
}

const CACHE_DIR = fileURLToPath(new URL("../../node_modules/.cache/solo", import.meta.url));
/** Filling the code cache takes both cores a moment: not while the kernel starts. */
const FILL_AFTER_MS = 500;

export async function openCellHost(options: CellHostOptions): Promise<CellHost> {
  const { mode, log, probe = probeCells } = options;
  const node = await realpath(options.node);
  if (mode === "off") {
    log.warn("no walls around services: security.sandbox is off");
    return { launch: launchPlain(node), image: await prepareImage({ cacheDir: CACHE_DIR }) };
  }
  const walls = probe(node);
  void walls.then(
    (found) => tell(found, log),
    () => {},
  );
  const image = await prepareImage({ cacheDir: CACHE_DIR });
  if (mode === "require") requireWalls(await walls);
  const codeCache = await openCodeCaches({ node, image, log });
  return { launch: launchBehindWalls({ walls, node, files: [image], codeCache, log }), image };
}

/** The walls that this machine can put around cells and the compiler. */
export function probeCells(node: string): Promise<HostWalls> {
  const { cell, compiler } = findPrograms();
  return probeHost({
    node,
    readOnly: [...cell.files, ...compiler.files],
    addons: [...cell.addons, ...compiler.addons],
  });
}

function tell(found: HostWalls, log: Logger): void {
  const { tier, ok, walls } = doctorReport(found);
  const missing = walls
    .filter(({ active }) => !active)
    .map(({ name }) => name)
    .join(" ");
  const fields = { tier, missing };
  if (ok) log.info("walls stand around services", fields);
  else log.warn("services run without walls that they need: see `solo doctor`", fields);
}

function requireWalls({ tier, strategy }: HostWalls): void {
  if (strategy.room?.seccomp) return;
  throw new SoloError(
    "unavailable",
    `The walls that security.sandbox requires do not stand here (${tier}).`,
    {
      hint: '`solo doctor` says what is missing and how to get it; security.sandbox = "auto" starts without.',
    },
  );
}

interface CodeCachesOptions {
  readonly node: string;
  readonly image: string;
  readonly log: Logger;
}

/** The compiled code of cells: what is there, and later what this kernel adds to it. */
async function openCodeCaches({
  node,
  image,
  log,
}: CodeCachesOptions): Promise<(program: ProgramName) => CodeCache | null> {
  const caches = new Map<ProgramName, CodeCache>();
  const programs = findPrograms();
  const runArgs = { cell: [image, "0", "0"], compiler: [] };
  const open = async (name: ProgramName) => {
    const { module, nodeFlags, sources } = programs[name];
    const options = {
      directory: join(CACHE_DIR, "code", name),
      node,
      args: [...nodeFlags, module, ...runArgs[name]],
      sources,
    };
    const keep = async (found: Promise<CodeCache | null>) => {
      const cache = await found.catch((error: unknown) => {
        log.debug("no code cache", { program: name, error: String(error) });
        return null;
      });
      if (cache !== null) caches.set(name, cache);
    };
    await keep(openCodeCache(options));
    if (!caches.has(name))
      setTimeout(() => void keep(fillCodeCache(options)), FILL_AFTER_MS).unref();
  };
  await Promise.all([open("cell"), open("compiler")]);
  return (program) => caches.get(program) ?? null;
}
