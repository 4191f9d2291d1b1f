import fc from "fast-check";
import { expect, test } from "vitest";
import { Deframer, frame } from "#gateway/grpc/frames.ts";

test("messages come out as they went in, however the bytes are cut", () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 8 });
  fc.assert(
    fc.property(
      messages,
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (sent, cuts) => {
        const bytes = Buffer.concat(sent.map(frame));
        const deframer = new Deframer(50);
        const received: Buffer[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const next = at + cuts[turn % cuts.length]!;
          received.push(...deframer.push(bytes.subarray(at, next)).map((item) => item.bytes));
          at = next;
        }
        expect(received.map((item) => [...item])).toEqual(sent.map((item) => [...item]));
        expect(deframer.unfinished).toBe(0);
      },
    ),
  );
});

test("a message larger than the limit is refused by its header alone", () => {
  expect(() => new Deframer(10).push(Buffer.from([0, 0, 0, 0, 11]))).toThrow(
    /more than the 10 bytes/,
  );
});
