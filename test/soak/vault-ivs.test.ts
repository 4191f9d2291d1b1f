import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { kekOf } from "#vault/keys.ts";
import { IV_BYTES } from "#vault/limits.ts";
import { sealRow } from "#vault/row.ts";

const ROWS = 500_000;

test("a million IVs, two for each sealed row, are all different", () => {
  const ivs = new Set<string>();
  const random = (bytes: number) => {
    const made = randomBytes(bytes);
    if (bytes === IV_BYTES) ivs.add(made.toString("latin1"));
    return made;
  };
  const kek = kekOf(randomBytes(32));
  const value = Buffer.from("value");
  for (let version = 1; version <= ROWS; version++) {
    const place = { tenant: "t", name: "n", version };
    sealRow({ place, kek, value, caller: { kind: "none" }, callerKey: undefined, random });
  }
  expect(ivs.size).toBe(2 * ROWS);
});
