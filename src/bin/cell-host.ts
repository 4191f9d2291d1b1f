/**
 * How this kernel starts its cells: behind the walls that the machine can build, unless the
 * configuration says otherwise, and from bundles and a guest image made beforehand.
 *
 * 1. The probe of the walls runs while the rest of the kernel starts; the first cell waits
 *    for it, nothing else does, unless walls are required.
 * 2. Walls that are missing are said in the log, each time.
 */
import { realpath } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { SoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { prepareImage } from "#cell/image.ts";
import type { Config } from "#config/schema.ts";
import { launchPlain, type Launcher } from "#kernel/cells/launcher.ts";
import { preparePrograms, type Programs } from "#kernel/cells/programs.ts";
import { launchBehindWalls } from "#kernel/cells/sandboxed.ts";
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
  readonly probe?: (node: string, programs: Programs) => Promise<HostWalls>;
}

const CACHE_DIR = fileURLToPath(new URL("../../node_modules/.cache/solo", import.meta.url));

export async function openCellHost(options: CellHostOptions): Promise<CellHost> {
  const { mode, log, probe = probeCells } = options;
  const node = await realpath(options.node);
  const programs = await prepareCellPrograms();
  if (mode === "off") {
    log.warn("no walls around services: security.sandbox is off");
    const image = await prepareImage({ cacheDir: CACHE_DIR });
    return { launch: launchPlain({ node, programs }), image };
  }
  const walls = probe(node, programs);
  void walls.then(
    (found) => tell(found, log),
    () => {},
  );
  const image = await prepareImage({ cacheDir: CACHE_DIR });
  if (mode === "require") requireWalls(await walls);
  return { launch: launchBehindWalls({ walls, node, programs, files: [image], log }), image };
}

export const prepareCellPrograms = (): Promise<Programs> =>
  preparePrograms({ cacheDir: CACHE_DIR });

/** The walls that this machine can put around cells and the compiler. */
export function probeCells(node: string, { cell, compiler }: Programs): Promise<HostWalls> {
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
