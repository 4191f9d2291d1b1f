/**
 * Runs first in a cell on a host without namespaces (`node --require`): no new privileges,
 * Landlock, then the same seccomp program as everywhere, on every thread.
 *
 * 1. What cannot be raised ends the process before the cell's code is loaded.
 * 2. It cannot be undone from inside.
 *
 * Weaker than a room: V8's own helper threads exist already and escape Landlock (they run
 * no JavaScript); other processes stay visible to calls that neither wall knows.
 */
import ffi from "node:ffi";
import fs from "node:fs";
import { isMainThread } from "node:worker_threads";
import {
  ASK_VERSION,
  LANDLOCK,
  RULE_PATH_BENEATH,
  readOnlyRuleBytes,
  rulesetBytes,
} from "#sandbox/landlock.ts";
import { isSeccompArch, seccompBytes } from "#sandbox/seccomp.ts";
import { INNER_WALLS_VARIABLE, type InnerWallsOrder } from "#sandbox/walls.ts";

const NUMBERS = { x64: { prctl: 157, seccomp: 317 }, arm64: { prctl: 167, seccomp: 277 } } as const;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_SET_MODE_FILTER = 1;
const SECCOMP_FILTER_FLAG_TSYNC = 1;
const INSTRUCTION_BYTES = 8;

type Call = (number: number, ...args: (number | Buffer)[]) => number;

function openLibc(): Call {
  const I64 = "i64" as const;
  const { functions } = ffi.dlopen(null, {
    syscall: { arguments: [I64, I64, I64, I64, I64, I64], return: I64 },
  });
  return (number, ...args) => {
    const [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n] = args.map((value) =>
      Buffer.isBuffer(value) ? ffi.getRawPointer(value) : BigInt(value),
    );
    const result = functions.syscall(BigInt(number), a, b, c, d, e);
    if (result < 0n) throw new Error(`System call ${number} was refused`);
    return Number(result);
  };
}

function raiseLandlock(call: Call, readOnly: readonly string[]): void {
  const version = call(LANDLOCK.createRuleset, 0, 0, ASK_VERSION);
  const attributes = rulesetBytes(version);
  const ruleset = call(LANDLOCK.createRuleset, attributes, attributes.length, 0);
  for (const path of readOnly) {
    const fd = fs.openSync(path, "r");
    const rule = readOnlyRuleBytes(fd, fs.fstatSync(fd).isDirectory());
    call(LANDLOCK.addRule, ruleset, RULE_PATH_BENEATH, rule, 0);
    fs.closeSync(fd);
  }
  call(LANDLOCK.restrictSelf, ruleset, 0);
  fs.closeSync(ruleset);
}

function raiseSeccomp(call: Call, arch: keyof typeof NUMBERS): void {
  const program = seccompBytes({ arch });
  // struct sock_fprog: u16 length, then, aligned to 8, the address of the instructions.
  const header = Buffer.alloc(16);
  header.writeUInt16LE(program.length / INSTRUCTION_BYTES, 0);
  header.writeBigUInt64LE(ffi.getRawPointer(program), 8);
  const blockedThread = call(
    NUMBERS[arch].seccomp,
    SECCOMP_SET_MODE_FILTER,
    SECCOMP_FILTER_FLAG_TSYNC,
    header,
  );
  if (blockedThread !== 0) throw new Error("A thread could not be put under seccomp");
}

function raise({ landlock, readOnly }: InnerWallsOrder): void {
  const { arch } = process;
  if (!isSeccompArch(arch)) throw new Error(`No seccomp program for ${arch}`);
  const call = openLibc();
  call(NUMBERS[arch].prctl, PR_SET_NO_NEW_PRIVS, 1);
  if (landlock) raiseLandlock(call, readOnly);
  raiseSeccomp(call, arch);
}

// A worker thread loads this file too, behind walls that stand already.
if (isMainThread) {
  // oxlint-disable-next-line node/no-process-env -- an entry point: nobody can hand it a value
  const environment = process.env;
  raise(JSON.parse(environment[INNER_WALLS_VARIABLE] ?? "null") as InnerWallsOrder);
  delete environment[INNER_WALLS_VARIABLE];
}
