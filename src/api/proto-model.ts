/**
 * Protobuf files as plain data. The catalogue derives one (proto-derive.ts); descriptors,
 * text and codecs follow from it. It holds what Solo needs of proto3 and no more.
 */
export type Scalar = "string" | "bytes" | "bool" | "int32" | "uint32" | "int64" | "double";

export type FieldType =
  | { readonly kind: "scalar"; readonly scalar: Scalar }
  | { readonly kind: "enum"; readonly enum: ProtoEnum }
  | { readonly kind: "message"; readonly message: ProtoMessage }
  /** google.protobuf.Value: any JSON value. */
  | { readonly kind: "value" }
  /** google.protobuf.Struct: a JSON object. */
  | { readonly kind: "struct" }
  /** map<string, string> */
  | { readonly kind: "map" };

export interface ProtoField {
  readonly name: string;
  readonly number: number;
  readonly type: FieldType;
  /** `optional` is written so; the others are proto3's plain and repeated fields. */
  readonly presence: "plain" | "optional" | "repeated";
  /** What a field that is not in the bytes reads as: its type's zero, nothing, or null. */
  readonly absent: "zero" | "omitted" | "null";
  readonly oneof?: string;
  readonly comment?: string;
}

export interface ProtoMessage {
  readonly name: string;
  readonly fields: readonly ProtoField[];
  readonly enums?: readonly ProtoEnum[];
  readonly comment?: string;
}

export interface ProtoEnum {
  readonly name: string;
  /** The names of the numbers 0, 1, 2 …. */
  readonly values: readonly string[];
}

export interface ProtoMethod {
  readonly name: string;
  readonly input: ProtoMessage;
  readonly output: ProtoMessage;
  readonly clientStreaming?: boolean;
  readonly serverStreaming?: boolean;
  readonly comment?: string;
}

export interface ProtoService {
  readonly name: string;
  readonly methods: readonly ProtoMethod[];
  readonly comment?: string;
}

export interface ProtoFile {
  /** The path that importers write. */
  readonly path: string;
  readonly package: string;
  readonly messages: readonly ProtoMessage[];
  readonly services: readonly ProtoService[];
}

export const STRUCT_PROTO = "google/protobuf/struct.proto";

export const usesStruct = (file: ProtoFile): boolean =>
  file.messages.some(({ fields }) =>
    fields.some(({ type }) => type.kind === "value" || type.kind === "struct"),
  );

/** A message written by hand: `message("Any", { type_url: [1, "string"] })`. */
export function message(
  name: string,
  fields: Readonly<Record<string, readonly [number, Scalar | FieldType, Partial<ProtoField>?]>>,
  enums?: readonly ProtoEnum[],
): ProtoMessage {
  return {
    name,
    fields: Object.entries(fields).map(([fieldName, [number, type, rest]]) => ({
      name: fieldName,
      number,
      type: typeof type === "string" ? { kind: "scalar", scalar: type } : type,
      presence: "plain",
      absent:
        rest?.oneof !== undefined || (typeof type === "object" && type.kind === "message")
          ? "omitted"
          : "zero",
      ...rest,
    })),
    ...(enums !== undefined && { enums }),
  };
}
