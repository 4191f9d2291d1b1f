import {
  create,
  createFileRegistry,
  fromBinary,
  toBinary,
  toJson,
  type DescMessage,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, file_google_protobuf_struct } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { OperationName } from "#api/catalogue.ts";
import { operationCodecs, soloProto } from "#api/proto.ts";
import { fileDescriptor } from "#api/proto-descriptor.ts";
import { compileCodec } from "#api/proto-codec.ts";
import { MAX_JSON_DEPTH } from "#api/proto-json.ts";
import { message, type FieldType, type ProtoField, type ProtoMessage } from "#api/proto-model.ts";
import { SoloError } from "#base/errors.ts";

const registry = createFileRegistry(
  create(FileDescriptorSetSchema, {
    file: [file_google_protobuf_struct.proto, fileDescriptor(soloProto)],
  }),
);
const descOf = (name: string): DescMessage => registry.getMessage(`solo.v1.${name}`)!;

const text = fc.string({ unit: "grapheme", maxLength: 60 });
const json = fc
  .jsonValue({ maxDepth: 4 })
  .map((value) => JSON.parse(JSON.stringify(value)) as unknown);

function valueOf(type: FieldType): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case "scalar":
      return {
        string: text,
        bytes: fc.uint8Array(),
        bool: fc.boolean(),
        int32: fc.integer(),
        uint32: fc.nat(0xffff_ffff),
        int64: fc.maxSafeInteger(),
        double: fc.double({ noNaN: true }),
      }[type.scalar];
    case "message":
      return messageOf(type.message);
    case "value":
      return json;
    case "struct":
      return fc.dictionary(text, json);
    case "map":
      return fc.dictionary(text, text);
    case "enum":
      return fc.nat(type.enum.values.length - 1);
  }
}

function fieldOf(field: ProtoField): fc.Arbitrary<unknown> {
  const value = valueOf(field.type);
  if (field.presence === "repeated") return fc.array(value, { maxLength: 4 });
  if (field.absent === "null") return fc.option(value, { nil: null });
  return field.absent === "omitted" ? fc.option(value, { nil: undefined }) : value;
}

/** Random objects of a message, with what is absent left out. */
function messageOf({ fields }: ProtoMessage): fc.Arbitrary<Record<string, unknown>> {
  return fc
    .record(Object.fromEntries(fields.map((field) => [field.name, fieldOf(field)])))
    .map((object) => {
      const empty = (field: ProtoField, value: unknown) =>
        field.absent === "omitted" &&
        (field.presence === "repeated" || field.type.kind === "map") &&
        Object.keys(value as object).length === 0;
      return Object.fromEntries(
        fields
          .map((field) => [field, object[field.name]] as const)
          .filter(([field, value]) => value !== undefined && !empty(field, value))
          .map(([field, value]) => [field.name, value]),
      );
    });
}

describe("the codecs of the catalogue's messages", () => {
  const messages = soloProto.services[0]!.methods.flatMap(({ input, output }) => [input, output]);

  test.each(messages.map((item) => [item.name, item] as const))(
    "%s is written and read as @bufbuild/protobuf does",
    (name, item) => {
      const codec = compileCodec(item, { closed: true, fault: "internal" });
      const desc = descOf(name);
      fc.assert(
        fc.property(messageOf(item), (value) => {
          const bytes = codec.encode(value);
          const theirs = fromBinary(desc, bytes);
          expect(theirs.$unknown).toBeUndefined();
          expect(Buffer.from(toBinary(desc, theirs)).equals(bytes)).toBe(true);
          expect(codec.decode(toBinary(desc, theirs))).toEqual(value);
        }),
        { numRuns: 50 },
      );
    },
  );

  test("whatever the bytes are, decoding ends in an object or a refusal", () => {
    const names = Object.keys(operationCodecs) as OperationName[];
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.uint8Array({ maxLength: 200 }), (name, bytes) => {
        try {
          expect(operationCodecs[name].request.decode(bytes)).toBeTypeOf("object");
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(SoloError);
          expect((thrown as SoloError).code).toBe("invalid_argument");
        }
      }),
      { numRuns: 500 },
    );
  });

  test("whatever a valid message is cut or changed to, decoding ends in an object or a refusal", () => {
    const { request } = operationCodecs.Deploy;
    fc.assert(
      fc.property(
        messageOf(request.message),
        fc.nat(),
        fc.nat(255),
        fc.boolean(),
        (value, at, byte, cut) => {
          const bytes = request.encode(value);
          const changed = cut ? bytes.subarray(0, at % (bytes.length + 1)) : bytes.slice();
          if (!cut && bytes.length > 0) changed[at % bytes.length] = byte;
          try {
            request.decode(changed);
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(SoloError);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

const refusal = (work: () => unknown): SoloError => {
  try {
    work();
  } catch (thrown) {
    return thrown as SoloError;
  }
  throw new Error("nothing was refused");
};

describe("a closed codec", () => {
  const { request } = operationCodecs.Deploy;

  test("refuses an unknown field number and names it", () => {
    const error = refusal(() => request.decode(Uint8Array.from([0x98, 0x06, 1])));
    expect(error.code).toBe("invalid_argument");
    expect(error.message).toBe("DeployRequest has no field with number 99.");
  });

  test("refuses an unknown field within a nested message and says where", () => {
    const wider = message("Wider", {
      limits: [9, { kind: "message", message: message("L", { extra: [77, "string"] }) }],
    });
    const bytes = compileCodec(wider, { closed: true, fault: "internal" }).encode({
      limits: { extra: "x" },
    });
    const error = refusal(() => request.decode(bytes));
    expect(error.message).toBe("limits has no field with number 77.");
    expect(error.options.fields).toEqual([
      { field: "limits", message: "has no field with number 77" },
    ]);
  });

  test("refuses to write a field that the message does not have", () => {
    const error = refusal(() => request.encode({ service_id: "a", limits: { memory: 1 } }));
    expect(error.options.fields?.[0]?.field).toBe("limits.memory");
  });

  test("refuses a value of the wrong type with the field's path", () => {
    const error = refusal(() => request.encode({ limits: { memory_mb: -1 } }));
    expect(error.message).toBe("limits.memory_mb must be a whole number of 32 bits, not negative.");
  });
});

test("an open codec skips fields that it does not know", () => {
  const newer = message("CastResponse", { accepted: [1, "bool"], later: [2, "string"] });
  const bytes = compileCodec(newer, { closed: true, fault: "internal" }).encode({
    accepted: true,
    later: "x",
  });
  expect(operationCodecs.Cast.response.decode(bytes)).toEqual({ accepted: true });
});

test("an int64 beyond 2^53 is refused, not rounded", () => {
  const { request } = operationCodecs.Logs;
  const desc = descOf("LogsRequest");
  const bytes = toBinary(desc, create(desc, { since: 2n ** 53n }));
  expect(refusal(() => request.decode(bytes)).message).toBe("since is beyond 2^53.");
});

test("JSON nested too deep is refused in both directions", () => {
  const deep = (levels: number): unknown => (levels === 0 ? 1 : [deep(levels - 1)]);
  const { response } = operationCodecs.Call;
  const fits = deep(MAX_JSON_DEPTH);
  expect(response.decode(response.encode({ reply: fits }))).toEqual({ reply: fits });
  expect(refusal(() => response.encode({ reply: deep(MAX_JSON_DEPTH + 1) })).message).toMatch(
    /^reply is nested/,
  );
  let bytes = Uint8Array.from([0x08, 0]);
  const frame = (tag: number, inner: Uint8Array) => {
    const length = inner.length;
    return Uint8Array.from([tag, (length & 0x7f) | 0x80, (length >> 7) & 0x7f, ...inner]);
  };
  for (let level = 0; level < 1000; level++) bytes = frame(0x32, frame(0x0a, bytes));
  expect(refusal(() => response.decode(frame(0x0a, bytes))).message).toMatch(/^reply is nested/);
});

test("a key called __proto__ is data", () => {
  const { response } = operationCodecs.Call;
  const reply = JSON.parse('{"__proto__": {"polluted": true}}') as object;
  const back = response.decode(response.encode({ reply }))["reply"] as object;
  expect(Object.keys(back)).toEqual(["__proto__"]);
  expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
  const files = JSON.parse('{"__proto__": "text"}') as object;
  const { request } = operationCodecs.Deploy;
  expect(Object.keys(request.decode(request.encode({ files }))["files"] as object)).toEqual([
    "__proto__",
  ]);
});

test("text that is not UTF-8 is refused", () => {
  const error = refusal(() =>
    operationCodecs.Status.request.decode(Uint8Array.from([0x12, 2, 0xff, 0xfe])),
  );
  expect(error.code).toBe("invalid_argument");
});

test("NaN is not JSON", () => {
  expect(refusal(() => operationCodecs.Call.response.encode({ reply: Number.NaN })).message).toBe(
    "reply holds NaN, which is not JSON.",
  );
});

test("packed and unpacked lists of numbers are both read", () => {
  const list = message("List", { numbers: [1, "int32", { presence: "repeated" }] });
  const codec = compileCodec(list, { closed: true, fault: "internal" });
  expect(codec.decode(codec.encode({ numbers: [1, -2, 300] }))).toEqual({ numbers: [1, -2, 300] });
  expect(codec.decode(Uint8Array.from([8, 1, 8, 2]))).toEqual({ numbers: [1, 2] });
});

test("JSON written here reads as the same JSON in @bufbuild/protobuf", () => {
  fc.assert(
    fc.property(json, (reply) => {
      const desc = descOf("CallResponse");
      const theirs = toJson(
        desc,
        fromBinary(desc, operationCodecs.Call.response.encode({ reply })),
      );
      expect(theirs).toEqual({ reply: JSON.parse(JSON.stringify(reply)) });
    }),
    { numRuns: 200 },
  );
});
