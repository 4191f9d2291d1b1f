/** Whom a kernel was starting when it died (src/deploy/boot-attempts.ts). */
import fc from "fast-check";
import { expect, test } from "vitest";
import { BootAttempts } from "#deploy/boot-attempts.ts";
import { memoryKv } from "./support.ts";

test("names what was begun and not ended, and counts the kernels that died at it", async () => {
  const kv = memoryKv();
  for (const deaths of [1, 2, 3]) {
    const attempts = new BootAttempts(kv);
    await attempts.open();
    await Promise.all(["t/a", "t/b"].map((name) => attempts.begin(name)));
    attempts.ended("t/a");
    await attempts.begin("t/c");
    const { deaths: counted, unfinished } = await new BootAttempts(kv).open();
    expect(unfinished).toEqual(new Set(["t/b", "t/c"]));
    expect(counted.get("t/b")).toBe(deaths);
    expect(counted.has("t/a")).toBe(false);
  }
});

test("leaves nothing once all starts have ended, and a damaged record says nothing", async () => {
  const kv = memoryKv();
  const attempts = new BootAttempts(kv);
  await attempts.open();
  await attempts.begin("t/a");
  const [row] = [...kv.rows.keys()];
  attempts.ended("t/a");
  await attempts.settle();
  expect(kv.rows.size).toBe(0);
  for (const bytes of [new Uint8Array(0), new Uint8Array(40)]) {
    kv.rows.set(row!, bytes);
    const { deaths, unfinished } = await new BootAttempts(kv).open();
    expect([deaths.size, unfinished.size]).toEqual([0, 0]);
  }
});

test("whatever begins and ends, what begin has promised is on disk", async () => {
  const step = fc.record({ name: fc.constantFrom("a", "b", "c"), ends: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const kv = memoryKv();
      const attempts = new BootAttempts(kv);
      await attempts.open();
      const begun = new Set<string>();
      const writing: Promise<void>[] = [];
      for (const { name, ends } of steps) {
        if (ends) attempts.ended(name);
        else writing.push(attempts.begin(name));
        if (ends) begun.delete(name);
        else begun.add(name);
      }
      await Promise.all(writing);
      const { unfinished } = await new BootAttempts(kv).open();
      for (const name of begun) expect(unfinished.has(name)).toBe(true);
      await attempts.settle();
      expect((await new BootAttempts(kv).open()).unfinished).toEqual(begun);
    }),
  );
});
