import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { allEvents, fill, open, tempDir } from "./support.ts";

test("pruning archives whole files, keeps ids and chain, and what is archived can be read", async () => {
  await using dir = await tempDir();
  const archiveDir = join(dir.path, "events", "archive");
  {
    await using storage = await open(dir.path, { eventsPerFile: 100 });
    await fill(storage, { firstId: 1, count: 350 });
    await allEvents(storage); // The reader has the files open.
    const pruned = await storage.events.prune({ beforeId: 250 });
    expect(pruned.firstId).toBe(201);
    expect(pruned.archived.every((path) => existsSync(path))).toBe(true);
    expect(readdirSync(archiveDir)).toHaveLength(2);
    expect((await allEvents(storage)).map(({ id }) => id)).toEqual(
      Array.from({ length: 150 }, (_, i) => 201 + i),
    );
    expect(await storage.events.verify()).toEqual({ ok: true, checked: 150 });
    await fill(storage, { firstId: 351, count: 10 });
  }
  await using storage = await open(dir.path, { eventsPerFile: 100 });
  expect(await storage.events.verify()).toEqual({ ok: true, checked: 160 });
  expect(await storage.events.prune({ beforeId: 1 })).toEqual({ firstId: 201, archived: [] });
  const archived = gunzipSync(readFileSync(join(archiveDir, "events-0000000000000001.db.gz")));
  expect(archived.subarray(0, 15).toString()).toBe("SQLite format 3");
  expect(archived.includes('{"n":100}')).toBe(true);
});

test("the file that is being written is never pruned", async () => {
  await using dir = await tempDir();
  await using storage = await open(dir.path, { eventsPerFile: 100 });
  await fill(storage, { firstId: 1, count: 50 });
  expect(await storage.events.prune({ beforeId: 1_000 })).toEqual({ firstId: 1, archived: [] });
  expect(await allEvents(storage)).toHaveLength(50);
});
