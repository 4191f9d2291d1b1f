/**
 * The guest image as a file: a table of texts and byte ranges, then the bytes. A cell reads
 * it before anything else, so it is read with nothing but a Buffer.
 */
import { readFileSync } from "node:fs";
import type { Prelude, PreludeSegment } from "#cell/prelude/build.ts";

export interface GuestScript {
  readonly code: string;
  readonly cachedData: Buffer;
}

export interface GuestImage {
  readonly bridge: GuestScript;
  readonly prelude: Prelude;
}

/** What the table says of one script: everything but its text and its compiled form. */
interface Entry {
  readonly segment?: Omit<PreludeSegment, "code" | "cachedData">;
  readonly codeBytes: number;
  readonly dataBytes: number;
}

const LENGTH_BYTES = 4;

export function encodeImage({ bridge, prelude }: GuestImage): Buffer {
  const entries: Entry[] = [];
  const pieces: Buffer[] = [];
  const add = ({ code, cachedData }: GuestScript, segment?: Entry["segment"]) => {
    const text = Buffer.from(code);
    entries.push({
      ...(segment !== undefined && { segment }),
      codeBytes: text.length,
      dataBytes: cachedData.length,
    });
    pieces.push(text, cachedData);
  };
  add(bridge);
  for (const { code, cachedData, ...segment } of Object.values(prelude)) {
    add({ code, cachedData }, segment);
  }
  const table = Buffer.from(JSON.stringify(entries));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(table.length);
  return Buffer.concat([length, table, ...pieces]);
}

/** At once: a cell has nothing else to do meanwhile, and starts sooner without promises. */
export function readImage(path: string): GuestImage {
  const file = readFileSync(path);
  let at = LENGTH_BYTES;
  const take = (bytes: number): Buffer => file.subarray(at, (at += bytes));
  const [bridge, ...segments] = (JSON.parse(take(file.readUInt32LE()).toString()) as Entry[]).map(
    ({ segment, codeBytes, dataBytes }) => ({
      ...segment!,
      code: take(codeBytes).toString(),
      cachedData: take(dataBytes),
    }),
  );
  const prelude = Object.fromEntries(segments.map((each) => [each.name, each]));
  return { bridge: bridge!, prelude: prelude as unknown as Prelude };
}
