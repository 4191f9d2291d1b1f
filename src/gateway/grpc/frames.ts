/**
 * gRPC's length-prefixed messages: one byte that says whether the message is compressed,
 * four bytes of length, the message. A message is joined once, when all of it is there.
 */
import { promisify } from "node:util";
import { gunzip, inflate } from "node:zlib";
import { SoloError } from "#base/errors.ts";

const HEADER_BYTES = 5;

export interface Frame {
  readonly compressed: boolean;
  readonly bytes: Buffer;
}

export function frame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(HEADER_BYTES + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, HEADER_BYTES);
  return framed;
}

const tooLarge = (maxBytes: number): SoloError =>
  new SoloError(
    "payload_too_large",
    `The message has more than the ${maxBytes} bytes that are read over gRPC.`,
  );

export class Deframer {
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #size = 0;
  /** Bytes without which nothing can be done. */
  #needed = HEADER_BYTES;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The messages that `chunk` completes. */
  push(chunk: Buffer): Frame[] {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    const frames: Frame[] = [];
    if (this.#size < this.#needed) return frames;
    let rest = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#size);
    this.#needed = HEADER_BYTES;
    while (rest.length >= HEADER_BYTES) {
      const length = rest.readUInt32BE(1);
      if (length > this.#maxBytes) throw tooLarge(this.#maxBytes);
      const end = HEADER_BYTES + length;
      if (rest.length < end) {
        this.#needed = end;
        break;
      }
      frames.push({ compressed: rest[0] !== 0, bytes: rest.subarray(HEADER_BYTES, end) });
      rest = rest.subarray(end);
    }
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#size = rest.length;
    return frames;
  }

  /** Bytes of the message that has not ended yet. */
  get unfinished(): number {
    return this.#size;
  }
}

/** What all unfinished requests together may hold. */
export class Allowance {
  readonly #maxBytes: number;
  #held = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** One holder goes from `before` to `now` bytes. */
  change(before: number, now: number): void {
    this.#held += now - before;
    if (now > before && this.#held > this.#maxBytes)
      throw new SoloError("overloaded", "Too much is being received at once.", {
        retryAfterMs: 1000,
      });
  }
}

const decompressors = new Map([
  ["gzip", promisify(gunzip)],
  ["deflate", promisify(inflate)],
]);

export const ACCEPTED_ENCODINGS = ["identity", ...decompressors.keys()].join(",");

/** A compressed message as it was; never more than `maxBytes`, however small it came. */
export async function decompress(
  bytes: Buffer,
  encoding: string,
  maxBytes: number,
): Promise<Buffer> {
  const decompressor = decompressors.get(encoding);
  if (decompressor === undefined)
    throw new SoloError("unimplemented", `Messages compressed with ${encoding} are not read.`, {
      hint: `Use one of ${ACCEPTED_ENCODINGS}.`,
    });
  try {
    return await decompressor(bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(maxBytes);
    throw new SoloError("invalid_argument", `The message is not well-formed ${encoding}.`, {
      cause: error,
    });
  }
}
