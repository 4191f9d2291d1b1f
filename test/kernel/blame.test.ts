/** Who is to blame for the end of a cell (src/kernel/cells/blame.ts). */
import fc from "fast-check";
import { expect, test } from "vitest";
import { decideBlame, MAX_SUSPECTS, type Accused } from "#kernel/cells/blame.ts";

const quiet: Accused = { overdue: false, busy: false, heapBytes: 1000 };
const killed = { outOfMemory: false, fromOutside: false };
const outOfMemory = { outOfMemory: true, fromOutside: false };
const fromOutside = { outOfMemory: false, fromOutside: true };

test("one that was told to end and did not is the culprit, whoever else was at work", () => {
  const accused = [quiet, { ...quiet, busy: true }, { ...quiet, busy: true, overdue: true }];
  expect(decideBlame(accused, killed)).toEqual(["innocent", "innocent", "culprit"]);
});

test("the only one at work is the culprit", () => {
  expect(decideBlame([quiet, { ...quiet, busy: true }], killed)).toEqual(["innocent", "culprit"]);
});

test("several at work are suspects, none the culprit", () => {
  const busy = { ...quiet, busy: true };
  expect(decideBlame([busy, quiet, busy], killed)).toEqual(["suspect", "innocent", "suspect"]);
});

test("with nobody at work nobody is to blame, unless memory ran out: then one alone is, and of several each may be", () => {
  expect(decideBlame([quiet, quiet], killed)).toEqual(["innocent", "innocent"]);
  expect(decideBlame([quiet], outOfMemory)).toEqual(["culprit"]);
  expect(decideBlame([quiet, quiet], outOfMemory)).toEqual(["suspect", "suspect"]);
  expect(decideBlame([], outOfMemory)).toEqual([]);
  const small = Array.from({ length: MAX_SUSPECTS }, () => ({ ...quiet }));
  const blames = decideBlame([...small, { ...quiet, heapBytes: 5000 }], outOfMemory);
  expect([blames.at(-1), blames.filter((each) => each === "innocent").length]).toEqual([
    "suspect",
    1,
  ]);
});

test("of a cell that was killed from outside nobody is to blame, but who was overdue", () => {
  const busy = { ...quiet, busy: true };
  expect(decideBlame([busy], fromOutside)).toEqual(["innocent"]);
  expect(decideBlame([busy, busy], fromOutside)).toEqual(["innocent", "innocent"]);
  expect(decideBlame([busy, { ...busy, overdue: true }], fromOutside)).toEqual([
    "innocent",
    "culprit",
  ]);
});

test("whatever happened: a culprit stands alone or was overdue, and suspects are bounded, and were at work if anybody was", () => {
  const accused = fc.array(
    fc.record({ overdue: fc.boolean(), busy: fc.boolean(), heapBytes: fc.nat() }),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(accused, fc.constantFrom(killed, outOfMemory, fromOutside), (instances, end) => {
      const blames = decideBlame(instances, end);
      const having = (blame: string) => instances.filter((_, at) => blames[at] === blame);
      expect(blames).toHaveLength(instances.length);
      const culprits = having("culprit");
      expect(culprits.length <= 1 || culprits.every(({ overdue }) => overdue)).toBe(true);
      const suspects = having("suspect");
      expect(suspects.length).toBeLessThanOrEqual(MAX_SUSPECTS);
      const someWork = instances.some(({ busy }) => busy);
      expect(suspects.every(({ busy }) => busy || !someWork)).toBe(true);
      expect(culprits.length === 0 || suspects.length === 0).toBe(true);
    }),
  );
});
