/** Protobuf descriptors of a ProtoFile, for reflection and for @bufbuild/protobuf. */
import { create } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorProtoSchema,
  type FileDescriptorProto,
} from "@bufbuild/protobuf/wkt";
import {
  STRUCT_PROTO,
  usesStruct,
  type FieldType,
  type ProtoFile,
  type ProtoMessage,
  type Scalar,
} from "#api/proto-model.ts";

const SCALAR_TYPES: Readonly<Record<Scalar, Type>> = {
  string: Type.STRING,
  bytes: Type.BYTES,
  bool: Type.BOOL,
  int32: Type.INT32,
  uint32: Type.UINT32,
  int64: Type.INT64,
  double: Type.DOUBLE,
};

const camel = (name: string): string =>
  name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** protoc's name for the entries of a map field. */
const entryName = (field: string): string => {
  const name = camel(field);
  return `${name.charAt(0).toUpperCase()}${name.slice(1)}Entry`;
};

function typeOf(scope: { pkg: string; owner: ProtoMessage; field: string }, type: FieldType) {
  const { pkg, owner, field } = scope;
  switch (type.kind) {
    case "scalar":
      return { type: SCALAR_TYPES[type.scalar] };
    case "enum":
      return { type: Type.ENUM, typeName: `.${pkg}.${owner.name}.${type.enum.name}` };
    case "message":
      return { type: Type.MESSAGE, typeName: `.${pkg}.${type.message.name}` };
    case "value":
      return { type: Type.MESSAGE, typeName: ".google.protobuf.Value" };
    case "struct":
      return { type: Type.MESSAGE, typeName: ".google.protobuf.Struct" };
    case "map":
      return { type: Type.MESSAGE, typeName: `.${pkg}.${owner.name}.${entryName(field)}` };
  }
}

const stringField = (name: string, number: number) => ({
  name,
  number,
  type: Type.STRING,
  label: Label.OPTIONAL,
  jsonName: name,
});

function messageOf(pkg: string, owner: ProtoMessage) {
  const real = [
    ...new Set(owner.fields.map(({ oneof }) => oneof).filter((name) => name !== undefined)),
  ];
  // proto3 `optional` is a oneof of one field; those come after the real ones.
  const synthetic = owner.fields.filter(({ presence }) => presence === "optional");
  return {
    name: owner.name,
    field: owner.fields.map((field) => {
      const { name, number, presence, oneof } = field;
      const repeated = presence === "repeated" || field.type.kind === "map";
      const base = {
        name,
        number,
        label: repeated ? Label.REPEATED : Label.OPTIONAL,
        jsonName: camel(name),
        ...typeOf({ pkg, owner, field: name }, field.type),
      };
      if (oneof !== undefined) return { ...base, oneofIndex: real.indexOf(oneof) };
      if (presence !== "optional") return base;
      return { ...base, proto3Optional: true, oneofIndex: real.length + synthetic.indexOf(field) };
    }),
    oneofDecl: [...real, ...synthetic.map(({ name }) => `_${name}`)].map((name) => ({ name })),
    nestedType: owner.fields
      .filter(({ type }) => type.kind === "map")
      .map(({ name }) => ({
        name: entryName(name),
        field: [stringField("key", 1), stringField("value", 2)],
        options: { mapEntry: true },
      })),
    enumType: (owner.enums ?? []).map(({ name, values }) => ({
      name,
      value: values.map((value, number) => ({ name: value, number })),
    })),
  };
}

export function fileDescriptor(file: ProtoFile): FileDescriptorProto {
  const { path, package: pkg, messages, services } = file;
  return create(FileDescriptorProtoSchema, {
    name: path,
    package: pkg,
    syntax: "proto3",
    dependency: usesStruct(file) ? [STRUCT_PROTO] : [],
    messageType: messages.map((message) => messageOf(pkg, message)),
    service: services.map(({ name, methods }) => ({
      name,
      method: methods.map((method) => ({
        name: method.name,
        inputType: `.${pkg}.${method.input.name}`,
        outputType: `.${pkg}.${method.output.name}`,
        // Like protoc, which writes only what is true.
        ...(method.clientStreaming && { clientStreaming: true }),
        ...(method.serverStreaming && { serverStreaming: true }),
      })),
    })),
  });
}
