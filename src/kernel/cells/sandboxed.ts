/**
 * Launches behind the walls that a probe found (docs/sandbox.md).
 *
 * 1. A process is launched for no tenant: each gets a uid of its own, so that a spare cell
 *    is as far from every other cell as one that was made for its tenant.
 */
import type { Logger } from "#base/log.ts";
import {
  readLines,
  socketOf,
  type CellExit,
  type CellProcess,
  type LaunchOptions,
} from "#kernel/cells/launcher.ts";
import type { Programs } from "#kernel/cells/programs.ts";
import { launchSandboxed, type SandboxExit } from "#sandbox/launch.ts";
import { residentBytes } from "#sandbox/resident.ts";
import type { HostWalls } from "#sandbox/walls.ts";

export interface SandboxedOptions {
  readonly walls: Promise<HostWalls>;
  readonly node: string;
  readonly programs: Programs;
  /** Read by cells besides their own files. */
  readonly files: readonly string[];
  readonly log: Logger;
}

export function launchBehindWalls(
  options: SandboxedOptions,
): (launch: LaunchOptions) => Promise<CellProcess> {
  return async ({ program, args, memoryBytes, onStderr }) => {
    const { module, nodeFlags, args: own, files } = options.programs[program];
    const walls = await options.walls;
    const running = await launchSandboxed({
      walls,
      command: options.node,
      args: [...nodeFlags, module, ...own, ...args],
      env: {},
      fds: ["ignore", "ignore", "pipe", "pipe"],
      tenant: null,
      readOnly: [...files, ...options.files],
      memoryBytes,
      log: options.log,
    });
    const { child, pid, cgroup, exited, cleared } = running;
    readLines(child, onStderr);
    let innerPid: number | undefined;
    return {
      pid,
      socket: socketOf(child),
      exited: exited.then(asCellExit),
      cleared,
      holdsMemoryLimit: walls.cgroup?.places.memory !== undefined,
      memoryBytes: () => {
        innerPid ??= running.innerPid();
        return innerPid === undefined ? undefined : residentBytes(innerPid);
      },
      limitMemory: async (bytes) => cgroup?.setLimits({ memoryBytes: bytes }),
      kill: () => running.kill(),
    };
  };
}

const asCellExit = ({ code, signal, outOfMemory }: SandboxExit): CellExit => ({
  how: signal ?? `exit code ${code}`,
  outOfMemory,
});
