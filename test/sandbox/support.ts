/** What the sandbox tests share: the project's paths, a probe, and a walled process. */
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { within } from "#base/deadline.ts";
import { tenantId } from "#base/ids.ts";
import { silentLogger } from "#base/log.ts";
import { launchSandboxed, type LaunchOptions, type SandboxedProcess } from "#sandbox/launch.ts";
import { probeHost, type ProbeOptions } from "#sandbox/probe.ts";
import type { HostWalls } from "#sandbox/walls.ts";

export const here = path.dirname(fileURLToPath(import.meta.url));
export const hostileFile = path.join(here, "hostile.ts");
/** For what never comes, not for what is slow. */
export const DEADLINE_MS = 60_000;

export const probeHere = (options: Partial<ProbeOptions> = {}): Promise<HostWalls> =>
  probeHost({ node: process.execPath, readOnly: [here], ...options });

/** Why a test of the room cannot run here, or null. */
export const whyNoRoom = (walls: HostWalls): string | null =>
  walls.strategy.room === null
    ? `no namespaces here: ${walls.walls.find(({ name }) => name === "files")?.whyNot}`
    : null;

export const launch = (
  walls: HostWalls,
  args: readonly string[],
  options: Partial<LaunchOptions> = {},
): Promise<SandboxedProcess> =>
  launchSandboxed({
    walls,
    command: process.execPath,
    args,
    env: {},
    fds: ["ignore", "ignore", "pipe", "pipe"],
    tenant: tenantId("acme"),
    readOnly: [here],
    log: silentLogger,
    ...options,
  });

export interface Told {
  /** What the process wrote on descriptor 3. */
  readonly told: string;
  readonly complained: string;
}

/** Both streams to their end, and the process with them. */
export async function hear(
  cell: SandboxedProcess,
): Promise<Told & Awaited<SandboxedProcess["exited"]>> {
  try {
    const [told, complained, exit] = await within(
      Promise.all([
        text(cell.child.stdio[3] as Readable),
        text(cell.child.stderr as Readable),
        cell.exited,
      ]),
      { ms: DEADLINE_MS, what: "the walled process to end" },
    );
    return { told, complained, ...exit };
  } finally {
    cell.kill();
  }
}

export async function temporaryDirectory(): Promise<{ readonly path: string } & AsyncDisposable> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "solo-sandbox-"));
  return {
    path: directory,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

/** A process of our own that an attack may aim at. */
export const DECOY = ["-e", "setInterval(() => {}, 1000)"];
