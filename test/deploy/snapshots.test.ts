/** The newest state and the one before it, on a disk that may rot (src/deploy/snapshots.ts). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SoloError } from "#base/errors.ts";
import { serviceId, tenantId } from "#base/ids.ts";
import { withChecksum } from "#deploy/checksum.ts";
import { Snapshots } from "#deploy/snapshots.ts";
import { memoryKv } from "./support.ts";

const key = { tenant: tenantId("t"), service: serviceId("s"), slot: 0 };
const at = (kv: ReturnType<typeof memoryKv>) => new Snapshots({ kv, wallMs: () => 1000 });
const snapshot = (n: number) => ({ sourceHash: "abc", state: `[{"n":1},${n}]`, version: "2" });

/** Every row whose bytes are those of snapshot `n`. */
const rowOf = (kv: ReturnType<typeof memoryKv>, n: number): string =>
  [...kv.rows].find(([, value]) => Buffer.from(value).includes(snapshot(n).state))![0];

test("are loaded as they were saved, whatever is in them", async () => {
  const snapshots = at(memoryKv());
  expect(await snapshots.load(key)).toBeUndefined();
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: "binary" }),
      fc.option(fc.string(), { nil: undefined }),
      async (state, version) => {
        const saved = { sourceHash: "abc", state: state.toWellFormed(), version };
        await snapshots.save(key, saved);
        expect(await snapshots.load(key)).toEqual({ ...saved, savedAtMs: 1000, fellBack: false });
      },
    ),
    { numRuns: 30 },
  );
});

test("of one slot are nobody else's, and a removed service keeps none", async () => {
  const kv = memoryKv();
  const snapshots = at(kv);
  const slots = [0, 1, 12].map((slot) => ({ ...key, slot }));
  for (const [n, slot] of slots.entries()) {
    await snapshots.save(slot, snapshot(n));
    await snapshots.save(slot, snapshot(n + 10));
  }
  await snapshots.save({ ...key, service: serviceId("s2") }, snapshot(99));
  await snapshots.clear(slots[1]!);
  expect(await snapshots.load(slots[1]!)).toBeUndefined();
  expect(await snapshots.load(slots[2]!)).toMatchObject(snapshot(12));
  await snapshots.remove(key);
  for (const slot of slots) expect(await snapshots.load(slot)).toBeUndefined();
  expect(kv.rows.size).toBe(1);
});

test("in the oldest form are read", async () => {
  const kv = memoryKv();
  const value = withChecksum(Buffer.from(JSON.stringify(["abc", null, "[7]"])));
  await kv.batch([{ op: "put", ns: "state", key: "t/s", value }]);
  expect(await at(kv).load(key)).toMatchObject({
    sourceHash: "abc",
    state: "[7]",
    fellBack: false,
  });
});

test("in a form of the future are refused, and not passed over", async () => {
  const kv = memoryKv();
  await at(kv).save(key, snapshot(1));
  const header = JSON.stringify({ form: 3, source: "abc", saved_at_ms: 1 });
  const value = withChecksum(Buffer.from(`${header}\n[1]`));
  await kv.batch([{ op: "put", ns: "state", key: "t/s~", value }]);
  await expect(at(kv).load(key)).rejects.toMatchObject({ code: "storage_corrupt" });
});

describe("damaged ones", () => {
  test("fall back to the last good one, with any bit flipped or cut off anywhere", async () => {
    const kv = memoryKv();
    await at(kv).save(key, snapshot(1));
    await at(kv).save(key, snapshot(2));
    const row = rowOf(kv, 2);
    const good = kv.rows.get(row)!;
    const spoilt = [
      ...Array.from({ length: good.length * 8 }, (_, bit) => {
        const altered = Uint8Array.from(good);
        altered[bit >> 3]! ^= 1 << (bit & 7);
        return altered;
      }),
      ...Array.from(good, (_, length) => good.slice(0, length)),
    ];
    for (const bytes of spoilt) {
      kv.rows.set(row, bytes);
      expect(await at(kv).load(key)).toMatchObject({ ...snapshot(1), fellBack: true });
    }
  });

  test("never cost the last good one: the next save replaces what is damaged", async () => {
    const kv = memoryKv();
    const first = at(kv);
    await first.save(key, snapshot(1));
    await first.save(key, snapshot(2));
    kv.rows.set(rowOf(kv, 2), new Uint8Array(40));
    const second = at(kv);
    await second.save(key, snapshot(3));
    expect(await second.load(key)).toMatchObject({ ...snapshot(3), fellBack: false });
    kv.rows.set(rowOf(kv, 3), new Uint8Array(40));
    expect(await at(kv).load(key)).toMatchObject({ ...snapshot(1), fellBack: true });
  });

  test("never cost the last good one: a save that fails leaves the next one its row", async () => {
    const kv = memoryKv();
    const snapshots = at(kv);
    await snapshots.save(key, snapshot(1));
    await snapshots.save(key, snapshot(2));
    const { batch } = kv;
    kv.batch = () => Promise.reject(new Error("The disk is full."));
    await expect(snapshots.save(key, snapshot(3))).rejects.toThrow("full");
    kv.batch = batch;
    await snapshots.save(key, snapshot(4));
    kv.rows.set(rowOf(kv, 4), new Uint8Array(40));
    expect(await at(kv).load(key)).toMatchObject({ ...snapshot(2), fellBack: true });
  });

  test("are an error with a next step when no good one is left, never an empty state", async () => {
    const kv = memoryKv();
    const snapshots = at(kv);
    await snapshots.save(key, snapshot(1));
    kv.rows.set(rowOf(kv, 1), new Uint8Array(3));
    const refused = async () => {
      const body = await at(kv)
        .load(key)
        .catch((error: SoloError) => error.toBody());
      expect(body).toMatchObject({
        code: "storage_corrupt",
        hint: expect.stringContaining("solo state reset s") as string,
      });
    };
    await refused();
    await snapshots.save(key, snapshot(2));
    for (const row of kv.rows.keys()) kv.rows.set(row, new Uint8Array(3));
    await refused();
  });
});

test("any history of saves and one damage loads the newest good one", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }),
      fc.boolean(),
      async (saves, damage) => {
        const kv = memoryKv();
        let snapshots = at(kv);
        for (const [n, again] of saves.entries()) {
          // The kernel's restart between two saves changes nothing.
          if (again) snapshots = at(kv);
          await snapshots.save(key, snapshot(n));
        }
        const newest = saves.length - 1;
        if (!damage) {
          expect(await at(kv).load(key)).toMatchObject({ ...snapshot(newest), fellBack: false });
          return;
        }
        kv.rows.set(rowOf(kv, newest), new Uint8Array(8));
        const load = at(kv).load(key);
        if (newest === 0) await expect(load).rejects.toMatchObject({ code: "storage_corrupt" });
        else expect(await load).toMatchObject({ ...snapshot(newest - 1), fellBack: true });
      },
    ),
  );
});
