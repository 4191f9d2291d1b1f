/**
 * From the catalogue's zod schemas to the protobuf file `solo.v1`.
 *
 * 1. What has no mapping stops the start, with the field's path: nothing is guessed.
 * 2. A nested object is one message, wherever it appears; its name comes from the first
 *    field that holds it (`restart_limits` → RestartLimits, `events` → Event).
 * 3. null and absent are the same on the wire.
 */
import { z } from "zod";
import { fieldNumbers, type Operation } from "#api/operation.ts";
import type { FieldType, ProtoField, ProtoFile, ProtoMessage, Scalar } from "#api/proto-model.ts";

const MAX_FIELD_NUMBER = 536_870_911;
const RESERVED_NUMBERS = { from: 19_000, to: 19_999 } as const;

type Schema = z.core.$ZodType;

/** The schema below optional and nullable, and which of them stood around it. */
function unwrap(schema: Schema): { inner: Schema; optional: boolean; nullable: boolean } {
  let inner = schema;
  let optional = false;
  let nullable = false;
  for (;;) {
    const { def } = (inner as z.core.$ZodTypes)._zod;
    if (def.type === "optional") optional = true;
    else if (def.type === "nullable") nullable = true;
    else return { inner, optional, nullable };
    inner = def.innerType;
  }
}

const describe = (schema: Schema): string | undefined => z.globalRegistry.get(schema)?.description;

/** `services` → `service`, `capabilities` → `capability`. */
const singular = (name: string): string => name.replace(/ies$/, "y").replace(/s$/, "");

const pascal = (name: string): string =>
  name.replace(/(?:^|_)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

function refuse(path: string, why: string): never {
  throw new Error(`No protobuf for ${path}: ${why}.`);
}

const NUMBER_FORMATS: Readonly<Record<string, Scalar>> = {
  int32: "int32",
  uint32: "uint32",
  safeint: "int64",
};

/** z.json() is the one lazy schema there is: a union that begins with the JSON scalars. */
function isJson(schema: Schema): boolean {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (def.type !== "lazy") return false;
  const target = (def.getter() as z.core.$ZodTypes)._zod.def;
  if (target.type !== "union") return false;
  const kinds = target.options.map((option) => option._zod.def.type).join();
  return kinds === "string,number,boolean,null,array,record";
}

class Deriver {
  readonly messages: ProtoMessage[] = [];
  readonly #byShape = new Map<object, ProtoMessage>();
  readonly #names = new Set<string>();

  /** The schema as message `name`; the same schema twice as a nested message is one message. */
  message(name: string, schema: z.core.$ZodObject, comment?: string): ProtoMessage {
    const { shape, catchall } = schema._zod.def;
    if (catchall?._zod.def.type !== "never") refuse(name, "objects must be strict");
    if (this.#names.has(name)) refuse(name, "two different messages would have this name");
    this.#names.add(name);
    const taken = new Map<number, string>();
    const fields = Object.entries(shape).map(([key, fieldSchema]) => {
      const made = this.#field(`${name}.${key}`, key, fieldSchema);
      const other = taken.get(made.number);
      if (other !== undefined) refuse(`${name}.${key}`, `${other} has number ${made.number} too`);
      taken.set(made.number, key);
      return made;
    });
    fields.sort((a, b) => a.number - b.number);
    const text = comment ?? describe(schema);
    const made: ProtoMessage = { name, fields, ...(text !== undefined && { comment: text }) };
    this.messages.push(made);
    return made;
  }

  #field(path: string, name: string, schema: Schema): ProtoField {
    const number = fieldNumbers.get(schema as z.ZodType)?.number;
    if (number === undefined) refuse(path, "it has no field number");
    if (
      !Number.isInteger(number) ||
      number < 1 ||
      number > MAX_FIELD_NUMBER ||
      (number >= RESERVED_NUMBERS.from && number <= RESERVED_NUMBERS.to)
    )
      refuse(path, `${number} is not a field number`);
    const { inner, optional, nullable } = unwrap(schema);
    const { def } = (inner as z.core.$ZodTypes)._zod;
    const repeated = def.type === "array";
    const element = repeated ? def.element : inner;
    const type = this.#type(path, repeated ? singular(name) : name, element);
    if (repeated && (type.kind === "map" || unwrap(element).inner !== element))
      refuse(path, "a list of these cannot be repeated");
    const hasZero = repeated || type.kind === "scalar" || type.kind === "map";
    return {
      name,
      number,
      type,
      presence: repeated
        ? "repeated"
        : (optional || nullable) && type.kind !== "map"
          ? "optional"
          : "plain",
      absent: nullable ? "null" : optional || !hasZero ? "omitted" : "zero",
      ...this.#comment(schema, inner, element),
    };
  }

  #comment(schema: Schema, inner: Schema, element: Schema): { comment?: string } {
    const { def } = (element as z.core.$ZodTypes)._zod;
    // An object's own description stands at its message.
    const text = describe(schema) ?? (def.type === "object" ? undefined : describe(inner));
    const values =
      def.type === "enum" ? `One of: ${Object.values(def.entries).join(", ")}.` : undefined;
    const lines = [text, values].filter((line) => line !== undefined);
    return lines.length === 0 ? {} : { comment: lines.join("\n") };
  }

  #type(path: string, name: string, schema: Schema): FieldType {
    const { def } = (schema as z.core.$ZodTypes)._zod;
    switch (def.type) {
      case "string":
        return { kind: "scalar", scalar: "string" };
      case "enum":
        if (Object.values(def.entries).some((value) => typeof value !== "string"))
          refuse(path, "enums must be of strings");
        return { kind: "scalar", scalar: "string" };
      case "boolean":
        return { kind: "scalar", scalar: "bool" };
      case "number": {
        const { format } = schema as z.ZodNumber;
        const scalar = format === null ? "double" : NUMBER_FORMATS[format];
        return scalar === undefined
          ? refuse(path, `numbers of format ${format} are not mapped`)
          : { kind: "scalar", scalar };
      }
      case "lazy":
        return isJson(schema) ? { kind: "value" } : refuse(path, "only z.json() may be lazy");
      case "record":
        return this.#record(path, def);
      case "object":
        return { kind: "message", message: this.#nested(name, schema as z.core.$ZodObject) };
      default:
        return refuse(path, `zod's ${def.type} is not mapped`);
    }
  }

  #record(path: string, def: z.core.$ZodRecordDef): FieldType {
    if ((def.keyType as z.core.$ZodTypes)._zod.def.type !== "string")
      refuse(path, "keys must be strings");
    if (isJson(def.valueType)) return { kind: "struct" };
    if ((def.valueType as z.core.$ZodTypes)._zod.def.type === "string") return { kind: "map" };
    return refuse(path, "values of a record must be strings or JSON");
  }

  #nested(name: string, schema: z.core.$ZodObject): ProtoMessage {
    const { shape } = schema._zod.def;
    const known = this.#byShape.get(shape);
    if (known !== undefined) return known;
    // Its own title, where the name of the field would say too little or is taken.
    const made = this.message(z.globalRegistry.get(schema)?.title ?? pascal(name), schema);
    this.#byShape.set(shape, made);
    return made;
  }
}

function methodComment(operation: Operation): string {
  const { summary, description, permission, errors } = operation;
  const lines = [summary];
  if (description !== undefined) lines.push(description);
  lines.push(`Permission: ${permission}.`);
  if (errors.length > 0) lines.push(`Errors: ${errors.join(", ")}.`);
  return lines.join("\n");
}

/** The protobuf file of a catalogue; throws for what cannot be said in protobuf. */
export function deriveProto(operations: Readonly<Record<string, Operation>>): ProtoFile {
  const deriver = new Deriver();
  const methods = Object.entries(operations).map(([name, operation]) => ({
    name,
    input: deriver.message(`${name}Request`, operation.input),
    output: deriver.message(`${name}Response`, operation.output),
    serverStreaming: operation.streaming,
    comment: methodComment(operation),
  }));
  return {
    path: "solo.proto",
    package: "solo.v1",
    messages: deriver.messages,
    services: [{ name: "Solo", methods, comment: "Every operation of a Solo kernel." }],
  };
}
