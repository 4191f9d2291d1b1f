/** Runs an assembled seccomp program as the Linux kernel would, for the tests. */
export interface SyscallData {
  readonly number: number;
  /** AUDIT_ARCH_* */
  readonly arch: number;
  readonly args?: readonly bigint[];
}

export function runSeccomp(program: Buffer, { number, arch, args = [] }: SyscallData): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number >>> 0, 0);
  data.writeUInt32LE(arch >>> 0, 4);
  args.forEach((value, index) => data.writeBigUInt64LE(BigInt.asUintN(64, value), 16 + 8 * index));

  let accumulator = 0;
  for (let at = 0; at * 8 < program.length; at += 1) {
    const code = program.readUInt16LE(at * 8);
    const whenTrue = program.readUInt8(at * 8 + 2);
    const whenFalse = program.readUInt8(at * 8 + 3);
    const k = program.readUInt32LE(at * 8 + 4);
    if (code === 0x06) return k;
    if (code === 0x20) accumulator = data.readUInt32LE(k);
    else at += holds(code, accumulator, k) ? whenTrue : whenFalse;
  }
  throw new Error("The program runs off its end");
}

function holds(code: number, accumulator: number, k: number): boolean {
  if (code === 0x15) return accumulator === k;
  if (code === 0x35) return accumulator >= k;
  if (code === 0x45) return (accumulator & k) !== 0;
  throw new Error(`Not an instruction that Solo's programs use: ${code}`);
}
