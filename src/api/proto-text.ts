/** A ProtoFile as the text that client authors compile. */
import {
  STRUCT_PROTO,
  usesStruct,
  type ProtoField,
  type ProtoFile,
  type ProtoMessage,
  type ProtoService,
} from "#api/proto-model.ts";

const COMMENT_WIDTH = 96;

/** `text` as `//` lines of at most COMMENT_WIDTH characters. */
function comment(text: string | undefined, indent = ""): string[] {
  if (text === undefined) return [];
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = `${indent}//`;
    for (const word of paragraph.split(/\s+/)) {
      if (line.length + 1 + word.length > COMMENT_WIDTH) {
        lines.push(line);
        line = `${indent}//`;
      }
      line += ` ${word}`;
    }
    lines.push(line);
  }
  return lines;
}

function typeText({ type }: ProtoField): string {
  switch (type.kind) {
    case "scalar":
      return type.scalar;
    case "enum":
      return type.enum.name;
    case "message":
      return type.message.name;
    case "value":
      return "google.protobuf.Value";
    case "struct":
      return "google.protobuf.Struct";
    case "map":
      return "map<string, string>";
  }
}

function messageText({ name, fields, comment: text }: ProtoMessage): string[] {
  if (fields.length === 0) return [...comment(text), `message ${name} {}`];
  const lines = fields.flatMap((field) => {
    const label = field.presence === "plain" ? "" : `${field.presence} `;
    return [
      ...comment(field.comment, "  "),
      `  ${label}${typeText(field)} ${field.name} = ${field.number};`,
    ];
  });
  return [...comment(text), `message ${name} {`, ...lines, "}"];
}

function serviceText({ name, methods, comment: text }: ProtoService): string[] {
  const lines = methods.flatMap((method, index) => [
    ...(index > 0 ? [""] : []),
    ...comment(method.comment, "  "),
    `  rpc ${method.name}(${method.input.name}) returns (${method.serverStreaming ? "stream " : ""}${method.output.name});`,
  ]);
  return [...comment(text), `service ${name} {`, ...lines, "}"];
}

/** Files with oneofs or enums are not written as text; Solo's own has none. */
export function protoText(file: ProtoFile): string {
  const blocks = [
    comment(
      "Derived from Solo's operation catalogue; do not edit. `node scripts/emit-proto.ts` writes it.",
    ),
    [`syntax = "proto3";`],
    [`package ${file.package};`],
    ...(usesStruct(file) ? [[`import "${STRUCT_PROTO}";`]] : []),
    ...file.services.map(serviceText),
    ...file.messages.map(messageText),
  ];
  return `${blocks.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}
