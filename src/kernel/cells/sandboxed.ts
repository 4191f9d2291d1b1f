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
import { cpuMsOf, mainThreadOf } from "#sandbox/cpu-time.ts";
import { residentBytes } from "#sandbox/resident.ts";
import { TenantGroups } from "#sandbox/tenant-groups.ts";
import type { HostWalls } from "#sandbox/walls.ts";

export interface SandboxedOptions {
  readonly walls: Promise<HostWalls>;
  readonly node: string;
  readonly programs: Programs;
  /** Read by cells besides their own files. */
  readonly files: readonly string[];
  readonly log: Logger;
}

/** Of a control group; 100 is normal. The kernel's own threads come first when there is not
 *  enough for all. */
const CPU_SHARE = 50;
/** The quota of CPU time is so much above the limit: what passes the limit is seen, told and
 *  acted on, and nobody goes far beyond it in the meantime. */
const QUOTA_SLACK = 1.1;

export function launchBehindWalls(
  options: SandboxedOptions,
): (launch: LaunchOptions) => Promise<CellProcess> {
  let groups: TenantGroups | undefined;
  return async ({ program, args, memoryBytes, onStderr }) => {
    const { module, nodeFlags, args: own, files } = options.programs[program];
    const walls = await options.walls;
    const { cgroup: host } = walls;
    if (host?.tenants) groups ??= new TenantGroups(host, process.pid);
    const running = await launchSandboxed({
      walls,
      command: options.node,
      args: [...nodeFlags, module, ...own, ...args],
      env: {},
      fds: ["ignore", "ignore", "pipe", "pipe"],
      tenant: null,
      readOnly: [...files, ...options.files],
      memoryBytes,
      cpuShare: CPU_SHARE,
      log: options.log,
    });
    const { child, pid, cgroup, exited, cleared } = running;
    readLines(child, onStderr);
    let innerPid: number | undefined;
    const inner = <T>(read: (pid: number) => T): T | undefined => {
      innerPid ??= running.innerPid();
      return innerPid === undefined ? undefined : read(innerPid);
    };
    return {
      pid,
      socket: socketOf(child),
      exited: exited.then(asCellExit),
      cleared,
      holdsMemoryLimit: host?.places.memory !== undefined,
      holdsTenantMemory: groups !== undefined,
      memoryBytes: () => inner(residentBytes),
      cpuMs: () => inner(cpuMsOf),
      mainThread: () => inner(mainThreadOf),
      limitMemory: async (bytes) => cgroup?.setLimits({ memoryBytes: bytes }),
      async belongTo(tenant, { memoryBytes: bytes, cpuPercent }) {
        const isQuota = host?.cpuQuota === true && cpuPercent !== Infinity;
        const quota = isQuota ? { cpuPercent: cpuPercent * QUOTA_SLACK } : {};
        const hold = { memoryBytes: bytes, cpuShare: CPU_SHARE, ...quota };
        if (groups !== undefined) await cgroup?.joinTenant({ groups, tenant, hold });
        else if (isQuota) await cgroup?.setLimits(quota);
      },
      kill: () => running.kill(),
    };
  };
}

const asCellExit = ({ code, signal, outOfMemory }: SandboxExit): CellExit => ({
  how: signal ?? `exit code ${code}`,
  outOfMemory,
});
