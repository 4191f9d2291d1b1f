/** How one value of each kind is written and read; proto-codec.ts makes messages of them. */
import { WireType, type BinaryReader, type BinaryWriter } from "@bufbuild/protobuf/wire";
import { readStruct, readValue, setOwn, writeStruct, writeValue } from "#api/proto-json.ts";
import type { Scalar } from "#api/proto-model.ts";
import { WireError, endOfNested, mustBeAt, type Limit } from "#api/proto-wire.ts";

export type Plain = Record<string, unknown>;

export interface ValueCodec {
  readonly wireType: WireType;
  /** Whether `value` is the zero that a plain field leaves out. */
  isZero(value: unknown): boolean;
  write(writer: BinaryWriter, value: unknown): void;
  /** `before` is what an earlier occurrence of the field read. */
  read(reader: BinaryReader, end: Limit, before: unknown): unknown;
}

function scalar<T>(
  wireType: WireType,
  zero: T,
  is: (value: unknown) => boolean,
  what: string,
  write: (writer: BinaryWriter, value: T) => void,
  read: (reader: BinaryReader) => T,
): ValueCodec & { zero: T } {
  return {
    wireType,
    zero,
    isZero: (value) => Object.is(value, zero),
    write(writer, value) {
      if (!is(value)) throw new WireError(`must be ${what}`);
      write(writer, value as T);
    },
    read: (reader) => read(reader),
  };
}

const isNumber = (value: unknown): boolean => typeof value === "number";
const isInt32 = (value: unknown): boolean => ((value as number) | 0) === value && isNumber(value);
const isUint32 = (value: unknown): boolean => (value as number) >>> 0 === value && isNumber(value);

function readInt64(reader: BinaryReader): number {
  const number = Number(reader.int64());
  if (!Number.isSafeInteger(number)) throw new WireError("is beyond 2^53");
  return number;
}

export const INT32 = scalar(
  WireType.Varint,
  0,
  isInt32,
  "a whole number of 32 bits",
  (w, v) => w.int32(v),
  (r) => r.int32(),
);

export const SCALARS: Readonly<Record<Scalar, ValueCodec & { zero: unknown }>> = {
  string: scalar(
    WireType.LengthDelimited,
    "",
    (v) => typeof v === "string",
    "a string",
    (w, v) => w.string(v),
    (r) => r.string(true),
  ),
  bool: scalar(
    WireType.Varint,
    false,
    (v) => typeof v === "boolean",
    "true or false",
    (w, v) => w.bool(v),
    (r) => r.bool(),
  ),
  int32: INT32,
  uint32: scalar(
    WireType.Varint,
    0,
    isUint32,
    "a whole number of 32 bits, not negative",
    (w, v) => w.uint32(v),
    (r) => r.uint32(),
  ),
  int64: scalar(
    WireType.Varint,
    0,
    Number.isSafeInteger,
    "a whole number within 2^53",
    (w, v) => w.int64(v),
    readInt64,
  ),
  double: scalar(
    WireType.Bit64,
    0,
    isNumber,
    "a number",
    (w, v) => w.double(v),
    (r) => r.double(),
  ),
  bytes: scalar<Uint8Array>(
    WireType.LengthDelimited,
    new Uint8Array(0),
    (v) => v instanceof Uint8Array,
    "bytes",
    (w, v) => w.bytes(v),
    (r) => r.bytes(),
  ),
};

export const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A message within a message; reading starts from what an earlier occurrence left. */
export function nested(
  what: string,
  write: (writer: BinaryWriter, value: object) => void,
  read: (reader: BinaryReader, end: Limit, into: Plain | undefined) => Plain,
): ValueCodec {
  return {
    wireType: WireType.LengthDelimited,
    isZero: () => false,
    write(writer, value) {
      if (!isObject(value)) throw new WireError(`must be ${what}`);
      writer.fork();
      write(writer, value);
      writer.join();
    },
    read: (reader, end, before) =>
      read(reader, endOfNested(reader, end), before as Plain | undefined),
  };
}

export const JSON_VALUE: ValueCodec = {
  wireType: WireType.LengthDelimited,
  isZero: () => false,
  write(writer, value) {
    writer.fork();
    writeValue(writer, value);
    writer.join();
  },
  read: (reader, end) => readValue(reader, endOfNested(reader, end)),
};

export const STRUCT = nested("an object", writeStruct, (reader, end, into) =>
  readStruct(reader, end, 1, (into ?? {}) as Parameters<typeof readStruct>[3]),
);

const KEY_TAG = (1 << 3) | WireType.LengthDelimited;
const VALUE_TAG = (2 << 3) | WireType.LengthDelimited;

export function writeMapEntries(writer: BinaryWriter, tag: number, map: unknown): void {
  if (!isObject(map)) throw new WireError("must be an object of strings");
  for (const [key, text] of Object.entries(map)) {
    if (typeof text !== "string") throw new WireError("must be a string").within(key);
    writer.uint32(tag).fork().uint32(KEY_TAG).string(key).uint32(VALUE_TAG).string(text).join();
  }
}

/** Reads one entry of a map<string, string>. */
export const MAP: ValueCodec = {
  wireType: WireType.LengthDelimited,
  isZero: () => false,
  write: () => {},
  read(reader, outer, before) {
    const map = (before ?? {}) as Record<string, string>;
    const end = endOfNested(reader, outer);
    let key = "";
    let text = "";
    while (reader.pos < end) {
      const tag = reader.uint32();
      if (tag === KEY_TAG) key = reader.string(true);
      else if (tag === VALUE_TAG) text = reader.string(true);
      else throw new WireError("holds an entry with more than a key and a value");
    }
    mustBeAt(reader, end);
    setOwn(map, key, text);
    return map;
  },
};
