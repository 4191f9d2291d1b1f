/** `solo.kv` as services use it: batches, versions, pages (src/kernel/services/host/service-kv.ts). */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startInProcess, type InProcessKernel } from "../support/kernel-in-process.ts";

const STORE = `export default { calls: {
  batch: (solo, writes) => solo.kv.batch(writes),
  entry: (solo, key) => solo.kv.entry(key),
  get: (solo, key) => solo.kv.get(key),
  list: (solo, options) => solo.kv.list(options),
  async fill(solo, count, chars) {
    for (let n = 0; n < count; n += 1) await solo.kv.put("big:" + String(n).padStart(3, "0"), "x".repeat(chars));
  },
  async pages(solo, prefix) {
    const sizes = [];
    for (let after = ""; ; ) {
      const page = await solo.kv.list({ prefix, after, limit: 1000 });
      if (page.length === 0) return sizes;
      sizes.push(page.length);
      after = page.at(-1).key;
    }
  },
} };`;

let solo: InProcessKernel;
beforeAll(async () => {
  solo = await startInProcess();
  await solo.ask("Deploy", { service_id: "store", code: STORE });
});
afterAll(() => solo[Symbol.asyncDispose]());

const call = (name: string, ...args: unknown[]) => solo.call("default", "store", name, ...args);

test("a batch is written whole, and tells the versions that the next one can name", async () => {
  const [first, second] = (await call("batch", [
    { put: "a", value: { n: 1 } },
    { put: "b", value: null },
  ])) as number[];
  expect(await call("entry", "a")).toEqual({ value: { n: 1 }, version: first });
  expect(await call("entry", "none")).toBeNull();
  expect(second).toBeGreaterThan(first!);
  const [moved, gone] = (await call("batch", [
    { put: "a", value: 2, ifVersion: first },
    { delete: "b", ifVersion: second },
  ])) as number[];
  expect(gone).toBe(0);
  expect(await call("list", { prefix: "" })).toEqual([{ key: "a", value: 2, version: moved }]);
});

test("a batch with one condition that does not hold writes nothing", async () => {
  const [version] = (await call("batch", [{ put: "c", value: 1 }])) as number[];
  for (const stale of [
    { put: "c", value: 9, ifVersion: version! - 1 },
    { put: "c", value: 9, ifVersion: 0 },
    { delete: "new", ifVersion: 1 },
  ]) {
    await expect(call("batch", [{ put: "d", value: 1 }, stale])).rejects.toMatchObject({
      code: "conflict",
      message: expect.not.stringContaining("kv:") as string,
    });
  }
  expect(await call("get", "d")).toBeNull();
  expect(await call("get", "c")).toBe(1);
});

test("what is no batch is refused by the place of the mistake", async () => {
  const refusals: [unknown, string][] = [
    ["no list", "writes"],
    [[{}], "writes.0"],
    [
      [
        { put: "a", value: 1 },
        { put: "a", delete: "a" },
      ],
      "writes.1",
    ],
    [[{ put: "a", value: 1, ifVersion: -1 }], "writes.0.ifVersion"],
    [[{ put: "", value: 1 }], "key"],
    [Array.from({ length: 501 }, () => ({ delete: "a" })), "writes"],
  ];
  for (const [writes, field] of refusals) {
    await expect(call("batch", writes), field).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringMatching(new RegExp(`^${field} `)) as string,
    });
  }
  const heavy = Array.from({ length: 5 }, (_, n) => ({ put: `h${n}`, value: "x".repeat(900_000) }));
  await expect(call("batch", heavy)).rejects.toMatchObject({ code: "payload_too_large" });
});

test("pages of large values end early, and `after` goes through all of them", async () => {
  await call("fill", 12, 1_000_000);
  const sizes = (await call("pages", "big:")) as number[];
  expect(sizes.reduce((sum, size) => sum + size)).toBe(12);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(5);
});
