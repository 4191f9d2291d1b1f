/**
 * The few instructions of classic BPF that a seccomp program needs, and their bytes
 * (struct sock_filter: u16 code, u8 jt, u8 jf, u32 k, little endian on x64 and arm64).
 *
 * 1. Jumps only skip forward over whole bodies, so a program always ends.
 */
export interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** BPF_LD | BPF_W | BPF_ABS */
const LOAD = 0x20;
/** BPF_JMP | BPF_JEQ, BPF_JGE, BPF_JSET, each | BPF_K */
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const JUMP_ANY_BIT = 0x45;
/** BPF_RET | BPF_K */
const RETURN = 0x06;

const INSTRUCTION_BYTES = 8;
/** BPF_MAXINSNS of the Linux kernel. */
export const MAX_INSTRUCTIONS = 4096;
/** A jump is one unsigned byte. */
const MAX_JUMP = 255;

const one = (code: number, k: number, jt = 0, jf = 0): Instruction => ({
  code,
  jt,
  jf,
  k: k >>> 0,
});

export const load = (offset: number): Instruction => one(LOAD, offset);
export const answer = (verdict: number): Instruction => one(RETURN, verdict);

function guarded(code: number, k: number, body: readonly Instruction[]): Instruction[] {
  if (body.length > MAX_JUMP) throw new RangeError(`A BPF jump over ${body.length} instructions`);
  return [one(code, k, 0, body.length), ...body];
}

/** `body`, only when the accumulator equals `k`. */
export const ifEqual = (k: number, body: readonly Instruction[]): Instruction[] =>
  guarded(JUMP_EQUAL, k, body);
/** `body`, only when the accumulator is `k` or more. */
export const ifAtLeast = (k: number, body: readonly Instruction[]): Instruction[] =>
  guarded(JUMP_AT_LEAST, k, body);
/** `body`, only when the accumulator shares a bit with `k`. */
export const ifAnyBit = (k: number, body: readonly Instruction[]): Instruction[] =>
  guarded(JUMP_ANY_BIT, k, body);

/** `body`, unless the accumulator equals `k`. */
export const unlessEqual = (k: number, body: readonly Instruction[]): Instruction[] => {
  if (body.length > MAX_JUMP) throw new RangeError(`A BPF jump over ${body.length} instructions`);
  return [one(JUMP_EQUAL, k, body.length, 0), ...body];
};

export function assemble(program: readonly Instruction[]): Buffer {
  if (program.length === 0 || program.length > MAX_INSTRUCTIONS) {
    throw new RangeError(`A BPF program of ${program.length} instructions`);
  }
  const bytes = Buffer.alloc(program.length * INSTRUCTION_BYTES);
  for (const [index, { code, jt, jf, k }] of program.entries()) {
    const at = index * INSTRUCTION_BYTES;
    bytes.writeUInt16LE(code, at);
    bytes.writeUInt8(jt, at + 2);
    bytes.writeUInt8(jf, at + 3);
    bytes.writeUInt32LE(k, at + 4);
  }
  return bytes;
}
