/**
 * The bytes of a response as the service reads them.
 *
 * 1. Never more than the limit leaves here, however small it was on the wire: a compressed
 *    body is unpacked piece by piece, as the reader takes it.
 */
import { pipeline, type Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { SoloError } from "#base/errors.ts";
import { MAX_CODINGS } from "#egress/limits.ts";

const DECODERS: Readonly<Record<string, () => NodeJS.ReadWriteStream>> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

export const ACCEPTED_CODINGS = "gzip, br";

/** The codings to undo, the last applied first; undefined: passed on as it is, as the Fetch
 *  standard has it for codings that nobody knows. */
export function codingsOf(header: string | undefined): readonly string[] | undefined {
  if (header === undefined) return undefined;
  const codings = header
    .split(",")
    .map((each) => each.trim().toLowerCase())
    .filter((each) => each !== "" && each !== "identity");
  if (codings.length === 0) return undefined;
  if (codings.length > MAX_CODINGS) {
    throw new SoloError(
      "egress_failed",
      `The response is compressed ${codings.length} times over; ${MAX_CODINGS} are undone.`,
    );
  }
  return codings.every((each) => Object.hasOwn(DECODERS, each)) ? codings.reverse() : undefined;
}

export interface BodyOptions {
  readonly source: Readable;
  readonly codings: readonly string[] | undefined;
  readonly maxBytes: number;
  /** Told of each piece as it came over the wire. */
  readonly onWire: (bytes: number) => void;
}

/** The decoded bytes; throws when they are too many or not of their coding. */
export async function* decoded(options: BodyOptions): AsyncGenerator<Uint8Array> {
  const { source, codings = [], maxBytes, onWire } = options;
  async function* metered(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source as AsyncIterable<Uint8Array>) {
      onWire(chunk.length);
      yield chunk;
    }
  }
  const stages = codings.map((coding) => DECODERS[coding]!());
  const last =
    stages.length === 0
      ? metered()
      : // Errors arrive at the reader of the last stage.
        (pipeline([metered, ...stages], () => {}) as unknown as AsyncIterable<Uint8Array>);
  let bytes = 0;
  for await (const chunk of last) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      throw new SoloError("payload_too_large", `The response has more than ${maxBytes} bytes.`, {
        hint: "Ask for less at a time, or raise egress.max_response_bytes.",
      });
    }
    yield chunk;
  }
}
