/** How a share of the messages goes to a newer revision (src/kernel/services/split.ts). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Candidate } from "#kernel/services/router.ts";
import { isWithin, Split } from "#kernel/services/split.ts";

const candidates = (count: number, from: number, isUp = true): Candidate[] =>
  Array.from({ length: count }, (_, at) => ({ slot: from + at, isUp, mailboxLength: 0 }));
const percent = fc.integer({ min: 1, max: 99 });

describe("a share", () => {
  test("by weight is exact in any hundred messages, and within a group all take the same", () => {
    fc.assert(
      fc.property(percent, fc.nat(250), (share, before) => {
        const split = new Split({
          share: { percent: share, by: "weight" },
          newer: candidates(1, 0),
          older: candidates(3, 1),
        });
        for (let n = 0; n < before; n += 1) split.choose("round_robin");
        const taken = [0, 0, 0, 0];
        for (let n = 0; n < 100; n += 1) taken[split.choose("round_robin").slot]! += 1;
        expect(taken[0]).toBe(share);
        const [least, most] = [Math.min(...taken.slice(1)), Math.max(...taken.slice(1))];
        expect(most - least).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("by key is near what was asked, and a key that is in stays in as it rises", () => {
    const keys = Array.from({ length: 5000 }, (_, n) => `customer-${n}`);
    fc.assert(
      fc.property(percent, percent, (a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        const within = keys.filter((key) => isWithin(key, low));
        expect(within.every((key) => isWithin(key, high))).toBe(true);
        expect(Math.abs(within.length / 50 - low)).toBeLessThan(3);
      }),
      { numRuns: 50 },
    );
  });

  test("of replicas that are down goes to the others", () => {
    const share = { percent: 50, by: "weight" } as const;
    const older = candidates(2, 1);
    const split = new Split({ share, newer: candidates(1, 0, false), older });
    for (let n = 0; n < 10; n += 1) expect(split.choose("round_robin").isUp).toBe(true);
  });
});
