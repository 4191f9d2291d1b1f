import { execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { eventFileName } from "#storage/event-dir.ts";
import { CHECKPOINT_PAGES } from "#storage/limits.ts";
import { checkSqliteVersion } from "#storage/sqlite.ts";
import { allEvents, batch, fill, open, rejection, tempDir } from "./support.ts";

const CHILD = new URL("./child.ts", import.meta.url).pathname;

describe("opening and closing", () => {
  test("ids are dense across restarts", async () => {
    await using dir = await tempDir();
    for (let round = 0; round < 3; round++) {
      await using storage = await open(dir.path);
      expect(storage.events.openedAtId).toBe(round * 10);
      await fill(storage, { firstId: round * 10 + 1, count: 10 });
    }
    await using storage = await open(dir.path);
    expect((await allEvents(storage)).map(({ id }) => id)).toEqual(
      Array.from({ length: 30 }, (_, i) => i + 1),
    );
    expect(await storage.events.verify()).toEqual({ ok: true, checked: 30 });
  });

  test("a batch that does not follow the newest event is refused", async () => {
    await using dir = await tempDir();
    await using storage = await open(dir.path);
    await storage.events.append(batch(1, [{}]));
    expect((await rejection(storage.events.append(batch(3, [{}])))).code).toBe("conflict");
    await storage.events.append(batch(2, [{}]));
  });

  test("a commit does not wait for its log to become longer: the room is there", async () => {
    await using dir = await tempDir();
    const logs = () =>
      [join(dir.path, "state.db-wal"), join(dir.path, "events", `${eventFileName(1)}-wal`)].map(
        (path) => statSync(path).size,
      );
    await using storage = await open(dir.path);
    const before = logs();
    for (let n = 1; n <= 100; n += 1) {
      const value = Buffer.from(`value ${n}`);
      await storage.kv.batch([{ op: "put", ns: "n", key: `k${n}`, value }]);
      await storage.events.append(batch(n, [{}]));
    }
    expect(logs()).toEqual(before);
    expect(Math.min(...before)).toBeGreaterThan(CHECKPOINT_PAGES * 4096);
  });

  test("closing twice is closing once, and afterwards everything is unavailable", async () => {
    await using dir = await tempDir();
    const storage = await open(dir.path);
    const writing = storage.events.append(batch(1, [{}]));
    await Promise.all([storage.close(), storage.close()]);
    await writing;
    expect(await storage.closed).toBeUndefined();
    expect((await rejection(storage.events.append(batch(2, [{}])))).code).toBe("unavailable");
    expect((await rejection(storage.events.read({ limit: 1 }))).code).toBe("unavailable");
    expect((await rejection(storage.kv.get("n", "k"))).code).toBe("unavailable");
  });

  test("a storage thread that is killed under load ends every promise, and opening again finds what was acknowledged", async () => {
    await using dir = await tempDir();
    const storage = await open(dir.path);
    let acknowledged = 0;
    const writes = Array.from({ length: 200 }, (_, i) =>
      storage.events
        .append(batch(i + 1, [{ payload: `{"n":${i}}` }]))
        .then(() => (acknowledged = i + 1)),
    );
    await writes[5];
    storage.kill();
    const outcomes = await Promise.allSettled([...writes, storage.kv.get("n", "k")]);
    expect(await storage.closed).toBeInstanceOf(Error);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected")
        expect(outcome.reason).toMatchObject({ code: "unavailable" });
    }
    await storage.close();
    await using again = await open(dir.path);
    expect(again.events.openedAtId).toBeGreaterThanOrEqual(acknowledged);
    expect((await again.events.verify()).ok).toBe(true);
  });

  test("an old SQLite is refused", () => {
    expect(() => checkSqliteVersion("3.51.2")).toThrow(/needs 3\.51\.3/);
    expect(() => checkSqliteVersion("3.9.9")).toThrow();
    checkSqliteVersion("3.51.3");
    checkSqliteVersion("3.53.0");
    checkSqliteVersion("4.0.0");
  });
});

describe("a store that cannot be opened says why", () => {
  test("locked by this process", async () => {
    await using dir = await tempDir();
    await using _storage = await open(dir.path);
    const refusal = await rejection(open(dir.path));
    expect(refusal.code).toBe("storage_locked");
    expect(refusal.message).toContain(`process ${process.pid}`);
  });

  test("locked by another kernel, until that process is killed", async () => {
    await using dir = await tempDir();
    const child = spawn(process.execPath, [CHILD, dir.path, "hold"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    const refusal = await rejection(open(dir.path));
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(refusal.code).toBe("storage_locked");
    expect(refusal.message).toContain(`process ${child.pid}`);
    await using _storage = await open(dir.path);
  });

  test.each(["state.db", "logs.db", join("events", "events-0000000000000001.db")])(
    "%s is no database",
    async (name) => {
      await using dir = await tempDir();
      await (await open(dir.path)).close();
      writeFileSync(join(dir.path, name), "garbage ".repeat(2_000));
      const refusal = await rejection(open(dir.path));
      expect(refusal.code).toBe("storage_corrupt");
      expect(refusal.message).toContain(name);
      expect(refusal.options.hint).toContain("backup");
    },
  );

  test("an event file that was torn off in the middle", async () => {
    await using dir = await tempDir();
    {
      await using storage = await open(dir.path);
      await fill(storage, { firstId: 1, count: 2_000, perCommit: 200 });
    }
    truncateSync(join(dir.path, "events", "events-0000000000000001.db"), 20_000);
    expect((await rejection(open(dir.path))).code).toBe("storage_corrupt");
  });

  test("the data directory is a file", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "data");
    writeFileSync(path, "");
    expect((await rejection(open(path))).code).toBe("storage_read_only");
    expect((await rejection(open(join(path, "below")))).code).toBe("storage_read_only");
  });

  test("the data directory may not be written to", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "data");
    mkdirSync(path);
    chmodSync(dir.path, 0o755);
    chmodSync(path, 0o555);
    // Permissions do not bind root, so root asks as somebody else.
    const asNobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    const output = execFileSync(process.execPath, [CHILD, path, "open"], {
      encoding: "utf8",
      ...asNobody,
    });
    expect(output.trim()).toBe("storage_read_only");
  });
});

describe("a full disk", () => {
  test("loses nothing acknowledged, keeps answering reads, and goes on once there is room", async () => {
    await using dir = await tempDir();
    let acknowledged = 0;
    {
      await using storage = await open(dir.path, { maxFileBytes: 200_000 });
      const refusal = await rejection(
        (async () => {
          for (;;) {
            await fill(storage, { firstId: acknowledged + 1, count: 50, perCommit: 50 });
            acknowledged += 50;
          }
        })(),
      );
      expect(refusal.code).toBe("storage_full");
      expect((await allEvents(storage)).length).toBe(acknowledged);
      expect((await storage.events.verify()).ok).toBe(true);
      const value = new Uint8Array(50_000);
      const puts = [];
      for (let i = 0; i < 10; i++)
        puts.push(storage.kv.batch([{ op: "put", ns: "n", key: `k${i}`, value }]));
      const stored = (await Promise.allSettled(puts)).filter(
        ({ status }) => status === "fulfilled",
      ).length;
      expect(stored).toBeLessThan(10);
      expect(await storage.kv.list("n", { limit: 20 })).toHaveLength(stored);
    }
    await using storage = await open(dir.path);
    expect(storage.events.openedAtId).toBe(acknowledged);
    await fill(storage, { firstId: acknowledged + 1, count: 50 });
    expect(await storage.events.verify()).toEqual({ ok: true, checked: acknowledged + 50 });
  });
});
