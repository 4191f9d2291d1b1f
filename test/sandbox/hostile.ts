/**
 * A compromised cell: native code execution (through node:ffi) and bad intentions. Runs
 * only behind the walls, and reports what each attempt came to on descriptor 3.
 * It refuses to start where it can see the host's files.
 */
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import ffi from "node:ffi";
import net from "node:net";
import os from "node:os";
import { Worker } from "node:worker_threads";

export interface Prey {
  /** Attempts to leave out. */
  readonly without: readonly string[];
  readonly secretFile: string;
  readonly shownFile: string;
  readonly decoyPid: number;
  readonly port: number;
  readonly abstractSocket: string;
}
export type Findings = Record<string, string>;

const prey = JSON.parse(process.argv[2]!) as Prey;

const I64 = "i64" as const;
const { functions: libc } = ffi.dlopen("libc.so.6", {
  syscall: { arguments: [I64, I64, I64, I64, I64, I64, I64], return: I64 },
  __errno_location: { arguments: [], return: "pointer" },
});
const NUMBERS: Record<string, readonly [x64: number, arm64: number]> = {
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  mount: [165, 40],
  umount2: [166, 39],
  unshare: [272, 97],
  setns: [308, 268],
  clone: [56, 220],
  clone3: [435, 435],
  keyctl: [250, 219],
  add_key: [248, 217],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  io_uring_setup: [425, 425],
  userfaultfd: [323, 282],
  kexec_load: [246, 104],
  init_module: [175, 105],
  reboot: [169, 142],
  swapon: [167, 224],
  acct: [163, 89],
  personality: [135, 92],
  chroot: [161, 51],
  pivot_root: [155, 41],
  open_by_handle_at: [304, 265],
  memfd_create: [319, 279],
  socket: [41, 198],
  socketpair: [53, 199],
  ioctl: [16, 29],
  prctl: [157, 167],
  setresuid: [117, 147],
  pidfd_open: [434, 434],
  mkdirat: [258, 34],
};
const ERRNO = Object.fromEntries(Object.entries(os.constants.errno).map(([name, n]) => [n, name]));

function raw(name: string, ...args: (number | bigint)[]): string {
  const number = NUMBERS[name]![process.arch === "arm64" ? 1 : 0];
  const [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n, f = 0n] = args.map(BigInt);
  const result = libc.syscall(BigInt(number), a, b, c, d, e, f);
  if (result >= 0n) return "reached";
  return ERRNO[ffi.getInt32(libc.__errno_location(), 0)] ?? "refused";
}

function attempt(action: () => unknown): string {
  try {
    action();
    return "reached";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "refused";
  }
}

if (attempt(() => fs.readdirSync("/etc")) === "reached") {
  fs.writeSync(3, JSON.stringify({ walls: "none: the host's files can be read" }));
  process.exit(1);
}

const inThread = (script: string): Promise<string> =>
  new Promise((resolve) => {
    const told = `require("node:worker_threads").parentPort.postMessage`;
    const worker = new Worker(
      `try { ${script}; ${told}("reached") } catch (error) { ${told}(error.code) }`,
      { eval: true },
    );
    worker.once("message", resolve);
    worker.once("error", (error) => resolve(String(error)));
  });

const connects = (options: net.NetConnectOpts): Promise<string> =>
  new Promise((resolve) => {
    try {
      const socket = net.connect(options);
      socket.once("connect", () => resolve("reached"));
      socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "refused"));
    } catch (error) {
      resolve((error as NodeJS.ErrnoException).code ?? "refused");
    }
  });

/** The open descriptors of a kind, by asking for each number. */
function open(isWanted: (found: fs.Stats) => boolean): string {
  const found: number[] = [];
  for (let fd = 0; fd < 1_024; fd += 1) {
    attempt(() => isWanted(fs.fstatSync(fd)) && found.push(fd));
  }
  return found.join(" ");
}

/** Node itself opens "/" when it looks for time zones. */
const isOurRoot = ({ dev, ino }: fs.Stats): boolean => {
  const root = fs.statSync("/");
  return dev === root.dev && ino === root.ino;
};

function exhaustFds(): string {
  const held: number[] = [];
  try {
    for (;;) held.push(fs.openSync(prey.shownFile, "r"));
  } catch (error) {
    return `${(error as NodeJS.ErrnoException).code} after ${held.length < 1_024 ? "few" : "many"}`;
  } finally {
    held.forEach((fd) => fs.closeSync(fd));
  }
}

const spawned = (): string => {
  const { error, status } = spawnSync("/bin/sh", ["-c", "true"]);
  return error ? ((error as NodeJS.ErrnoException).code ?? "refused") : `reached ${status}`;
};

/** A struct iovec that points at eight bytes of our own. */
const bytes = Buffer.alloc(8);
const vector = Buffer.alloc(16);
vector.writeBigUInt64LE(ffi.getRawPointer(bytes), 0);
vector.writeBigUInt64LE(8n, 8);

const CLONE_NEWUSER = 0x10000000;
const CLONE_NEWNET = 0x40000000;
const PTRACE_ATTACH = 16;
const TIOCSTI = 0x5412;
const PR_SET_PDEATHSIG = 1;
const PR_SET_DUMPABLE = 4;

const attempts: Record<string, () => string | Promise<string>> = {
  // What a cell must be able to do, or the rest proves nothing.
  "allowed: read what is shown": () => attempt(() => fs.readFileSync(prey.shownFile)),
  "allowed: threads": () => inThread(""),
  "allowed: read what is shown, asynchronously": () =>
    fs.promises.readFile(prey.shownFile).then(() => "reached"),
  "allowed: WebAssembly": () =>
    attempt(
      () =>
        new (
          globalThis as unknown as { WebAssembly: { Module: new (bytes: Uint8Array) => unknown } }
        ).WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])),
    ),
  "fact: uid": () => String(process.getuid?.()),
  "fact: pid": () => String(process.pid),
  "fact: hostname": () => os.hostname(),
  "fact: environment": () => Object.keys(process.env).toSorted().join(" "),

  "read /etc/passwd": () => attempt(() => fs.readFileSync("/etc/passwd")),
  "read /etc/passwd on the thread pool": () =>
    fs.promises.readFile("/etc/passwd").then(
      () => "reached",
      (error: NodeJS.ErrnoException) => error.code ?? "refused",
    ),
  "read /etc/passwd in a thread": () => inThread(`require("node:fs").readFileSync("/etc/passwd")`),
  "read a file of the data directory": () => attempt(() => fs.readFileSync(prey.secretFile)),
  "read /proc/1/environ": () => attempt(() => fs.readFileSync("/proc/1/environ")),
  "read the kernel's environ": () =>
    attempt(() => fs.readFileSync(`/proc/${prey.decoyPid}/environ`)),
  "read /dev/mem": () => attempt(() => fs.readFileSync("/dev/mem")),
  "fact: root": () => {
    let names = "";
    const outcome = attempt(() => (names = fs.readdirSync("/").join(" ")));
    return outcome === "reached" ? names : outcome;
  },
  "write to /": () => attempt(() => fs.writeFileSync("/x", "x")),
  "write to /tmp": () => attempt(() => fs.writeFileSync("/tmp/x", "x")),
  "write beside what is shown": () => attempt(() => fs.writeFileSync(`${prey.shownFile}.new`, "x")),
  "write over what is shown": () => attempt(() => fs.writeFileSync(prey.shownFile, "x")),
  "make a directory": () => attempt(() => fs.mkdirSync("/d")),
  "make a directory by number": () => raw("mkdirat", -100, 0, 0o755),
  "connect to loopback": () => connects({ port: prey.port, host: "127.0.0.1" }),
  "connect to an abstract socket": () => connects({ path: `\0${prey.abstractSocket}` }),
  listen: () =>
    new Promise((resolve) => {
      const server = net.createServer();
      server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "refused"));
      server.listen(0, "127.0.0.1", () => resolve("reached"));
    }),
  "make a Unix socket": () => raw("socket", 1, 1, 0),
  "make a socket pair": () => raw("socketpair", 1, 1, 0, 0),
  "make a netlink socket": () => raw("socket", 16, 3, 0),
  "run a shell": () => spawned(),
  "run itself again": () => attempt(() => execFileSync(process.execPath, ["-e", "0"])),
  fork: () => raw("clone", 17),
  "fork by clone3": () => raw("clone3", 0, 0),
  "clone into a namespace": () => raw("clone", CLONE_NEWUSER | 17),
  "unshare a user namespace": () => raw("unshare", CLONE_NEWUSER),
  "unshare a network namespace": () => raw("unshare", CLONE_NEWNET),
  setns: () => raw("setns", 0, 0),
  "ptrace the kernel": () => raw("ptrace", PTRACE_ATTACH, prey.decoyPid),
  "read the kernel's memory": () =>
    raw(
      "process_vm_readv",
      prey.decoyPid,
      ffi.getRawPointer(vector),
      1,
      ffi.getRawPointer(vector),
      1,
    ),
  "kill the kernel": () => attempt(() => process.kill(prey.decoyPid, "SIGKILL")),
  "kill the parent": () =>
    attempt(() => process.kill(process.ppid, "SIGKILL")) === "reached" ? "no effect" : "refused",
  "open the kernel by pidfd": () => raw("pidfd_open", prey.decoyPid),
  "become root": () => attempt(() => process.setuid?.(0)),
  "become root by number": () => raw("setresuid", 0, 0, 0),
  mount: () => raw("mount", 0, 0, 0, 0, 0),
  unmount: () => raw("umount2", 0, 2),
  chroot: () => raw("chroot", 0),
  pivot_root: () => raw("pivot_root", 0, 0),
  "open by handle": () => raw("open_by_handle_at", 3, 0, 0),
  keyctl: () => raw("keyctl", 0, -3, 1),
  add_key: () => raw("add_key", 0, 0, 0, 0, -3),
  bpf: () => raw("bpf", 0, 0, 0),
  perf_event_open: () => raw("perf_event_open", 0, 0, -1, -1, 0),
  io_uring: () => raw("io_uring_setup", 1, 0),
  userfaultfd: () => raw("userfaultfd", 1),
  kexec: () => raw("kexec_load", 0, 0, 0, 0),
  "load a module": () => raw("init_module", 0, 0, 0),
  reboot: () => raw("reboot", 0, 0, 0, 0),
  swapon: () => raw("swapon", 0, 0),
  acct: () => raw("acct", 0),
  personality: () => raw("personality", 0x0040000),
  memfd: () => raw("memfd_create", 0, 0),
  "push into the terminal": () => raw("ioctl", 0, TIOCSTI, 0),
  "outlive the kernel": () => raw("prctl", PR_SET_PDEATHSIG, 0),
  "prctl at large": () => raw("prctl", PR_SET_DUMPABLE, 1),
  "exhaust descriptors": () => exhaustFds(),
  "fact: sockets": () => open((found) => found.isSocket()),
  "fact: open files": () =>
    open((found) => (found.isFile() || found.isDirectory()) && !isOurRoot(found)),
};

const findings: Findings = {};
for (const [name, run] of Object.entries(attempts)) {
  if (!prey.without.includes(name)) findings[name] = await run();
}
fs.writeSync(3, JSON.stringify(findings));
process.exit(0);
