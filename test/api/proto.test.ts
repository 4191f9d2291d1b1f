import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { loadSync } from "@grpc/proto-loader";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { catalogue } from "#api/catalogue.ts";
import { field, json, unary, type Operation } from "#api/operation.ts";
import { soloProto, soloProtoText } from "#api/proto.ts";
import { fileDescriptor } from "#api/proto-descriptor.ts";
import { deriveProto } from "#api/proto-derive.ts";
import { protoText } from "#api/proto-text.ts";

const protoFile = fileURLToPath(new URL("../../proto/solo.proto", import.meta.url));
const buf = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));
const run = promisify(execFile);

/** Where proto/solo.proto departs from buf's standard rules: the contract names file and service. */
const LINT = JSON.stringify({
  version: "v2",
  lint: { use: ["STANDARD"], except: ["PACKAGE_DIRECTORY_MATCH", "SERVICE_SUFFIX"] },
});

describe("proto/solo.proto", () => {
  test("is what the catalogue says; `node scripts/emit-proto.ts` writes it", () => {
    expect(readFileSync(protoFile, "utf8")).toBe(soloProtoText());
  });

  test("loads in stock proto-loader with every operation", () => {
    const service = loadSync(protoFile)["solo.v1.Solo"] as unknown as Record<
      string,
      { responseStream: boolean }
    >;
    const found = Object.fromEntries(
      Object.entries(service).map(([name, { responseStream }]) => [name, responseStream]),
    );
    const expected = Object.entries(catalogue).map(([name, { streaming }]) => [name, streaming]);
    expect(found).toEqual(Object.fromEntries(expected));
  });

  test("passes buf lint", async () => {
    await run(buf, ["lint", protoFile, "--config", LINT]);
  });

  test("compiles in buf to the very descriptor that the gateway serves", async () => {
    const options = { encoding: "buffer", maxBuffer: 1 << 24 } as const;
    const args = [
      "build",
      protoFile,
      "--as-file-descriptor-set",
      "--exclude-source-info",
      "-o",
      "-",
    ];
    const { stdout } = await run(buf, args, options);
    const theirs = fromBinary(FileDescriptorSetSchema, stdout).file.find(
      ({ package: name }) => name === "solo.v1",
    )!;
    const ours = fileDescriptor(soloProto);
    expect({ ...theirs, name: "", $unknown: undefined }).toEqual({
      ...ours,
      name: "",
      $unknown: undefined,
    });
    expect(
      createFileRegistry(fromBinary(FileDescriptorSetSchema, stdout)).getService("solo.v1.Solo"),
    ).toBeDefined();
  });
});

const operation = (input: z.ZodObject): Record<string, Operation> => ({
  Op: unary({
    name: "Op",
    summary: "An operation.",
    input,
    output: z.strictObject({}),
    permission: "read",
    resource: () => "kernel",
    errors: [],
    http: { method: "GET", path: "/op" },
  }),
});
const derive = (input: z.ZodObject) => deriveProto(operation(input));

describe("deriving protobuf", () => {
  test("maps every kind of field that the catalogue may use", () => {
    const inner = z.strictObject({ a: field(1, z.string()) });
    const text = protoText(
      derive(
        z.strictObject({
          text: field(1, z.string()),
          flag: field(2, z.boolean().optional()),
          small: field(3, z.int32()),
          count: field(4, z.uint32().nullable()),
          big: field(5, z.int()),
          also_big: field(6, z.number().int()),
          ratio: field(7, z.number()),
          choice: field(8, z.enum(["x", "y"])),
          anything: field(9, json()),
          labels: field(10, z.record(z.string(), z.string()).optional()),
          payload: field(11, z.record(z.string(), json())),
          items: field(12, z.array(inner)),
          values: field(13, z.array(json()).optional()),
          item: field(14, inner.optional()),
        }),
      ),
    );
    const lines = text
      .slice(text.indexOf("message OpRequest"))
      .split("\n")
      .map((line) => line.trim());
    expect(lines.filter((line) => / = \d+;$/.test(line))).toEqual([
      "string text = 1;",
      "optional bool flag = 2;",
      "int32 small = 3;",
      "optional uint32 count = 4;",
      "int64 big = 5;",
      "int64 also_big = 6;",
      "double ratio = 7;",
      "string choice = 8;",
      "google.protobuf.Value anything = 9;",
      "map<string, string> labels = 10;",
      "google.protobuf.Struct payload = 11;",
      "repeated Item items = 12;",
      "repeated google.protobuf.Value values = 13;",
      "optional Item item = 14;",
    ]);
  });

  test.each([
    [
      "a field without a number",
      z.strictObject({ a: z.string() }),
      "OpRequest.a: it has no field number",
    ],
    [
      "a number used twice",
      z.strictObject({ a: field(1, z.string()), b: field(1, z.string()) }),
      "OpRequest.b: a has number 1 too",
    ],
    [
      "a number that protobuf reserves",
      z.strictObject({ a: field(19_000, z.string()) }),
      "OpRequest.a: 19000 is not a field number",
    ],
    [
      "a zod type without a mapping",
      z.strictObject({ a: field(1, z.date()) }),
      "OpRequest.a: zod's date is not mapped",
    ],
    [
      "a union",
      z.strictObject({ a: field(1, z.union([z.string(), z.int32()])) }),
      "OpRequest.a: zod's union is not mapped",
    ],
    [
      "a number of another format",
      z.strictObject({ a: field(1, z.float32()) }),
      "OpRequest.a: numbers of format float32 are not mapped",
    ],
    [
      "a record of numbers",
      z.strictObject({ a: field(1, z.record(z.string(), z.number())) }),
      "OpRequest.a: values of a record must be strings or JSON",
    ],
    [
      "a list of lists",
      z.strictObject({ a: field(1, z.array(z.array(z.string()))) }),
      "OpRequest.a: zod's array is not mapped",
    ],
    [
      "a list of optional values",
      z.strictObject({ a: field(1, z.array(z.string().optional())) }),
      "OpRequest.a: zod's optional is not mapped",
    ],
    [
      "an object that is not strict",
      z.strictObject({ a: field(1, z.object({})) }),
      "A: objects must be strict",
    ],
    [
      "a lazy schema that is not JSON",
      z.strictObject({
        a: field(
          1,
          z.lazy(() => z.string()),
        ),
      }),
      "OpRequest.a: only z.json() may be lazy",
    ],
    [
      "two messages of one name",
      z.strictObject({
        item: field(1, z.strictObject({})),
        items: field(2, z.array(z.strictObject({}))),
      }),
      "Item: two different messages would have this name",
    ],
  ])("refuses %s", (_, input, why) => {
    expect(() => derive(input)).toThrow(`No protobuf for ${why}.`);
  });
});
