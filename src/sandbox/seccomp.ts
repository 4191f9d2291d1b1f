/**
 * The system calls of a cell, as a seccomp program: an allow-list.
 *
 * 1. A foreign architecture, and x32 on x64, is killed before anything else is looked at.
 * 2. No call makes a process, a namespace or a socket: clone only makes threads, and
 *    clone3, whose flags lie in memory that a program cannot see, does not exist.
 * 3. What is not listed does not exist (ENOSYS); known attacks are refused (EPERM).
 *
 * execve stays allowed: bwrap installs the program just before it executes Node. Inside,
 * only what is bound can be executed, and it inherits every wall.
 */
import {
  assemble,
  answer,
  ifAnyBit,
  ifAtLeast,
  ifEqual,
  load,
  unlessEqual,
  type Instruction,
} from "#sandbox/bpf.ts";
import { ALLOWED, CHECKED, REFUSED, type SyscallTable } from "#sandbox/syscalls.ts";

export type SeccompArch = "x64" | "arm64";

interface ArchFacts {
  /** AUDIT_ARCH_*: what seccomp_data.arch holds. */
  readonly audit: number;
  readonly column: 0 | 1;
}
export const ARCHES: Readonly<Record<SeccompArch, ArchFacts>> = {
  x64: { audit: 0xc000003e, column: 0 },
  arm64: { audit: 0xc00000b7, column: 1 },
};
export const isSeccompArch = (arch: string): arch is SeccompArch => Object.hasOwn(ARCHES, arch);

/** SECCOMP_RET_*: the verdict in the high half, its data (an errno) in the low. */
const EPERM = 1;
const ENOSYS = 38;
export const VERDICT = {
  kill: 0x80000000,
  allow: 0x7fff0000,
  refuse: 0x00050000 | EPERM,
  unknown: 0x00050000 | ENOSYS,
} as const;

/** Offsets in struct seccomp_data; of an argument, its low half (little endian). */
const NUMBER = 0;
const ARCH = 4;
const argument = (index: number): number => 16 + 8 * index;

/** __X32_SYSCALL_BIT: the same numbers by another door. */
const X32_BIT = 0x40000000;
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
const CLONE_NEW = 0x7e020000;
const CLONE_THREAD = 0x00010000;
/** FIONBIO, FIONREAD, FIOCLEX, TCGETS and TIOCGWINSZ: never TIOCSTI. */
const IOCTLS = [0x5421, 0x541b, 0x5451, 0x5401, 0x5413];
/** PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_GET_SECCOMP, PR_SET_VMA (names for mappings). */
const PRCTLS = [3, 15, 16, 21, 0x53564d41];
/** What setpriv needs to drop the uid inside: keepcaps, the bounding and ambient sets, no-new-privs. */
const CREDENTIAL_PRCTLS = [8, 23, 24, 38, 39, 47];
const CREDENTIAL_CALLS = ["setresuid", "setresgid", "setgroups", "capset"];

export interface SeccompOptions {
  readonly arch: SeccompArch;
  /** The uid is dropped after the program is in force; without capabilities the calls do nothing. */
  readonly credentials?: boolean;
}

const ALLOW = answer(VERDICT.allow);
const REFUSE = answer(VERDICT.refuse);

const oneOf = (index: number, values: readonly number[]): Instruction[] => [
  load(argument(index)),
  ...values.flatMap((value) => ifEqual(value, [ALLOW])),
  REFUSE,
];

function seccompProgram(options: SeccompOptions): Instruction[] {
  const { arch, credentials = false } = options;
  const { audit, column } = ARCHES[arch];
  const each = (table: SyscallTable, verdict: (name: string) => Instruction): Instruction[] =>
    Object.entries(table).flatMap(([name, numbers]) => {
      const number = numbers[column];
      return number === null ? [] : ifEqual(number, [verdict(name)]);
    });

  return [
    load(ARCH),
    ...unlessEqual(audit, [answer(VERDICT.kill)]),
    load(NUMBER),
    ...(arch === "x64" ? ifAtLeast(X32_BIT, [answer(VERDICT.kill)]) : []),
    ...ifEqual(CHECKED.clone[column], [
      load(argument(0)),
      ...ifAnyBit(CLONE_NEW, [REFUSE]),
      ...ifAnyBit(CLONE_THREAD, [ALLOW]),
      REFUSE,
    ]),
    ...ifEqual(CHECKED.clone3[column], [answer(VERDICT.unknown)]),
    ...ifEqual(CHECKED.ioctl[column], oneOf(1, IOCTLS)),
    ...ifEqual(
      CHECKED.prctl[column],
      oneOf(0, credentials ? [...PRCTLS, ...CREDENTIAL_PRCTLS] : PRCTLS),
    ),
    ...each(ALLOWED, () => ALLOW),
    ...each(REFUSED, (name) => (credentials && CREDENTIAL_CALLS.includes(name) ? ALLOW : REFUSE)),
    answer(VERDICT.unknown),
  ];
}

/** The program as bwrap's --seccomp reads it. */
export const seccompBytes = (options: SeccompOptions): Buffer => assemble(seccompProgram(options));
