import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_INSTRUCTIONS, assemble, ifEqual } from "#sandbox/bpf.ts";
import { ARCHES, VERDICT, seccompBytes, type SeccompArch } from "#sandbox/seccomp.ts";
import { ALLOWED, CHECKED, REFUSED } from "#sandbox/syscalls.ts";
import { runSeccomp } from "./bpf-machine.ts";

const CLONE_THREAD = 0x00010000n;
/** What glibc's pthread_create asks for. */
const PTHREAD = 0x003d0f00n;
const CLONE_NEW = [
  0x00020000n,
  0x02000000n,
  0x04000000n,
  0x08000000n,
  0x10000000n,
  0x20000000n,
  0x40000000n,
];
const any64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const args = fc.array(any64, { minLength: 6, maxLength: 6 });

describe.each(["x64", "arm64"] as const)("the seccomp program for %s", (arch: SeccompArch) => {
  const { audit, column } = ARCHES[arch];
  const program = seccompBytes({ arch });
  const run = (number: number, given: readonly bigint[] = [], on = audit) =>
    runSeccomp(program, { number, arch: on, args: given });
  const numbers = (table: typeof ALLOWED) =>
    Object.values(table).flatMap((row) => (row[column] === null ? [] : [row[column]]));
  const allowed = numbers(ALLOWED);
  const refused = numbers(REFUSED);
  const checked = Object.values(CHECKED).map((row) => row[column]);

  test("fits the kernel's limit, and no call is in two tables", () => {
    expect(program.length / 8).toBeLessThan(MAX_INSTRUCTIONS);
    const all = [...allowed, ...refused, ...checked];
    expect(new Set(all).size).toBe(all.length);
  });

  test("refuses every listed attack and allows every listed need, whatever the arguments", () => {
    fc.assert(
      fc.property(args, (given) => {
        for (const number of refused) expect(run(number, given)).toBe(VERDICT.refuse);
        for (const number of allowed) expect(run(number, given)).toBe(VERDICT.allow);
      }),
      { numRuns: 5 },
    );
  });

  test("answers ENOSYS to every call that nobody listed", () => {
    const listed = new Set([...allowed, ...refused, ...checked]);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0x3fffffff }), args, (number, given) => {
        fc.pre(!listed.has(number));
        expect(run(number, given)).toBe(VERDICT.unknown);
      }),
    );
  });

  test("kills calls from any other architecture", () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(500), args, (other, number, given) => {
        fc.pre(other !== audit);
        expect(run(number, given, other)).toBe(VERDICT.kill);
      }),
    );
    const i386 = 0x40000003;
    expect(run(11, [], i386)).toBe(VERDICT.kill);
  });

  test("allows clone for threads only, never with a new namespace", () => {
    const clone = CHECKED.clone[column];
    expect(run(clone, [PTHREAD])).toBe(VERDICT.allow);
    expect(run(clone, [17n])).toBe(VERDICT.refuse);
    fc.assert(
      fc.property(any64, fc.subarray(CLONE_NEW, { minLength: 1 }), (flags, spaces) => {
        const given = spaces.reduce((all, each) => all | each, flags);
        expect(run(clone, [given])).toBe(VERDICT.refuse);
        expect(run(clone, [flags & ~CLONE_THREAD])).toBe(VERDICT.refuse);
      }),
    );
    expect(run(CHECKED.clone3[column])).toBe(VERDICT.unknown);
  });

  test("allows only harmless ioctls, also with high bits set", () => {
    const TIOCSTI = 0x5412n;
    const FIONBIO = 0x5421n;
    expect(run(CHECKED.ioctl[column], [0n, FIONBIO])).toBe(VERDICT.allow);
    expect(run(CHECKED.ioctl[column], [0n, TIOCSTI])).toBe(VERDICT.refuse);
    expect(run(CHECKED.ioctl[column], [0n, TIOCSTI | (1n << 32n)])).toBe(VERDICT.refuse);
  });

  test("lets the credentials be dropped only when that happens inside", () => {
    const PR_SET_NO_NEW_PRIVS = 38n;
    const PR_SET_PDEATHSIG = 1n;
    const inside = seccompBytes({ arch, credentials: true });
    const both = (number: number, given: bigint[] = []) =>
      [program, inside].map((each) => runSeccomp(each, { number, arch: audit, args: given }));
    expect(both(REFUSED.setresuid![column]!)).toEqual([VERDICT.refuse, VERDICT.allow]);
    expect(both(CHECKED.prctl[column], [PR_SET_NO_NEW_PRIVS])).toEqual([
      VERDICT.refuse,
      VERDICT.allow,
    ]);
    expect(both(CHECKED.prctl[column], [PR_SET_PDEATHSIG])).toEqual([
      VERDICT.refuse,
      VERDICT.refuse,
    ]);
    expect(both(REFUSED.ptrace![column]!)).toEqual([VERDICT.refuse, VERDICT.refuse]);
  });
});

test("x32 calls are killed on x64", () => {
  const program = seccompBytes({ arch: "x64" });
  fc.assert(
    fc.property(fc.integer({ min: 0x40000000, max: 0xffffffff }), (number) => {
      expect(runSeccomp(program, { number, arch: ARCHES.x64.audit })).toBe(VERDICT.kill);
    }),
  );
});

test("a program that cannot be encoded is refused", () => {
  const long = Array.from({ length: 256 }, () => ({ code: 6, jt: 0, jf: 0, k: 0 }));
  expect(() => ifEqual(1, long)).toThrow(RangeError);
  expect(() => assemble([])).toThrow(RangeError);
});
