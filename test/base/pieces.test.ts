import fc from "fast-check";
import { expect, test } from "vitest";
import { Pieces } from "#base/pieces.ts";

const pieces = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc.nat(20_000).map((size) => new Uint8Array(size)),
  ),
  { maxLength: 40 },
);

test("bytes come out as they went in, however they are cut and whenever they are taken", () => {
  fc.assert(
    fc.property(pieces, fc.array(fc.boolean()), (given, takes) => {
      const waiting = new Pieces();
      const out: Buffer[] = [];
      for (const [at, bytes] of given.entries()) {
        waiting.add(Buffer.from(bytes));
        const taken = takes[at] === true ? waiting.take() : undefined;
        if (taken !== undefined) out.push(taken);
      }
      out.push(waiting.takeAll());
      expect(waiting.bytes).toBe(0);
      expect(Buffer.concat(out).equals(Buffer.concat(given))).toBe(true);
    }),
  );
});

test("a megabyte that comes byte by byte waits in a few hundred pieces", () => {
  const waiting = new Pieces();
  const byte = Buffer.from("x");
  for (let at = 0; at < 1024 * 1024; at += 1) waiting.add(byte);
  let count = 0;
  while (waiting.take() !== undefined) count += 1;
  expect(count).toBeLessThan(300);
});
