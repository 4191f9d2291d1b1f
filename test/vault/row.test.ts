import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { kekOf } from "#vault/keys.ts";
import { callerKeyOf, openValue, rewrapRow, sealRow, unwrapRow } from "#vault/row.ts";

const place = { tenant: "alice", name: "key", version: 2 };
const elsewhere = [
  { ...place, tenant: "bob" },
  { ...place, name: "other" },
  { ...place, version: 1 },
  { tenant: "alice/key", name: "", version: 2 },
];
const [kek, other] = [kekOf(Buffer.alloc(32, 1)), kekOf(Buffer.alloc(32, 2))];
const value = Buffer.from("value");
const row = sealRow({
  place,
  kek,
  value,
  caller: { kind: "none" },
  callerKey: undefined,
  random: randomBytes,
});
const dataKey = unwrapRow(row, place, kek)!;

describe("a sealed row", () => {
  test("gives its data key in its own place and to its own master key only", () => {
    expect(dataKey).toHaveLength(32);
    for (const wrong of elsewhere) expect(unwrapRow(row, wrong, kek)).toBeUndefined();
    expect(unwrapRow(row, place, other)).toBeUndefined();
    expect(unwrapRow(row, place, { id: kek.id, key: other.key })).toBeUndefined();
  });

  test("gives its value in its own place only, whoever has the data key", () => {
    expect(openValue({ row, place, dataKey, callerKey: undefined })).toEqual(value);
    for (const wrong of elsewhere) {
      expect(openValue({ row, place: wrong, dataKey, callerKey: undefined })).toBeUndefined();
    }
    expect(openValue({ row, place, dataKey, callerKey: Buffer.alloc(32) })).toBeUndefined();
  });

  test("is the same under another master key, but for its wrapped data key", () => {
    const moved = rewrapRow({ row, place, from: kek, to: other, random: randomBytes })!;
    expect(unwrapRow(moved, place, other)).toEqual(dataKey);
    expect(unwrapRow(moved, place, kek)).toBeUndefined();
    expect(openValue({ row: moved, place, dataKey, callerKey: undefined })).toEqual(value);
    expect(rewrapRow({ row, place, from: other, to: kek, random: randomBytes })).toBeUndefined();
  });

  test("holds nothing of its value, and never the same bytes twice", () => {
    const again = sealRow({
      place,
      kek,
      value,
      caller: { kind: "none" },
      callerKey: undefined,
      random: randomBytes,
    });
    expect(row.includes(value)).toBe(false);
    expect(again.subarray(-5)).not.toEqual(row.subarray(-5));
  });

  test("that asks for more of argon2 than Solo ever writes says nothing that is believed", () => {
    const params = { memoryKib: 64, passes: 1, parallelism: 1 };
    const caller = { kind: "passphrase", salt: Buffer.alloc(16), params } as const;
    const callerKey = Buffer.alloc(32, 3);
    const keyed = sealRow({ place, kek, value, caller, callerKey, random: randomBytes });
    expect(callerKeyOf(keyed)).toEqual(caller);
    const greedy = Buffer.from(keyed);
    greedy.writeUInt32BE(0xffff_ffff, 18);
    expect(callerKeyOf(greedy)).toBeUndefined();
    expect(unwrapRow(greedy, place, kek)).toBeUndefined();
  });
});
