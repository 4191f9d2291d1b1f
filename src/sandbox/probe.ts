/**
 * Which walls stand on this host, found by building them: the strongest chain that runs
 * the real command over the real files wins. Nothing is concluded from a version.
 *
 * 1. What did not work is recorded with the words of the program that refused.
 * 2. A file that is missing, or an addon that does not load without walls either, is an
 *    error, never a reason for weaker walls.
 * 3. The result is a plain value; one probe at the kernel's start serves every launch.
 */
import { constants } from "node:fs";
import { access, realpath } from "node:fs/promises";
import path from "node:path";
import { text } from "node:stream/consumers";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { candidates } from "#sandbox/candidates.ts";
import { programFor, seccompFd, startChain, type CellFd } from "#sandbox/chain.ts";
import { SoloError } from "#base/errors.ts";
import { leakedDescriptors } from "#sandbox/descriptors.ts";
import { describeWalls, tierOf } from "#sandbox/describe.ts";
import { sharedLibraries } from "#sandbox/libraries.ts";
import { DEFAULT_OPEN_FILES, planLaunch } from "#sandbox/plan.ts";
import { probeCgroup, type CgroupProbe } from "#sandbox/probe-cgroup.ts";
import { isSeccompArch } from "#sandbox/seccomp.ts";
import { DEFAULT_UID_RANGE, type UidRange } from "#sandbox/tenant-uid.ts";
import type { Failure, HostWalls, PlanWalls, ProbedHost, Strategy, Tools } from "#sandbox/walls.ts";

const TRIAL_TIMEOUT_MS = 5_000;
const TOOL_DIRECTORIES = ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin"];
const TRIAL_FDS: readonly CellFd[] = ["ignore", "ignore", "pipe"];
/** Asks for every path that a cell will need, and loads every native addon. */
const TRIAL_SCRIPT = `const [paths, addons] = JSON.parse(process.argv[1]);
for (const path of paths) require("node:fs").accessSync(path, 4);
for (const addon of addons) process.dlopen({ exports: {} }, addon);`;

export interface ProbeOptions {
  /** The Node binary that cells run. */
  readonly node: string;
  /** What cells are shown; the trial reads all of it. The paths must exist. */
  readonly readOnly: readonly string[];
  /** Native addons (.node files, within readOnly) whose libraries a cell needs as well. */
  readonly addons?: readonly string[];
  readonly uidRange?: UidRange;
  /** Where bwrap, setpriv and sh are looked for. */
  readonly toolDirectories?: readonly string[];
  readonly host?: ProbedHost;
}

const thisHost = (): ProbedHost => ({
  platform: process.platform,
  arch: process.arch,
  pid: process.pid,
  isRoot: process.geteuid?.() === 0,
});

export async function probeHost(options: ProbeOptions): Promise<HostWalls> {
  const { host = thisHost(), uidRange = DEFAULT_UID_RANGE, addons = [] } = options;
  await Promise.all([options.node, ...options.readOnly, ...addons].map(mustBeThere));
  const node = await realpath(options.node);
  const tools = await findTools(options.toolDirectories ?? TOOL_DIRECTORIES, host);
  const linux = host.platform === "linux";
  const arch = linux && isSeccompArch(host.arch) ? host.arch : null;

  const [libraries, setprivFiles, cgroup, leakedFds] = await Promise.all([
    linux ? sharedLibraries({ program: node, addons }).catch(() => []) : [],
    tools.setpriv === null ? [] : filesOf(tools.setpriv),
    linux && tools.sh !== null ? probeCgroup({ sh: tools.sh, pid: host.pid, isAlive }) : NO_CGROUPS,
    leakedDescriptors(),
  ]);

  const failures: Failure[] = [];
  const tryOut = (strategy: Strategy, withTools: Tools) =>
    trial({
      walls: { strategy, tools: withTools, libraries, setprivFiles, arch },
      node,
      addons,
      readOnly: options.readOnly,
      uid: uidRange.first,
    });
  let chosen: Candidate | undefined;
  for (const strategy of candidates({ isRoot: host.isRoot, tools, seccomp: arch !== null })) {
    const whyNot = await tryOut(strategy, tools);
    if (whyNot === null) {
      chosen = { strategy, tools };
      break;
    }
    failures.push({ strategy, whyNot });
  }
  if (chosen === undefined) {
    chosen = { strategy: { room: null, uid: "none", inner: null }, tools: { ...tools, sh: null } };
    const whyNot = await tryOut(chosen.strategy, chosen.tools);
    if (whyNot !== null) {
      throw new SoloError("internal", `Cells cannot run here, even without walls: ${whyNot}.`);
    }
  }

  return {
    tier: tierOf(chosen.strategy),
    ...chosen,
    libraries,
    setprivFiles,
    arch,
    uidRange,
    cgroup: cgroup.host,
    leakedFds,
    walls: describeWalls({ ...chosen, failures, host, cgroup, leakedFds, wanted: tools }),
  };
}

const NOT_LINUX = "not Linux";
const NO_CGROUPS: CgroupProbe = {
  host: null,
  whyNot: {
    memory: NOT_LINUX,
    pids: NOT_LINUX,
    cpu: NOT_LINUX,
    quota: NOT_LINUX,
    tenants: NOT_LINUX,
  },
};

interface Candidate {
  readonly strategy: Strategy;
  readonly tools: Tools;
}

/** Or else every chain would fail, and a wrong path would look like a host without walls. */
async function mustBeThere(file: string): Promise<void> {
  await access(file).catch((cause: unknown) => {
    throw new SoloError("internal", "A file that cells need is not there.", { cause });
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function findTools(directories: readonly string[], host: ProbedHost): Promise<Tools> {
  const find = async (name: string): Promise<string | null> => {
    for (const directory of directories) {
      const file = path.join(directory, name);
      if (
        await access(file, constants.X_OK).then(
          () => true,
          () => false,
        )
      )
        return file;
    }
    return null;
  };
  const linux = host.platform === "linux";
  const [sh, bwrap, setpriv] = await Promise.all([
    find("sh"),
    linux ? find("bwrap") : null,
    linux ? find("setpriv") : null,
  ]);
  return { sh, bwrap, setpriv };
}

async function filesOf(program: string): Promise<string[]> {
  const libraries = await sharedLibraries({ program }).catch(() => []);
  return [await realpath(program), ...libraries];
}

interface Trial {
  readonly walls: PlanWalls & Pick<HostWalls, "arch">;
  readonly node: string;
  readonly addons: readonly string[];
  readonly readOnly: readonly string[];
  readonly uid: number;
}

/** Null if the chain ran to its end; else why not. */
async function trial({ walls, node, addons, readOnly, uid }: Trial): Promise<string | null> {
  const child = startChain({
    plan: planLaunch({
      walls,
      command: node,
      args: ["-e", TRIAL_SCRIPT, JSON.stringify([readOnly, addons])],
      readOnly,
      uid,
      openFiles: DEFAULT_OPEN_FILES,
      maxProcesses: null,
      join: [],
      seccompFd: seccompFd(TRIAL_FDS),
    }),
    env: {},
    fds: TRIAL_FDS,
    seccomp: programFor(walls),
    leakedFds: [],
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), TRIAL_TIMEOUT_MS);
  try {
    const [[code, signal], said] = await Promise.all([
      once(child, "close"),
      text(child.stderr as Readable),
    ]);
    if (code === 0) return null;
    const lines = said.trim().split("\n");
    // Node says where before what; the tools of the chain say what first.
    const what = lines.find((line) => /^\w*Error\b/.test(line)) ?? lines[0];
    return what || `ended with ${signal ?? `code ${code}`}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
  }
}
