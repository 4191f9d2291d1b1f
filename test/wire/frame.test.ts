/** Frames on the socket between the kernel and a cell (src/wire/frame.ts). */
import { duplexPair, PassThrough } from "node:stream";
import { setImmediate as turnEnd } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FrameReader, FrameWriter, HEADER_BYTES, type Frame } from "#wire/frame.ts";
import { until } from "../support/until.ts";

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const frame = fc.record({
  kind: fc.integer({ min: 0, max: 255 }),
  slot: u32,
  id: u32,
  payload: fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
});

/** A frame's bytes as the header comment describes them, written a second time. */
function encode({ kind, slot, id, payload }: Frame): Buffer {
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUInt32LE(9 + payload.length, 0);
  head.writeUInt8(kind, 4);
  head.writeUInt32LE(slot, 5);
  head.writeUInt32LE(id, 9);
  return Buffer.concat([head, payload]);
}

/** Payloads are views on what was read: copied, as everybody must who keeps one. */
const copy = (each: Frame): Frame => ({ ...each, payload: Buffer.from(each.payload) });

function readAll(chunks: readonly Buffer[], maxBytes?: number): { frames: Frame[]; ok: boolean } {
  const frames: Frame[] = [];
  const reader = new FrameReader((each) => frames.push(copy(each)), maxBytes);
  return { ok: chunks.every((chunk) => reader.push(chunk)), frames };
}

/** Large payloads are compared by their base64: far quicker than byte by byte. */
const digest = ({ payload, ...head }: Frame) => ({ ...head, payload: payload.toString("base64") });

/** Cuts bytes at the given places, in any order and number. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length];
  let start = 0;
  return ends.toSorted((a, b) => a - b).map((end) => bytes.subarray(start, (start = end)));
}

async function written(send: (writer: FrameWriter) => void): Promise<Buffer[]> {
  const stream = new PassThrough();
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  send(new FrameWriter(stream));
  await turnEnd();
  await turnEnd();
  return chunks;
}

describe("reading", () => {
  test("any frames in any chunks come out as they went in", () => {
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 12 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        (frames, cuts) => {
          const chunks = cut(Buffer.concat(frames.map(encode)), cuts);
          expect(readAll(chunks)).toEqual({ ok: true, frames });
        },
      ),
    );
  });

  test("a stream that ends within a frame gives the frames before it and no more", () => {
    fc.assert(
      fc.property(fc.array(frame, { minLength: 1, maxLength: 5 }), fc.nat(), (frames, nat) => {
        const last = encode(frames.at(-1)!);
        const missing = 1 + (nat % last.length);
        const bytes = Buffer.concat(frames.map(encode));
        const read = readAll([bytes.subarray(0, bytes.length - missing)]);
        expect(read).toEqual({ ok: true, frames: frames.slice(0, -1) });
      }),
    );
  });

  test("a length beyond the limit is refused as soon as it is read (invariant 1)", () => {
    const giant = Buffer.alloc(4);
    giant.writeUInt32LE(0xffff_ffff);
    expect(readAll([giant])).toEqual({ ok: false, frames: [] });
    const payload = Buffer.alloc(100);
    const whole = encode({ kind: 1, slot: 1, id: 1, payload });
    expect(readAll([whole], 109).ok).toBe(true);
    expect(readAll([whole], 108)).toEqual({ ok: false, frames: [] });
  });

  test("a length too short for a header is refused", () => {
    for (let length = 0; length < 9; length += 1) {
      const bytes = Buffer.alloc(32);
      bytes.writeUInt32LE(length);
      expect(readAll([bytes]).ok, String(length)).toBe(false);
    }
  });

  test("garbage never throws and never gives a frame larger than the limit", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (pieces) => {
        const { frames } = readAll(
          pieces.map((piece) => Buffer.from(piece)),
          64,
        );
        for (const { payload } of frames) expect(payload.length).toBeLessThanOrEqual(64);
      }),
    );
  });
});

describe("writing", () => {
  test("what a writer sends a reader reads: texts, bytes, in order", async () => {
    const payload = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.uint8Array({ maxLength: 50 }),
      // On both sides of the size above which bytes are not copied.
      fc.constantFrom(4096, 4097, 70_000).map((size) => Buffer.alloc(size, size)),
    );
    const sent = fc.record({ kind: fc.integer({ min: 0, max: 255 }), slot: u32, id: u32, payload });
    await fc.assert(
      fc.asyncProperty(fc.array(sent, { maxLength: 8 }), async (all) => {
        const chunks = await written((writer) => {
          for (const { kind, slot, id, payload: each } of all) writer.send(kind, slot, id, each);
        });
        const frames = all.map((each) => ({
          ...each,
          payload: Buffer.from(each.payload as string),
        }));
        const read = readAll(chunks);
        expect(read.frames.map(digest)).toEqual(frames.map(digest));
        expect(read.ok).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test("all frames of one turn leave in one write (invariant 2)", async () => {
    const chunks = await written((writer) => {
      for (let id = 0; id < 100; id += 1) writer.send(1, 2, id, "x");
    });
    expect(chunks).toHaveLength(1);
  });

  test("a flush writes at once, and what follows it is written with the turn", async () => {
    const chunks = await written((writer) => {
      writer.send(1, 0, 1);
      writer.flush();
      writer.send(1, 0, 2);
      writer.send(1, 0, 3);
    });
    expect(chunks).toHaveLength(2);
    expect(readAll(chunks).frames.map(({ id }) => id)).toEqual([1, 2, 3]);
  });

  test("a small payload may be changed once it is sent", async () => {
    const small = Buffer.from("small");
    const chunks = await written((writer) => {
      writer.send(1, 0, 1, small);
      small.fill(0);
    });
    expect(readAll(chunks).frames[0]!.payload.toString()).toBe("small");
  });

  test("nothing is written to a socket that is gone", async () => {
    const stream = new PassThrough();
    const writer = new FrameWriter(stream);
    writer.send(1, 0, 1, "late");
    stream.destroy();
    await turnEnd();
    await turnEnd();
    expect(stream.readableLength).toBe(0);
  });

  test("the backlog counts what the other end has not taken", async () => {
    const [near, far] = duplexPair();
    const writer = new FrameWriter(near);
    for (let id = 0; id < 40; id += 1) writer.send(1, 0, id, Buffer.alloc(10_000));
    writer.flush();
    expect(writer.backlogBytes).toBeGreaterThan(100_000);
    far.resume();
    await until(() => writer.backlogBytes === 0, "the backlog to be read");
  });
});
