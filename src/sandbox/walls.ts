/**
 * What stands between a cell and this host: the words, and the facts that a probe
 * found. Shared by the probe (which fills them), the plan and the doctor (which read them).
 */
import type { CgroupHost } from "#sandbox/cgroup.ts";
import type { SeccompArch } from "#sandbox/seccomp.ts";
import type { UidRange } from "#sandbox/tenant-uid.ts";

export type Tier = "root_namespaces" | "user_namespaces" | "no_namespaces" | "nothing";

/** The mount namespace is not among them: bwrap always makes one. */
export const NAMESPACES = ["user", "pid", "net", "ipc", "uts", "cgroup"] as const;
export type Namespace = (typeof NAMESPACES)[number];

/** How bwrap is asked to build the room; each part was tried. */
export interface Room {
  readonly namespaces: readonly Namespace[];
  /** No user namespace can be made inside (bwrap 0.8 and later). */
  readonly disableUserns: boolean;
  readonly seccomp: boolean;
}

/**
 * Where the tenant's uid is taken: before bwrap (which then needs no privilege), inside
 * (when that uid cannot reach the files, as under /root), or nowhere (not root).
 */
export type UidDrop = "outside" | "inside" | "none";

/** Without a room, the walls that Node can raise around itself before it runs a cell. */
export interface InnerWalls {
  /** Files outside the given paths cannot be opened. */
  readonly landlock: boolean;
}

/** How a cell is told to raise them; removed from its environment once read. */
export const INNER_WALLS_VARIABLE = "SOLO_INNER_WALLS";
export interface InnerWallsOrder extends InnerWalls {
  /** What stays readable with Landlock. */
  readonly readOnly: readonly string[];
}

export interface Strategy {
  readonly room: Room | null;
  readonly uid: UidDrop;
  /** Never together with a room, whose walls are stronger. */
  readonly inner: InnerWalls | null;
}

/** Absolute paths of the host's tools; null where there is none, or none that works. */
export interface Tools {
  /** Null: nothing stands in front of a cell, not even resource limits. */
  readonly sh: string | null;
  readonly bwrap: string | null;
  readonly setpriv: string | null;
}

export const WALL_NAMES = [
  "files",
  "user_namespace",
  "nested_namespaces",
  "processes",
  "network",
  "ipc",
  "hostname",
  "cgroup_namespace",
  "capabilities",
  "no_new_privs",
  "system_calls",
  "tenant_uid",
  "dies_with_kernel",
  "resource_limits",
  "descriptors",
  "memory_limit",
  "tenant_memory",
  "process_limit",
  "cpu_share",
  "cpu_quota",
] as const;
export type WallName = (typeof WALL_NAMES)[number];

export interface Wall {
  readonly name: WallName;
  readonly active: boolean;
  /** By what means it stands; null when it does not. */
  readonly how: string | null;
  /** What failed when it was tried; null when it stands. */
  readonly whyNot: string | null;
}

/** What the probe knows of its own process; a test may say otherwise. */
export interface ProbedHost {
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  readonly pid: number;
  readonly isRoot: boolean;
}

/** A chain that was tried and did not run, with the words of what refused. */
export interface Failure {
  readonly strategy: Strategy;
  readonly whyNot: string;
}

/** What a plan needs to know of the host. */
export type PlanWalls = Pick<HostWalls, "strategy" | "tools" | "libraries" | "setprivFiles">;

/** What the kernel learned at its start; the launcher does only what is written here. */
export interface HostWalls {
  readonly tier: Tier;
  readonly strategy: Strategy;
  readonly tools: Tools;
  /** Shared libraries of the probed command. */
  readonly libraries: readonly string[];
  /** setpriv and its own libraries; bound when the uid is dropped inside. */
  readonly setprivFiles: readonly string[];
  /** Null where there is no seccomp program for this processor. */
  readonly arch: SeccompArch | null;
  readonly uidRange: UidRange;
  readonly cgroup: CgroupHost | null;
  /** Descriptors that this process inherited without close-on-exec, above 2. */
  readonly leakedFds: readonly number[];
  readonly walls: readonly Wall[];
}
