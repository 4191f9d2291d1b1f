import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checksum, eventText, type StoredEvent } from "#storage/chain.ts";
import { readEvents } from "#storage/event-reader.ts";
import { EventSource } from "#storage/event-source.ts";
import { verifyStep } from "#storage/event-verifier.ts";
import type { Storage, VerifyResult } from "#storage/storage.ts";
import { fill, open, tamper, tempDir, type TempDir } from "./support.ts";

const FIRST = join("events", "events-0000000000000001.db");
const SECOND = join("events", "events-0000000000000101.db");
const STATE = "state.db";

/** A closed log of 150 events: commits of 5, a sealed file of 100 and an active one. */
let original: TempDir;
beforeAll(async () => {
  original = await tempDir();
  await using storage = await open(original.path, { eventsPerFile: 100 });
  await fill(storage, { firstId: 1, count: 150 });
  await storage.kv.batch([{ op: "put", ns: "n", key: "k", value: new Uint8Array(1) }]);
});
afterAll(() => original[Symbol.asyncDispose]());

async function onCopy<T>(
  change: (dir: string) => void,
  work: (storage: Storage) => Promise<T>,
): Promise<T> {
  await using dir = await tempDir();
  mkdirSync(join(dir.path, "events"));
  for (const name of [FIRST, SECOND, STATE])
    copyFileSync(join(original.path, name), join(dir.path, name));
  change(dir.path);
  await using storage = await open(dir.path, { eventsPerFile: 100 });
  return await work(storage);
}

const verifyAfter = (
  change: (dir: string) => void,
  options: { fromId?: number } = {},
): Promise<VerifyResult> => onCopy(change, (storage) => storage.events.verify(options));

const firstBroken = (result: VerifyResult) => (result.ok ? undefined : result.firstBroken);

describe("the hash chain", () => {
  test("holds for a log that nobody changed, from any id", async () => {
    expect(await verifyAfter(() => {})).toEqual({ ok: true, checked: 150 });
    expect(await verifyAfter(() => {}, { fromId: 103 })).toEqual({ ok: true, checked: 50 });
  });

  test.each([
    ["payload", `payload = '{"n":43}'`],
    ["payload by one character", `payload = payload || ' '`],
    ["monotonic time", "timestamp = timestamp + 1"],
    ["wall time", "wall_ms = wall_ms + 1"],
    ["boot", "boot = tenant"],
    ["tenant", "tenant = 0"],
    ["type", "type = subject"],
    ["subject", "subject = NULL"],
    ["causation", "causation = 1"],
    ["checksum", "checksum = checksum + 1"],
  ])("names the event whose %s was changed", async (_, assignment) => {
    const result = await verifyAfter((dir) =>
      tamper(join(dir, FIRST), `UPDATE events SET ${assignment} WHERE id = 42`),
    );
    expect(firstBroken(result)).toBe(42);
  });

  test("names the first event of the commit when the event's own checksum was forged too", async () => {
    const [event] = (await onCopy(
      () => {},
      async (storage) => (await storage.events.read({ sinceId: 41, limit: 1 })).events,
    )) as [StoredEvent];
    const forged = checksum(eventText({ ...event, payload: "{}" }));
    const result = await verifyAfter((dir) =>
      tamper(
        join(dir, FIRST),
        `UPDATE events SET payload = '{}', checksum = ${forged} WHERE id = 42`,
      ),
    );
    expect(firstBroken(result)).toBe(41);
  });

  test.each([
    ["an event was removed", FIRST, "DELETE FROM events WHERE id = 42", 42],
    [
      "two events were swapped",
      FIRST,
      "UPDATE events SET id = -1 WHERE id = 42; UPDATE events SET id = 42 WHERE id = 43; UPDATE events SET id = 43 WHERE id = -1",
      42,
    ],
    [
      "a commit was removed with its events",
      FIRST,
      "DELETE FROM events WHERE id BETWEEN 41 AND 45; DELETE FROM commits WHERE last_id = 45",
      41,
    ],
    ["the record of a commit was removed", FIRST, "DELETE FROM commits WHERE last_id = 45", 41],
    [
      "a hash was changed",
      FIRST,
      "UPDATE commits SET hash = 'x' || substr(hash, 2) WHERE last_id = 45",
      41,
    ],
    ["a name was changed", FIRST, "UPDATE names SET text = 't9' WHERE text = 't1'", 1],
    ["the newest events were removed", SECOND, "DELETE FROM events WHERE id > 142", 143],
    [
      "the log was cut short with its commits",
      SECOND,
      "DELETE FROM events WHERE id > 140; DELETE FROM commits WHERE last_id > 140",
      141,
    ],
    [
      "an event was put in front",
      SECOND,
      "INSERT INTO events SELECT 7, timestamp, wall_ms, boot, tenant, type, subject, payload, causation, checksum FROM events WHERE id = 120",
      7,
    ],
    [
      "an event was added at the end",
      SECOND,
      "INSERT INTO events SELECT 151, timestamp, wall_ms, boot, tenant, type, subject, payload, causation, checksum FROM events WHERE id = 120",
      151,
    ],
    ["a file pretends to continue another chain", SECOND, "UPDATE meta SET previous = '0'", 101],
  ])("notices that %s", async (_, file, sql, id) => {
    expect(firstBroken(await verifyAfter((dir) => tamper(join(dir, file), sql)))).toBe(id);
  });

  test("notices that a whole file is gone, at the start and at the end", async () => {
    expect(firstBroken(await verifyAfter((dir) => rmSync(join(dir, FIRST))))).toBe(1);
    expect(firstBroken(await verifyAfter((dir) => rmSync(join(dir, SECOND))))).toBe(101);
  });

  test("notices a log that was rewritten as a whole", async () => {
    await using other = await tempDir();
    {
      await using storage = await open(other.path, { eventsPerFile: 100 });
      await fill(storage, { firstId: 1, count: 150, perCommit: 25 });
    }
    const result = await verifyAfter((dir) => {
      for (const name of [FIRST, SECOND]) copyFileSync(join(other.path, name), join(dir, name));
    });
    expect(firstBroken(result)).toBe(150);
  });

  test("an id that was ever given is not given again after the log was cut short", async () => {
    await using dir = await tempDir();
    {
      await using storage = await open(dir.path);
      await fill(storage, { firstId: 1, count: 20 });
    }
    tamper(
      join(dir.path, FIRST),
      "DELETE FROM events WHERE id > 10; DELETE FROM commits WHERE last_id > 10",
    );
    await using storage = await open(dir.path);
    expect(storage.events.openedAtId).toBe(20);
    await fill(storage, { firstId: 21, count: 5 });
    expect(firstBroken(await storage.events.verify())).toBe(11);
  });

  test("notices an index that was forged to hide events from filtered reads", async () => {
    await using dir = await tempDir();
    {
      await using storage = await open(dir.path);
      await fill(storage, { firstId: 1, count: 33_000, perCommit: 1_000 });
      expect(await storage.events.verify()).toEqual({ ok: true, checked: 33_000 });
    }
    tamper(
      join(dir.path, FIRST),
      "UPDATE postings SET list = substr(list, 3) WHERE block = 1 AND key = 2",
    );
    await using storage = await open(dir.path);
    expect(firstBroken(await storage.events.verify())).toBe(16_385);
  });

  test("a byte flipped anywhere in the file either leaves every event as it was or is noticed", async () => {
    await using dir = await tempDir();
    const file = join(dir.path, "events-0000000000000001.db");
    const bytes = readFileSync(join(original.path, FIRST));
    const bounds = { firstId: 1, headId: 100, anchor: { id: 0, hash: "" } };
    const look = () => {
      const source = new EventSource(dir.path);
      try {
        const verdict = verifyStep(source, { nextId: 1, bounds });
        return "firstBroken" in verdict
          ? undefined
          : JSON.stringify(readEvents(source, { limit: 1_000 }));
      } finally {
        source.close();
      }
    };
    writeFileSync(file, bytes);
    const intact = look();
    expect(intact).toContain('"payload"');
    let noticed = 0;
    for (let at = 0; at < bytes.length; at += 67) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
      writeFileSync(file, flipped);
      const seen = look();
      if (seen === undefined) noticed++;
      else expect(seen, `byte ${at}`).toBe(intact);
    }
    expect(noticed).toBeGreaterThan(50);
  });
});
