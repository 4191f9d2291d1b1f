/**
 * What the owner reads: which walls stand here, and for each one that does not, what that
 * exposes and how to get it. Pure; `solo doctor` prints it, `--json` gives the report.
 */
import type { HostWalls, Tier, WallName } from "#sandbox/walls.ts";

export interface WallReport {
  readonly name: WallName;
  readonly active: boolean;
  /** Without it, code of others can reach the host or other tenants. */
  readonly essential: boolean;
  readonly how: string | null;
  readonly why_not: string | null;
  /** What hostile code could do without this wall. */
  readonly exposes: string;
  readonly get_it: string;
}

export interface DoctorReport {
  readonly tier: Tier;
  /** Every essential wall stands. */
  readonly ok: boolean;
  readonly summary: string;
  readonly walls: readonly WallReport[];
}

const SUMMARIES: Readonly<Record<Tier, string>> = {
  root_namespaces: "Cells run in namespaces of their own, each tenant under its own uid.",
  user_namespaces: "Cells run in namespaces of their own, under the kernel's uid.",
  no_namespaces: "Cells run among the host's other processes; only the walls below hold them.",
  nothing: "Cells are ordinary processes of the kernel's user. Run only code that you trust.",
};

const ESSENTIAL: ReadonlySet<WallName> = new Set([
  "files",
  "nested_namespaces",
  "processes",
  "network",
  "capabilities",
  "no_new_privs",
  "system_calls",
  "dies_with_kernel",
  "resource_limits",
  "descriptors",
]);

interface Explanation {
  readonly exposes: string;
  readonly getIt: string;
}

const BWRAP =
  "Install bubblewrap (apt, dnf, apk: bubblewrap) on Linux. If it is installed but refused: allow unprivileged user namespaces (sysctl user.max_user_namespaces; on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0 or an AppArmor profile for bwrap); in a container, permit unshare and mount.";
const CGROUP =
  "Start the kernel in a group that it owns: `systemd-run --user --scope -p Delegate=yes npm start`, a systemd service with Delegate=yes, or as root; in a container, mount /sys/fs/cgroup writable.";
const SETPRIV = "Install util-linux (setpriv).";

const EXPLANATIONS: Readonly<Record<WallName, Explanation>> = {
  files: { exposes: "every file that the cell's uid may read or write", getIt: BWRAP },
  user_namespace: {
    exposes:
      "the whole machine to a capability gained inside, as there is no other owner in between",
    getIt: `Keep the project where other users may enter (not under /root). ${BWRAP}`,
  },
  nested_namespaces: {
    exposes: "the part of Linux that only namespace owners reach, a frequent source of exploits",
    getIt: `bubblewrap 0.8 or later. ${BWRAP}`,
  },
  processes: { exposes: "signals to, and /proc of, other processes of the same uid", getIt: BWRAP },
  network: { exposes: "loopback services, the local network and the internet", getIt: BWRAP },
  ipc: { exposes: "System V and POSIX message queues and shared memory", getIt: BWRAP },
  hostname: { exposes: "this machine's name", getIt: BWRAP },
  cgroup_namespace: { exposes: "the names of this host's control groups", getIt: BWRAP },
  capabilities: {
    exposes: "root's powers over the whole machine",
    getIt: `Do not start the kernel as root without bubblewrap or setpriv. ${SETPRIV}`,
  },
  no_new_privs: { exposes: "set-uid programs such as sudo", getIt: SETPRIV },
  system_calls: {
    exposes: "the whole system call surface of Linux, with its bugs",
    getIt: `A kernel with seccomp on x64 or arm64, and bubblewrap. ${BWRAP}`,
  },
  tenant_uid: {
    exposes: "another tenant's cell and the kernel, if another wall falls: all share one uid",
    getIt: `Start the kernel as root, or in a service manager that lets it change uids. ${SETPRIV}`,
  },
  dies_with_kernel: {
    exposes: "a hostile cell that lives on after the kernel was killed",
    getIt: `${BWRAP} Or: ${SETPRIV}`,
  },
  resource_limits: {
    exposes: "core dumps, files written to fill the disk, thousands of descriptors",
    getIt: "A POSIX shell at /bin/sh.",
  },
  descriptors: {
    exposes: "files and sockets that were open when the kernel started",
    getIt: "Start the kernel with only standard input, output and error open.",
  },
  memory_limit: {
    exposes: "this host's memory between two looks of the kernel's own memory watch",
    getIt: CGROUP,
  },
  tenant_memory: {
    exposes:
      "what a tenant's cells allocate together between two looks of the kernel, 50 ms apart: it then ends the largest",
    getIt: CGROUP,
  },
  process_limit: { exposes: "the host's process table, by threads without end", getIt: CGROUP },
  cpu_share: {
    exposes:
      "CPU time of other tenants while many cells are busy; a lower priority (nice 5) than the kernel's is all that cells have then",
    getIt: CGROUP,
  },
  cpu_quota: {
    exposes:
      "bursts above tenant_cpu_percent: the kernel reads twice a second what was used in 5 s, then refuses messages and lets instances stand still",
    getIt: `${CGROUP} The kernel of the host needs CONFIG_CFS_BANDWIDTH.`,
  },
};

export function doctorReport(found: Pick<HostWalls, "tier" | "walls">): DoctorReport {
  const walls = found.walls.map(({ name, active, how, whyNot }) => ({
    name,
    active,
    essential: ESSENTIAL.has(name),
    how,
    why_not: whyNot,
    exposes: EXPLANATIONS[name].exposes,
    get_it: EXPLANATIONS[name].getIt,
  }));
  return {
    tier: found.tier,
    ok: walls.every(({ active, essential }) => active || !essential),
    summary: SUMMARIES[found.tier],
    walls,
  };
}

const NAME_WIDTH = 20;

export function doctorText({ tier, ok, summary, walls }: DoctorReport): string {
  const standing = walls.filter((wall) => wall.active);
  const lines = [
    `Tier: ${tier}. ${summary}`,
    `${standing.length} of ${walls.length} walls stand.${ok ? "" : " Essential ones are missing: run only code that you trust."}`,
    "",
  ];
  for (const wall of walls) {
    const head = `  ${wall.active ? "yes" : "NO "}  ${wall.name.padEnd(NAME_WIDTH)}`;
    if (wall.active) {
      lines.push(`${head}${wall.how}`);
      continue;
    }
    const indent = " ".repeat(7);
    lines.push(
      `${head}${wall.essential ? "(essential) " : ""}${wall.why_not}`,
      `${indent}exposes: ${wall.exposes}`,
      `${indent}get it:  ${wall.get_it}`,
    );
  }
  return `${lines.join("\n")}\n`;
}
