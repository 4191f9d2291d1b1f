import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeOffsets, encodeOffsets, intersect, union } from "#storage/posting.ts";
import type { EventFilter } from "#storage/protocol.ts";
import type { Storage } from "#storage/storage.ts";
import { batch, open, tempDir, type TempDir } from "./support.ts";

/** Over two files, with indexed blocks, an unindexed rest, rare and common names, and a wall clock that jumps. */
const EVENTS = 45_000;
const TYPES = ["system_started", "service_started", "service_crashed", "service.rare"] as const;
const model = Array.from({ length: EVENTS }, (_, i) => {
  const id = i + 1;
  return {
    id,
    tenant: i % 5 === 0 ? null : `t${(i * 7) % 11}`,
    type: i % 9_000 === 17 ? TYPES[3] : (TYPES[(i >> 4) % 3] as string),
    subject: i % 13 === 0 ? null : `s${(i * 31) % 200}`,
    wallMs: 1_000_000 + i * 3 - (i > 30_000 ? 50_000 : 0),
  };
});

let dir: TempDir;
let storage: Storage;
beforeAll(async () => {
  dir = await tempDir();
  const writing = await open(dir.path, { eventsPerFile: 20_000 });
  for (let from = 0; from < EVENTS; from += 1_000) {
    await writing.events.append(batch(from + 1, model.slice(from, from + 1_000)));
  }
  // Not closed in an orderly way: the lists of the newest block exist only in memory and are lost.
  writing.kill();
  await writing.closed;
  storage = await open(dir.path, { eventsPerFile: 20_000 });
});
afterAll(async () => {
  await storage.close();
  await dir[Symbol.asyncDispose]();
});

function naive(filter: EventFilter): number[] {
  const {
    tenant,
    subject,
    types,
    sinceId = 0,
    untilId = Infinity,
    fromWallMs = -Infinity,
    toWallMs = Infinity,
  } = filter;
  const found = model.filter(
    (event) =>
      (tenant === undefined || event.tenant === tenant) &&
      (subject === undefined || event.subject === subject) &&
      (types === undefined || types.includes(event.type)) &&
      event.id > sinceId &&
      event.id <= untilId &&
      event.wallMs >= fromWallMs &&
      event.wallMs < toWallMs,
  );
  if (filter.order === "desc") found.reverse();
  return found.slice(0, filter.limit).map(({ id }) => id);
}

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const anyId = fc.nat(EVENTS + 100);
const anyWall = fc.integer({ min: 999_000, max: 1_000_000 + EVENTS * 3 });
const anyFilter: fc.Arbitrary<EventFilter> = fc.record({
  tenant: optional(
    fc.oneof(
      fc.constant(null),
      fc.nat(12).map((n) => `t${n}`),
    ),
  ),
  subject: optional(fc.nat(205).map((n) => `s${n}`)),
  types: optional(fc.array(fc.constantFrom(...TYPES, "service.unknown"), { maxLength: 3 })),
  sinceId: optional(anyId),
  untilId: optional(anyId),
  fromWallMs: optional(anyWall),
  toWallMs: optional(anyWall),
  limit: fc.constantFrom(1, 10, 300),
  order: optional(fc.constantFrom("asc", "desc")),
});

describe("reading with a filter", () => {
  test("finds what a plain search through every event finds", async () => {
    await fc.assert(
      fc.asyncProperty(anyFilter, async (filter) => {
        const { events } = await storage.events.read(filter);
        expect(events.map(({ id }) => id)).toEqual(naive(filter));
      }),
      { numRuns: 150 },
    );
  });

  test("gives back every field as it was written", async () => {
    const { events } = await storage.events.read({ sinceId: 20_000, limit: 1 });
    expect(events[0]).toEqual({
      ...model[20_000],
      bootId: "boot",
      timestamp: "12345678901234567",
      payload: "{}",
      causationId: null,
    });
  });

  test("says whether a page is all there is", async () => {
    expect((await storage.events.read({ types: ["service.rare"], limit: 100 })).complete).toBe(
      true,
    );
    expect((await storage.events.read({ types: ["service.rare"], limit: 2 })).complete).toBe(false);
  });
});

describe("posting lists", () => {
  const sorted = fc.uniqueArray(fc.nat(65_535)).map((list) => list.sort((a, b) => a - b));

  test("survive being stored", () => {
    fc.assert(
      fc.property(sorted, (list) => {
        expect(decodeOffsets(encodeOffsets(list))).toEqual(list);
      }),
    );
  });

  test("meet where both have an offset, and join where either has", () => {
    fc.assert(
      fc.property(sorted, sorted, (a, b) => {
        expect(intersect(a, b)).toEqual(a.filter((offset) => b.includes(offset)));
        const onlyB = b.filter((offset) => !a.includes(offset));
        expect(union([a, onlyB])).toEqual([...a, ...onlyB].sort((x, y) => x - y));
      }),
    );
  });
});
