import { describe, expect, test } from "vitest";
import { systemClock } from "#base/clock.ts";
import { open, rejection, tempDir } from "./support.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const put = (key: string, text: string, more: { ifVersion?: number; expiresAtMs?: number } = {}) =>
  ({ op: "put", ns: "n", key, value: bytes(text), ...more }) as const;

describe("key-value pairs", () => {
  test("what was put is there after the store was closed and opened again, with its version", async () => {
    await using dir = await tempDir();
    const [version] = await (async () => {
      await using storage = await open(dir.path);
      return await storage.kv.batch([put("k", "v")]);
    })();
    await using storage = await open(dir.path);
    expect(await storage.kv.get("n", "k")).toEqual({ value: bytes("v"), version });
    expect(await storage.kv.get("other", "k")).toBeUndefined();
  });

  test("a batch whose condition fails changes nothing", async () => {
    await using dir = await tempDir();
    await using storage = await open(dir.path);
    const [version] = (await storage.kv.batch([put("a", "1")])) as [number];
    const refusal = await rejection(
      storage.kv.batch([put("b", "2"), put("a", "2", { ifVersion: version + 1 })]),
    );
    expect(refusal.code).toBe("conflict");
    expect(await storage.kv.get("n", "b")).toBeUndefined();
    expect(await storage.kv.batch([put("a", "2", { ifVersion: version })])).toEqual([version + 1]);
  });

  test("version 0 means that the key must not exist", async () => {
    await using dir = await tempDir();
    await using storage = await open(dir.path);
    await storage.kv.batch([put("a", "1", { ifVersion: 0 })]);
    expect((await rejection(storage.kv.batch([put("a", "2", { ifVersion: 0 })]))).code).toBe(
      "conflict",
    );
  });

  test("a version is never used again, also after a delete and a restart", async () => {
    await using dir = await tempDir();
    const seen: number[] = [];
    for (let round = 0; round < 3; round++) {
      await using storage = await open(dir.path);
      seen.push(...(await storage.kv.batch([put("a", "x")])));
      await storage.kv.batch([{ op: "delete", ns: "n", key: "a" }]);
    }
    expect(new Set(seen).size).toBe(3);
  });

  test("one of many concurrent writers with the same condition wins", async () => {
    await using dir = await tempDir();
    await using storage = await open(dir.path);
    const tries = Array.from({ length: 50 }, (_, i) =>
      storage.kv.batch([put("a", `${i}`, { ifVersion: 0 })]),
    );
    const outcomes = await Promise.allSettled(tries);
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  test("a key past its expiry is as if it were not there", async () => {
    await using dir = await tempDir();
    let nowMs = 1_000;
    await using storage = await open(dir.path, { clock: { ...systemClock, wallMs: () => nowMs } });
    await storage.kv.batch([put("a", "1", { expiresAtMs: 2_000 }), put("b", "1")]);
    expect(await storage.kv.get("n", "a")).toBeDefined();
    nowMs = 2_000;
    expect(await storage.kv.get("n", "a")).toBeUndefined();
    expect((await storage.kv.list("n", { limit: 10 })).map(({ key }) => key)).toEqual(["b"]);
    await storage.kv.batch([put("a", "2", { ifVersion: 0 })]);
    nowMs = 500_000;
    await storage.kv.batch([put("c", "sweeps")]);
    expect((await storage.kv.get("n", "a"))?.value).toEqual(bytes("2"));
  });

  test("lists are in key order, by prefix, in pages", async () => {
    await using dir = await tempDir();
    await using storage = await open(dir.path);
    const keys = ["a", "a/1", "a/10", "a/2", "a/é", "a/\u{1F600}", "b", "ab"];
    await storage.kv.batch(keys.map((key) => put(key, key)));
    const page = await storage.kv.list("n", { prefix: "a/", limit: 3 });
    expect(page.map(({ key }) => key)).toEqual(["a/1", "a/10", "a/2"]);
    const rest = await storage.kv.list("n", { prefix: "a/", after: "a/2", limit: 10 });
    expect(rest.map(({ key }) => key)).toEqual(["a/é", "a/\u{1F600}"]);
  });

  test("absurd names and values are refused before they reach the disk", async () => {
    await using dir = await tempDir();
    await using storage = await open(dir.path);
    for (const key of ["", "x".repeat(1_025), "a\0b", "\ud800"]) {
      expect((await rejection(storage.kv.batch([put(key, "v")]))).code).toBe("invalid_argument");
    }
    const huge = {
      op: "put",
      ns: "n",
      key: "k",
      value: new Uint8Array(16 * 1024 * 1024 + 1),
    } as const;
    expect((await rejection(storage.kv.batch([huge]))).code).toBe("payload_too_large");
    expect((await rejection(storage.kv.list("n", { limit: 0 }))).code).toBe("invalid_argument");
  });
});
