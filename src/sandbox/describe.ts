/**
 * From what the probe tried to the list of walls: each one stands by a named means, or
 * does not for a named reason. Pure.
 */
import { MAX_MASKED_FD } from "#sandbox/chain.ts";
import type { CgroupPart, CgroupProbe } from "#sandbox/probe-cgroup.ts";
import type {
  Failure,
  Namespace,
  ProbedHost,
  Strategy,
  Tier,
  Tools,
  Wall,
  WallName,
} from "#sandbox/walls.ts";

export interface Findings {
  readonly strategy: Strategy;
  /** The tools of the chosen chain, and those that were found. */
  readonly tools: Tools;
  readonly wanted: Tools;
  readonly failures: readonly Failure[];
  readonly host: ProbedHost;
  readonly cgroup: CgroupProbe;
  readonly leakedFds: readonly number[];
}

export function tierOf({ room, uid, inner }: Strategy): Tier {
  if (room !== null) return uid === "none" ? "user_namespaces" : "root_namespaces";
  return uid === "none" && inner === null ? "nothing" : "no_namespaces";
}

const NAMESPACE_WALLS: readonly (readonly [WallName, Namespace])[] = [
  ["user_namespace", "user"],
  ["processes", "pid"],
  ["ipc", "ipc"],
  ["hostname", "uts"],
  ["cgroup_namespace", "cgroup"],
];

export function describeWalls(findings: Findings): Wall[] {
  const { strategy, tools, host, cgroup, leakedFds } = findings;
  const { room, uid, inner } = strategy;
  const limited = tools.sh !== null;
  const setpriv = limited && tools.setpriv !== null;
  const noRoom = whyNoRoom(findings);
  /** Why a part of the room is missing: the room's reason, or what a stronger room said. */
  const part = (has: (strategy: Strategy) => boolean): string =>
    room === null
      ? noRoom
      : (findings.failures.find((failure) => has(failure.strategy))?.whyNot ?? "not tried here");
  const has = (name: Namespace) => (each: Strategy) =>
    each.room?.namespaces.includes(name) ?? false;
  const seccomp = room?.seccomp === true || inner !== null;
  const filtered = seccomp && "system calls that would need it are refused";

  return [
    wall(
      "files",
      (room !== null && "bwrap: an empty read-only root with the cell's own files") ||
        (inner?.landlock === true && "Landlock: only the cell's own files can be opened"),
      noRoom,
    ),
    ...NAMESPACE_WALLS.map(([name, namespace]) =>
      wall(
        name,
        has(namespace)(strategy) && `bwrap --unshare-${namespace}`,
        namespace === "user" && uid === "inside"
          ? `bwrap runs with root's privileges, dropped inside: ${part(has("user"))}`
          : part(has(namespace)),
      ),
    ),
    wall(
      "nested_namespaces",
      (room?.disableUserns === true && "bwrap --disable-userns") || filtered,
      part((each) => each.room?.disableUserns === true),
    ),
    wall("network", (has("net")(strategy) && "bwrap --unshare-net") || filtered, part(has("net"))),
    wall(
      "capabilities",
      (room !== null && "bwrap --cap-drop ALL") ||
        (uid !== "none" && "setpriv: every set emptied") ||
        (!host.isRoot && "not started as root"),
      "a process of root keeps root's capabilities",
    ),
    wall(
      "no_new_privs",
      (room !== null && "bwrap") ||
        (setpriv && "setpriv --no-new-privs") ||
        (inner !== null && "prctl, by Node itself"),
      missing("setpriv", findings.wanted.setpriv),
    ),
    wall(
      "system_calls",
      seccomp &&
        `seccomp: an allow-list for ${host.arch}${inner === null ? "" : ", raised by Node itself (experimental)"}`,
      part((each) => each.room?.seccomp === true),
    ),
    wall("tenant_uid", uid !== "none" && `setpriv, ${uid} the room`, whyNoUid(findings)),
    wall(
      "dies_with_kernel",
      (room !== null && "bwrap --die-with-parent") || (setpriv && "setpriv --pdeathsig"),
      missing("setpriv", findings.wanted.setpriv),
    ),
    wall(
      "resource_limits",
      limited && "open files, core size, file size 0, locked memory 0",
      missing("sh", findings.wanted.sh),
    ),
    descriptors(leakedFds),
    wall("memory_limit", controller(cgroup, "memory"), cgroup.whyNot.memory),
    wall(
      "tenant_memory",
      controller(cgroup, "tenants", "memory, a group above each tenant's cells"),
      cgroup.whyNot.tenants,
    ),
    wall(
      "process_limit",
      controller(cgroup, "pids") || (uid !== "none" && "RLIMIT_NPROC of the tenant's uid"),
      cgroup.whyNot.pids,
    ),
    wall(
      "cpu_share",
      controller(cgroup, "cpu", `cpu weight, one for each ${shareholder(cgroup)}`),
      cgroup.whyNot.cpu,
    ),
    wall(
      "cpu_quota",
      controller(cgroup, "quota", `cpu quota, one for each ${shareholder(cgroup)}`),
      cgroup.whyNot.quota,
    ),
  ];
}

const wall = (name: WallName, how: string | false, whyNot: string | null): Wall =>
  how === false
    ? { name, active: false, how: null, whyNot: whyNot ?? "not tried here" }
    : { name, active: true, how, whyNot: null };

const missing = (tool: string, found: string | null): string =>
  found === null ? `${tool} is not installed` : `the chain through ${tool} did not run`;

function whyNoRoom({ wanted, failures, host }: Findings): string {
  if (host.platform !== "linux") return `namespaces exist on Linux only; this is ${host.platform}`;
  if (wanted.sh === null) return missing("sh", null);
  if (wanted.bwrap === null) return missing("bwrap", null);
  return failures.find(({ strategy }) => strategy.room !== null)?.whyNot ?? "not tried here";
}

function whyNoUid({ wanted, failures, host }: Findings): string {
  if (!host.isRoot) return "only root can give a process another uid";
  if (wanted.setpriv === null) return missing("setpriv", null);
  return failures.find(({ strategy }) => strategy.uid !== "none")?.whyNot ?? "not tried here";
}

const controller = (
  { host, whyNot }: CgroupProbe,
  part: CgroupPart,
  what: string = part,
): string | false =>
  host !== null && whyNot[part] === null && `cgroup version ${host.version}: ${what}`;

const shareholder = ({ host }: CgroupProbe): string => (host?.tenants ? "tenant" : "cell");

function descriptors(leakedFds: readonly number[]): Wall {
  const beyond = leakedFds.filter((fd) => fd > MAX_MASKED_FD);
  const how =
    leakedFds.length === 0
      ? "none inherited"
      : `${leakedFds.length} inherited by the kernel, replaced by /dev/null for cells`;
  return wall("descriptors", beyond.length === 0 && how, `open above ${MAX_MASKED_FD}: ${beyond}`);
}
