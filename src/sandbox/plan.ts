/**
 * The chain of programs in front of a cell, decided without touching anything:
 *
 *   sh (joins the cgroup, sets resource limits) → setpriv → bwrap → command
 *   sh → bwrap → setpriv → command                          (uid dropped inside)
 *   sh → setpriv → Node, which walls itself in → command     (no namespaces)
 *
 * 1. Each layer executes the next in its own place: there is no process to forget.
 * 2. The command sees the given files, read-only, and nothing else; no /proc, no /dev.
 * 3. Never RLIMIT_AS or RLIMIT_DATA: V8 reserves far more address space than it uses.
 */
import path from "node:path";
import { fileURLToPath } from "node:url";
import {
  INNER_WALLS_VARIABLE,
  type InnerWallsOrder,
  type PlanWalls,
  type Room,
} from "#sandbox/walls.ts";

/** Descriptors that a cell may hold; Node with four worker threads uses about 60. */
export const DEFAULT_OPEN_FILES = 256;
/** Processes and threads in a cell: bwrap's two, Node's threads, isolated-vm's pool. */
export const DEFAULT_PIDS = 256;
/** The chain's own exit code when a layer before bwrap fails. */
const CHAIN_FAILED = 125;

/** Where setpriv stands in the room when the uid is dropped inside. */
const SETPRIV_INSIDE = "/.solo/setpriv";

/** Node raises its own walls before it loads anything else. */
const INNER_WALLS_FILE = fileURLToPath(import.meta.resolve("#sandbox/inner-walls.ts"));
const INNER_WALLS_ARGS = [
  "--experimental-ffi",
  "--disable-warning=ExperimentalWarning",
  "--require",
  INNER_WALLS_FILE,
];
/** Worker threads load the file again, and package.json to find its imports. */
const INNER_WALLS_NEEDS = [
  path.dirname(INNER_WALLS_FILE),
  path.resolve(path.dirname(INNER_WALLS_FILE), "../../package.json"),
];

/** `sh -c` with: open files, pids or 0, files to join, `--`, the command. */
const CHAIN_SCRIPT = `files=$1; pids=$2; shift 2
while [ "$1" != -- ]; do echo $$ > "$1" || exit ${CHAIN_FAILED}; shift; done; shift
ulimit -c 0 && ulimit -l 0 && ulimit -n "$files" && ulimit -f 0 || exit ${CHAIN_FAILED}
[ "$pids" = 0 ] || ulimit -u "$pids" 2>/dev/null || ulimit -p "$pids" || exit ${CHAIN_FAILED}
unset PWD OLDPWD
exec "$@"`;

export interface PlanInput {
  readonly walls: PlanWalls;
  readonly command: string;
  readonly args: readonly string[];
  /** Files and directories to show at their own place, read-only. */
  readonly readOnly: readonly string[];
  /** The uid to drop to. */
  readonly uid: number;
  readonly openFiles: number;
  /** RLIMIT_NPROC, which counts per uid; null where a cgroup counts, or the uid is shared. */
  readonly maxProcesses: number | null;
  /** cgroup.procs files that the chain writes itself into. */
  readonly join: readonly string[];
  /** The descriptor from which bwrap reads the seccomp program. */
  readonly seccompFd: number;
}

export interface LaunchPlan {
  readonly file: string;
  readonly args: readonly string[];
  /** What the chain adds to the environment of the command. */
  readonly env: Readonly<Record<string, string>>;
}

export function planLaunch(input: PlanInput): LaunchPlan {
  const { walls, command, args, openFiles, maxProcesses, join } = input;
  if (walls.tools.sh === null) return { file: command, args, env: {} };
  return {
    file: walls.tools.sh,
    env: innerOrder(input),
    args: [
      "-c",
      CHAIN_SCRIPT,
      "sh",
      String(openFiles),
      String(maxProcesses ?? 0),
      ...join,
      "--",
      ...outside(input),
      ...room(input),
      command,
      ...(walls.strategy.inner === null ? [] : INNER_WALLS_ARGS),
      ...args,
    ],
  };
}

function innerOrder({ walls, command, readOnly }: PlanInput): Record<string, string> {
  const { inner } = walls.strategy;
  if (inner === null) return {};
  const shown = outermost([command, ...readOnly, ...walls.libraries, ...INNER_WALLS_NEEDS]);
  const order: InnerWallsOrder = { ...inner, readOnly: shown };
  return { [INNER_WALLS_VARIABLE]: JSON.stringify(order) };
}

const drop = (uid: number): string[] => [
  `--reuid=${uid}`,
  `--regid=${uid}`,
  "--clear-groups",
  "--no-new-privs",
  "--inh-caps=-all",
  "--ambient-caps=-all",
  "--bounding-set=-all",
];

function outside({ walls, uid }: PlanInput): string[] {
  const { strategy, tools } = walls;
  if (tools.setpriv === null) return [];
  const alone = strategy.room === null ? ["--pdeathsig", "KILL"] : [];
  if (strategy.uid === "outside") {
    return [tools.setpriv, ...drop(uid), ...alone, "--"];
  }
  return strategy.room === null ? [tools.setpriv, "--no-new-privs", ...alone, "--"] : [];
}

function room(input: PlanInput): string[] {
  const { walls, uid, seccompFd } = input;
  const { strategy, tools } = walls;
  if (strategy.room === null || tools.bwrap === null) return [];
  const inside = strategy.uid === "inside";
  return [
    tools.bwrap,
    ...namespaces(strategy.room),
    "--die-with-parent",
    "--new-session",
    "--cap-drop",
    "ALL",
    ...(inside
      ? ["SETUID", "SETGID", "SETPCAP"].flatMap((cap) => ["--cap-add", `CAP_${cap}`])
      : []),
    ...binds(input, inside),
    "--chdir",
    "/",
    "--remount-ro",
    "/",
    ...(strategy.room.seccomp ? ["--seccomp", String(seccompFd)] : []),
    "--",
    ...(inside ? [SETPRIV_INSIDE, ...drop(uid), "--"] : []),
  ];
}

function namespaces({ namespaces: names, disableUserns }: Room): string[] {
  return [
    ...names.map((name) => `--unshare-${name}`),
    ...(names.includes("uts") ? ["--hostname", "cell"] : []),
    ...(disableUserns && names.includes("user") ? ["--disable-userns"] : []),
  ];
}

/** Directories first: bwrap would make them for itself alone, closed to the tenant's uid. */
function binds(input: PlanInput, inside: boolean): string[] {
  const { walls, command, readOnly } = input;
  const [setpriv, ...setprivLibraries] = inside ? walls.setprivFiles : [];
  const shown = new Map(
    outermost([command, ...readOnly, ...walls.libraries, ...setprivLibraries]).map((file) => [
      file,
      file,
    ]),
  );
  if (setpriv !== undefined) shown.set(SETPRIV_INSIDE, setpriv);
  return [
    ...ancestors([...shown.keys()]).flatMap((directory) => ["--dir", directory]),
    ...[...shown].flatMap(([at, file]) => ["--ro-bind", file, at]),
  ];
}

const isUnder = (file: string, directory: string): boolean =>
  file.startsWith(directory === "/" ? "/" : `${directory}/`);

/** Paths that no other of them already shows, each once. */
export function outermost(paths: readonly string[]): string[] {
  const unique = [...new Set(paths.map((each) => path.resolve(each)))];
  return unique.filter((file) => !unique.some((other) => other !== file && isUnder(file, other)));
}

/** Every directory above `paths`, parents before children, without the root. */
export function ancestors(paths: readonly string[]): string[] {
  const found = new Set<string>();
  for (const file of paths) {
    for (let at = path.dirname(file); at !== "/" && !found.has(at); at = path.dirname(at))
      found.add(at);
  }
  return [...found].toSorted();
}
