import { execFile } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createFileRegistry, create, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Client, credentials, status as STATUS, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { catalogue } from "#api/catalogue.ts";
import type { MessageCodec } from "#api/proto-codec.ts";
import { silentLogger } from "#base/log.ts";
import { GrpcGateway } from "#gateway/grpc/gateway.ts";
import {
  healthCheckRequest,
  healthCheckResponse,
  reflectionRequest,
  reflectionResponse,
  standardCodec,
} from "#gateway/grpc/protocols.ts";
import { fakeKernel } from "../support/fake-kernel.ts";
import { failureFrom } from "../support/grpc-client.ts";

const buf = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));
const run = promisify(execFile);
const CHECK = "/grpc.health.v1.Health/Check";
const WATCH = "/grpc.health.v1.Health/Watch";

const writer = (codec: MessageCodec) => (value: object) => Buffer.from(codec.encode(value));
const reader = (codec: MessageCodec) => (bytes: Buffer) => codec.decode(bytes);
const askHealth = writer(standardCodec(healthCheckRequest));
const readHealth = reader(standardCodec(healthCheckResponse));
const askReflection = writer(standardCodec(reflectionRequest));
const readReflection = reader(standardCodec(reflectionResponse));

const start = () =>
  GrpcGateway.start({
    kernel: fakeKernel({
      calls: { Call: (input) => ({ reply: (input["args"] as unknown[])[0] ?? null }) },
    }),
    host: "127.0.0.1",
    port: 0,
    log: silentLogger,
  });

const connect = ({ address }: GrpcGateway) =>
  new Client(`${address.host}:${address.port}`, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_http_proxy": 0,
  });

let gateway: GrpcGateway;
let client: Client;
beforeAll(async () => {
  gateway = await start();
  client = connect(gateway);
});
afterAll(async () => {
  client.close();
  await gateway.stop({ graceMs: 0 });
});

const check = (service: string) =>
  new Promise((resolve, reject) => {
    client.makeUnaryRequest(CHECK, askHealth, readHealth, { service }, (error, value) =>
      error === null ? resolve(value) : reject(error),
    );
  });

describe("health", () => {
  test.each(["", "solo.v1.Solo"])("says that %j serves", async (service) => {
    expect(await check(service)).toEqual({ status: 1 });
  });

  test("does not know other services", async () => {
    expect((await failureFrom(check("other"))).code).toBe(STATUS.NOT_FOUND);
  });

  test("that is watched says when the gateway stops, and ends", async () => {
    const other = await start();
    const watcher = connect(other);
    const stream = watcher.makeServerStreamRequest(WATCH, askHealth, readHealth, {
      service: "solo.v1.Solo",
    });
    const seen: unknown[] = [];
    stream.on("data", (message) => seen.push(message));
    await once(stream, "data");
    const ended = once(stream, "end");
    await other.stop({ graceMs: 60_000 });
    await ended;
    expect(seen).toEqual([{ status: 1 }, { status: 2 }]);
    watcher.close();
  });

  test("that is watched for an unknown service says so and stays open", async () => {
    const stream = client.makeServerStreamRequest(WATCH, askHealth, readHealth, {
      service: "other",
    });
    stream.on("error", () => {});
    expect((await once(stream, "data"))[0]).toEqual({ status: 3 });
    stream.cancel();
  });
});

/** A ServerReflectionResponse: one of these, as reflection answers it. */
interface Answer {
  readonly original_request: object;
  readonly file_descriptor_response?: { readonly file_descriptor_proto: readonly Uint8Array[] };
  readonly list_services_response?: { readonly service: readonly { readonly name: string }[] };
  readonly error_response?: { readonly error_code: number };
}

describe.each(["v1", "v1alpha"])("reflection %s", (version) => {
  const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;

  /** Answers to `requests`, asked one after the other on one stream. */
  async function reflect(...requests: object[]): Promise<Answer[]> {
    const stream = client.makeBidiStreamRequest(path, askReflection, readReflection);
    const answers: Answer[] = [];
    for (const request of requests) stream.write(request);
    stream.end();
    for await (const answer of stream) answers.push(answer as Answer);
    return answers;
  }

  test("lists every service", async () => {
    const [answer] = await reflect({ list_services: "" });
    expect(answer!.list_services_response!.service.map(({ name }) => name).sort()).toEqual([
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      "solo.v1.Solo",
    ]);
  });

  test.each([
    ["a service", { file_containing_symbol: "solo.v1.Solo" }],
    ["a method", { file_containing_symbol: "solo.v1.Solo.Call" }],
    ["a message", { file_containing_symbol: "solo.v1.DeployRequest" }],
    ["a file name", { file_by_filename: "solo.proto" }],
  ])("answers %s with a file that stands alone with its imports", async (_, request) => {
    const [answer] = await reflect(request);
    const file = answer!.file_descriptor_response!.file_descriptor_proto.map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    );
    // Imports come before what needs them in a descriptor set.
    const registry = createFileRegistry(
      create(FileDescriptorSetSchema, { file: file.toReversed() }),
    );
    const methods = registry.getService("solo.v1.Solo")!.methods.map(({ name }) => name);
    expect(methods).toEqual(Object.keys(catalogue));
  });

  test("answers several questions on one stream, in order, and says what it does not know", async () => {
    const answers = await reflect(
      { file_containing_symbol: "no.such.Thing" },
      { file_by_filename: "google/protobuf/struct.proto" },
      { all_extension_numbers_of_type: "solo.v1.CallRequest" },
      {
        file_containing_extension: { containing_type: "solo.v1.CallRequest", extension_number: 5 },
      },
      {},
    );
    expect(answers.map((answer) => answer.error_response?.error_code)).toEqual([
      5,
      undefined,
      undefined,
      5,
      3,
    ]);
    expect(answers[1]?.file_descriptor_response?.file_descriptor_proto).toHaveLength(1);
    expect(answers[0]?.original_request).toMatchObject({
      file_containing_symbol: "no.such.Thing",
    });
  });

  test("ends a stream of bad bytes with invalid argument", async () => {
    const stream = client.makeBidiStreamRequest(path, () => Buffer.from([0xff]), readReflection);
    const failed = once(stream, "error") as Promise<[ServiceError]>;
    stream.on("data", () => {});
    stream.write({});
    expect((await failed)[0].code).toBe(STATUS.INVALID_ARGUMENT);
  });

  test("does not hold up a stop", async () => {
    const other = await start();
    const talker = connect(other);
    const stream = talker.makeBidiStreamRequest(path, askReflection, readReflection);
    const failed = once(stream, "error") as Promise<[ServiceError]>;
    stream.write({ list_services: "" });
    await once(stream, "data");
    await other.stop({ graceMs: 60_000 });
    expect((await failed)[0].code).toBe(STATUS.UNAVAILABLE);
    talker.close();
  });
});

test("buf curl calls an operation through reflection alone", async () => {
  const url = `http://127.0.0.1:${gateway.address.port}/solo.v1.Solo/Call`;
  const body = JSON.stringify({
    service_id: "counter",
    name: "echo",
    args: [{ a: [1, null, "é"] }],
  });
  const { stdout } = await run(buf, [
    "curl",
    "--protocol",
    "grpc",
    "--http2-prior-knowledge",
    "-d",
    body,
    url,
  ]);
  expect(JSON.parse(stdout)).toEqual({ reply: { a: [1, null, "é"] } });
});
