/** Which replica takes a message (src/kernel/services/router.ts). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Router, type Candidate } from "#kernel/services/router.ts";

const slots = (count: number, more: (slot: number) => Partial<Candidate> = () => ({})) =>
  Array.from({ length: count }, (_, slot) => ({
    slot,
    isUp: true,
    mailboxLength: 0,
    ...more(slot),
  }));

describe("by turns", () => {
  test("every replica takes as much as any other", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 5 }), (n, rounds) => {
        const router = new Router();
        const taken = Array<number>(n).fill(0);
        for (let turn = 0; turn < n * rounds; turn += 1) {
          taken[router.choose(slots(n), "round_robin").slot]! += 1;
        }
        expect(new Set(taken)).toEqual(new Set([rounds]));
      }),
    );
  });

  test("one that is down is passed over, unless all are", () => {
    const router = new Router();
    const some = slots(3, (slot) => ({ isUp: slot === 1 }));
    for (let n = 0; n < 5; n += 1) expect(router.choose(some, "round_robin").slot).toBe(1);
    expect(
      router.choose(
        slots(2, () => ({ isUp: false })),
        "round_robin",
      ).isUp,
    ).toBe(false);
  });
});

test("the least busy that is up is chosen", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ isUp: fc.boolean(), mailboxLength: fc.nat(20) }), {
        minLength: 1,
        maxLength: 16,
      }),
      (states) => {
        const replicas = states.map((state, slot) => ({ slot, ...state }));
        const chosen = new Router().choose(replicas, "least_busy");
        const up = replicas.filter(({ isUp }) => isUp);
        if (up.length === 0) return;
        expect(chosen.isUp).toBe(true);
        expect(chosen.mailboxLength).toBe(Math.min(...up.map((each) => each.mailboxLength)));
      },
    ),
  );
});

describe("by key", () => {
  const owners = (count: number, keys: readonly string[]) =>
    keys.map((key) => new Router().choose(slots(count), "key", key).slot);
  const keys = Array.from({ length: 4000 }, (_, n) => `user-${n}`);

  test("a key always means the same slot, also when it is down (invariant 1)", () => {
    const down = slots(8, () => ({ isUp: false }));
    for (const key of keys.slice(0, 100)) {
      expect(new Router().choose(down, "key", key).slot).toBe(owners(8, [key])[0]);
    }
  });

  test("keys are spread over the slots, and one slot more moves only what it gains", () => {
    const [eight, nine] = [owners(8, keys), owners(9, keys)];
    for (let slot = 0; slot < 8; slot += 1) {
      const share = eight.filter((owner) => owner === slot).length;
      expect(share).toBeGreaterThan(350);
      expect(share).toBeLessThan(650);
    }
    const moved = keys.filter((_, at) => eight[at] !== nine[at]);
    expect(moved.every((key) => owners(9, [key])[0] === 8)).toBe(true);
    expect(moved.length).toBeLessThan(700);
  });

  test("without a key the replicas take turns", () => {
    const router = new Router();
    const chosen = Array.from({ length: 4 }, () => router.choose(slots(4), "key").slot);
    expect(new Set(chosen).size).toBe(4);
  });
});
