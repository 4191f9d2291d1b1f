/**
 * google.protobuf.Value, Struct and ListValue, straight to and from JSON values.
 *
 * 1. Nesting is bounded in both directions: the bytes may come from anyone.
 * 2. Keys are data: `__proto__` becomes an own property and touches no prototype.
 * 3. What JSON cannot say (NaN, a value of no kind) is refused, not guessed.
 */
import { WireType, type BinaryReader, type BinaryWriter } from "@bufbuild/protobuf/wire";
import type { Json } from "#api/operation.ts";
import { WireError, endOfNested, mustBeAt, type Limit } from "#api/proto-wire.ts";

/** Levels of arrays and objects within each other. */
export const MAX_JSON_DEPTH = 100;

const tag = (number: number, type: WireType): number => (number << 3) | type;

// Field numbers of google/protobuf/struct.proto.
const VALUE = {
  null: tag(1, WireType.Varint),
  number: tag(2, WireType.Bit64),
  string: tag(3, WireType.LengthDelimited),
  bool: tag(4, WireType.Varint),
  struct: tag(5, WireType.LengthDelimited),
  list: tag(6, WireType.LengthDelimited),
} as const;
const ENTRY = tag(1, WireType.LengthDelimited); // Struct.fields and ListValue.values
const KEY = tag(1, WireType.LengthDelimited);
const ENTRY_VALUE = tag(2, WireType.LengthDelimited);

function deeper(depth: number): number {
  if (depth >= MAX_JSON_DEPTH)
    throw new WireError(`is nested more than ${MAX_JSON_DEPTH} levels deep`);
  return depth + 1;
}

/** The fields of a Value; the caller frames it. */
export function writeValue(writer: BinaryWriter, value: unknown, depth = 0): void {
  switch (typeof value) {
    case "string":
      writer.uint32(VALUE.string).string(value);
      return;
    case "number":
      if (!Number.isFinite(value)) throw new WireError(`holds ${value}, which is not JSON`);
      writer.uint32(VALUE.number).double(value);
      return;
    case "boolean":
      writer.uint32(VALUE.bool).bool(value);
      return;
    case "object":
      if (value === null) {
        writer.uint32(VALUE.null).int32(0);
      } else if (Array.isArray(value)) {
        writer.uint32(VALUE.list).fork();
        const inside = deeper(depth);
        for (const item of value) {
          writer.uint32(ENTRY).fork();
          writeValue(writer, item, inside);
          writer.join();
        }
        writer.join();
      } else {
        writer.uint32(VALUE.struct).fork();
        writeStruct(writer, value, deeper(depth));
        writer.join();
      }
      return;
    default:
      throw new WireError(`holds a value of type ${typeof value}, which is not JSON`);
  }
}

/** The fields of a Struct; as in JSON.stringify, a key whose value is undefined is left out. */
export function writeStruct(writer: BinaryWriter, value: object, depth = 1): void {
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined) continue;
    writer.uint32(ENTRY).fork().uint32(KEY).string(key).uint32(ENTRY_VALUE).fork();
    writeValue(writer, item, depth);
    writer.join().join();
  }
}

export function readValue(reader: BinaryReader, end: Limit, depth = 0): Json {
  let value: Json | undefined;
  while (reader.pos < end) {
    const found = reader.uint32();
    switch (found) {
      case VALUE.null:
        reader.int32();
        value = null;
        break;
      case VALUE.number: {
        const number = reader.double();
        if (!Number.isFinite(number)) throw new WireError(`holds ${number}, which is not JSON`);
        value = number;
        break;
      }
      case VALUE.string:
        value = reader.string(true);
        break;
      case VALUE.bool:
        value = reader.bool();
        break;
      case VALUE.struct:
        value = readStruct(reader, endOfNested(reader, end), deeper(depth));
        break;
      case VALUE.list:
        value = readList(reader, endOfNested(reader, end), deeper(depth));
        break;
      default:
        throw new WireError(`holds field ${found >>> 3}, which google.protobuf.Value has not`);
    }
  }
  mustBeAt(reader, end);
  if (value === undefined) throw new WireError("holds a google.protobuf.Value of no kind");
  return value;
}

function readList(reader: BinaryReader, end: Limit, depth: number): Json[] {
  const list: Json[] = [];
  while (reader.pos < end) {
    if (reader.uint32() !== ENTRY)
      throw new WireError("holds a field that google.protobuf.ListValue has not");
    const inner = endOfNested(reader, end);
    list.push(readValue(reader, inner, depth));
  }
  mustBeAt(reader, end);
  return list;
}

export function readStruct(
  reader: BinaryReader,
  end: Limit,
  depth = 1,
  into: { [key: string]: Json } = {},
): { [key: string]: Json } {
  while (reader.pos < end) {
    if (reader.uint32() !== ENTRY)
      throw new WireError("holds a field that google.protobuf.Struct has not");
    const entryEnd = endOfNested(reader, end);
    let key = "";
    let value: Json | undefined;
    while (reader.pos < entryEnd) {
      const found = reader.uint32();
      if (found === KEY) key = reader.string(true);
      else if (found === ENTRY_VALUE)
        value = readValue(reader, endOfNested(reader, entryEnd), depth);
      else throw new WireError("holds an entry with more than a key and a value");
    }
    mustBeAt(reader, entryEnd);
    if (value === undefined) throw new WireError("holds a google.protobuf.Value of no kind");
    setOwn(into, key, value);
  }
  mustBeAt(reader, end);
  return into;
}

/** Assignment, except that the key `__proto__` becomes an own property like any other. */
export function setOwn<T>(target: Record<string, T>, key: string, value: T): void {
  if (key === "__proto__")
    Object.defineProperty(target, key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  else target[key] = value;
}
