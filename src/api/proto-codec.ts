/**
 * Codecs between plain objects and protobuf's wire format: one reader and one writer per
 * field, put together once at start, so that a call costs no reflection over schemas.
 *
 * 1. A closed codec (Solo's requests) refuses what its message does not have, both ways: a
 *    field that was not understood is never silently ignored. An open codec (answers) skips
 *    it, so that an older client understands a newer kernel.
 * 2. Whatever the bytes are, decoding ends in an object or a SoloError.
 * 3. int64 is a JS number; beyond ±2^53 it is refused, never rounded.
 * 4. Fields are written in the order of their numbers and zeros of plain fields are left
 *    out, as every protobuf implementation does.
 */
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { SoloError } from "#base/errors.ts";
import type { FieldType, ProtoField, ProtoMessage } from "#api/proto-model.ts";
import {
  INT32,
  JSON_VALUE,
  MAP,
  SCALARS,
  STRUCT,
  nested,
  writeMapEntries,
  type Plain,
  type ValueCodec,
} from "#api/proto-values.ts";
import { WireError, endOfNested, mustBeAt, type Limit } from "#api/proto-wire.ts";

export interface MessageCodec {
  readonly message: ProtoMessage;
  encode(value: object): Uint8Array;
  decode(bytes: Uint8Array): Plain;
}

interface FieldCodec {
  readonly field: ProtoField;
  readonly packed: boolean;
  readonly tag: number;
  readonly value: ValueCodec;
  /** A new value for an absent field; undefined when it is left out. */
  readonly zero: (() => unknown) | undefined;
}

export interface CodecOptions {
  /** Whether fields that the message does not have are refused. */
  readonly closed: boolean;
  /** The code of what cannot be read or written: whose fault that is. */
  readonly fault: "invalid_argument" | "internal";
}

interface Plan {
  readonly message: ProtoMessage;
  readonly closed: boolean;
  readonly fields: FieldCodec[];
  readonly byNumber: Map<number, FieldCodec>;
  readonly names: Set<string>;
}

function valueCodec(type: FieldType, planOf: (message: ProtoMessage) => Plan): ValueCodec {
  switch (type.kind) {
    case "scalar":
      return SCALARS[type.scalar];
    case "enum":
      return INT32;
    case "value":
      return JSON_VALUE;
    case "struct":
      return STRUCT;
    case "map":
      return MAP;
    case "message": {
      const plan = planOf(type.message);
      return nested(
        "an object",
        (writer, value) => writeMessage(writer, plan, value as Plain),
        (reader, end, into) => readMessage(reader, end, plan, into),
      );
    }
  }
}

function zeroOf({ type, absent, presence }: ProtoField): (() => unknown) | undefined {
  if (absent === "null") return () => null;
  if (absent === "omitted") return undefined;
  if (presence === "repeated") return () => [];
  if (type.kind === "map") return () => ({});
  const zero = type.kind === "scalar" ? SCALARS[type.scalar].zero : 0;
  return () => zero;
}

/** Plans of a message and those within it; a message that appears twice has one plan. */
function planner(closed: boolean): (message: ProtoMessage) => Plan {
  const plans = new Map<ProtoMessage, Plan>();
  const planOf = (message: ProtoMessage): Plan => {
    const known = plans.get(message);
    if (known !== undefined) return known;
    const plan: Plan = { message, closed, fields: [], byNumber: new Map(), names: new Set() };
    plans.set(message, plan);
    for (const field of message.fields) {
      const value = valueCodec(field.type, planOf);
      const packed = field.presence === "repeated" && value.wireType !== WireType.LengthDelimited;
      const wireType = packed ? WireType.LengthDelimited : value.wireType;
      const codec = {
        field,
        packed,
        value,
        tag: (field.number << 3) | wireType,
        zero: zeroOf(field),
      };
      plan.fields.push(codec);
      plan.byNumber.set(field.number, codec);
      plan.names.add(field.name);
    }
    return plan;
  };
  return planOf;
}

function writeMessage(writer: BinaryWriter, plan: Plan, message: Plain): void {
  if (plan.closed)
    for (const key of Object.keys(message))
      if (!plan.names.has(key)) throw new WireError("is not a field of this message").within(key);
  for (const codec of plan.fields) {
    const value = message[codec.field.name];
    if (value === undefined) continue;
    // null is a JSON value like any other; everywhere else it means absent.
    if (value === null && (codec.value !== JSON_VALUE || codec.field.absent === "null")) continue;
    try {
      writeField(writer, codec, value);
    } catch (error) {
      throw error instanceof WireError ? error.within(codec.field.name) : error;
    }
  }
}

function writeField(
  writer: BinaryWriter,
  { field, packed, tag, value: codec }: FieldCodec,
  value: unknown,
): void {
  if (field.type.kind === "map") return writeMapEntries(writer, tag, value);
  if (field.presence !== "repeated") {
    if (field.presence === "plain" && field.oneof === undefined && codec.isZero(value)) return;
    writer.uint32(tag);
    return codec.write(writer, value);
  }
  if (!Array.isArray(value)) throw new WireError("must be a list");
  if (value.length === 0) return;
  if (packed) writer.uint32(tag).fork();
  for (const item of value) {
    if (!packed) writer.uint32(tag);
    codec.write(writer, item);
  }
  if (packed) writer.join();
}

function readMessage(reader: BinaryReader, end: Limit, plan: Plan, into?: Plain): Plain {
  const message: Plain = into ?? {};
  if (into === undefined)
    for (const { field, zero } of plan.fields) if (zero !== undefined) message[field.name] = zero();
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const codec = plan.byNumber.get(number);
    if (codec === undefined) {
      if (plan.closed) throw new WireError(`has no field with number ${number}`);
      reader.skip(wireType, number);
      continue;
    }
    try {
      readField(reader, end, codec, wireType, message);
    } catch (error) {
      throw error instanceof WireError ? error.within(codec.field.name) : error;
    }
  }
  mustBeAt(reader, end);
  return message;
}

function readField(
  reader: BinaryReader,
  end: Limit,
  codec: FieldCodec,
  wireType: WireType,
  message: Plain,
): void {
  const { field, value } = codec;
  const { name } = field;
  if (field.presence !== "repeated") {
    if (wireType !== value.wireType)
      throw new WireError(`has wire type ${wireType}, not ${value.wireType}`);
    message[name] = value.read(reader, end, message[name] ?? undefined);
    return;
  }
  const list = (message[name] ??= []) as unknown[];
  if (wireType === value.wireType) {
    list.push(value.read(reader, end, undefined));
  } else if (codec.packed && wireType === WireType.LengthDelimited) {
    const packedEnd = endOfNested(reader, end);
    while (reader.pos < packedEnd) list.push(value.read(reader, packedEnd, undefined));
    mustBeAt(reader, packedEnd);
  } else throw new WireError(`has wire type ${wireType}, not ${value.wireType}`);
}

const HINT = "See the message in proto/solo.proto.";

/** What a field's writer or reader refused, as the error that the caller is to see. */
function refusal(
  { path, message: why }: WireError,
  name: string,
  fault: CodecOptions["fault"],
): SoloError {
  return new SoloError(fault, `${path ?? name} ${why}.`, {
    hint: HINT,
    ...(path !== undefined && { fields: [{ field: path, message: why }] }),
  });
}

/** A writer keeps its buffer for the next message, unless a message made it larger than this. */
const MAX_KEPT_BYTES = 64 * 1024;
let idleWriter = new BinaryWriter();

function encodeWith(plan: Plan, value: Plain): Uint8Array {
  // A failure leaves bytes behind in its writer, which is then not used again.
  const writer = idleWriter;
  idleWriter = new BinaryWriter();
  writeMessage(writer, plan, value);
  const bytes = writer.finish();
  if (bytes.length <= MAX_KEPT_BYTES) idleWriter = writer;
  return bytes;
}

/** A codec of `message`; `closed` refuses fields that the message does not have. */
export function compileCodec(message: ProtoMessage, { closed, fault }: CodecOptions): MessageCodec {
  const plan = planner(closed)(message);
  const { name } = message;
  return {
    message,
    encode(value) {
      try {
        return encodeWith(plan, value as Plain);
      } catch (thrown) {
        throw thrown instanceof WireError ? refusal(thrown, name, fault) : thrown;
      }
    },
    decode(bytes) {
      try {
        return readMessage(new BinaryReader(bytes), bytes.length, plan);
      } catch (thrown) {
        if (thrown instanceof WireError) throw refusal(thrown, name, fault);
        const why = `The bytes are not a well-formed ${name}.`;
        throw new SoloError(fault, why, { hint: HINT, cause: thrown });
      }
    },
  };
}
