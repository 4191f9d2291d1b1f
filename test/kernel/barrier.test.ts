/** The states of an instance on their way to disk (src/kernel/services/instance/barrier.ts). */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Barrier } from "#kernel/services/instance/barrier.ts";

/** A disk whose writes end when the test says so, and one at a time. */
function slowDisk(isDurable: boolean) {
  const under: { state: number; end: PromiseWithResolvers<void> }[] = [];
  const onDisk: number[] = [];
  let most = 0;
  const barrier = new Barrier({
    isDurable,
    async save(state) {
      const end = Promise.withResolvers<void>();
      under.push({ state: Number(state), end });
      most = Math.max(most, under.length);
      await end.promise;
    },
  });
  return {
    barrier,
    under,
    onDisk,
    get most() {
      return most;
    },
    async end(well: boolean) {
      const write = under.shift();
      if (write === undefined) return;
      if (well) onDisk.push(write.state);
      if (well) write.end.resolve();
      else write.end.reject(new Error("The disk is full."));
      // A chained write begins, and what waited runs, in the microtasks before this.
      await new Promise((resolve) => void setImmediate(resolve));
    },
  };
}

test("a thousand states while one is written are one more write, of the newest", async () => {
  const disk = slowDisk(true);
  for (let state = 1; state <= 1000; state += 1) disk.barrier.store(String(state));
  const replied: string[] = [];
  disk.barrier.pass(
    () => replied.push("stored"),
    () => replied.push("failed"),
  );
  await disk.end(true);
  expect([disk.onDisk, replied]).toEqual([[1], []]);
  await disk.end(true);
  expect([disk.onDisk, replied]).toEqual([[1, 1000], ["stored"]]);
  expect(disk.under).toHaveLength(0);
});

test("whatever is stored, answered and refused: a reply leaves in its turn, after its state or a newer one", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom("store", "reply", "written", "refused"), { maxLength: 60 }),
      async (steps) => {
        const disk = slowDisk(true);
        let newest = 0;
        const asked: number[] = [];
        const left: { state: number; ok: boolean }[] = [];
        const covered = (state: number) => state === 0 || disk.onDisk.some((each) => each >= state);
        for (const step of steps) {
          if (step === "store") disk.barrier.store(String((newest += 1)));
          else if (step === "reply") {
            const state = newest;
            asked.push(state);
            disk.barrier.pass(
              () => {
                expect(covered(state)).toBe(true);
                left.push({ state, ok: true });
              },
              () => left.push({ state, ok: false }),
            );
          } else await disk.end(step === "written");
        }
        while (disk.under.length > 0) await disk.end(true);
        expect(left.map(({ state }) => state)).toEqual(asked);
        expect(disk.most).toBeLessThanOrEqual(1);
        expect(disk.onDisk).toEqual(disk.onDisk.toSorted((a, b) => a - b));
        let over = false;
        disk.barrier.afterwards(() => (over = true));
        expect(over).toBe(true);
      },
    ),
    { numRuns: 300 },
  ));
