import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { gzipSync } from "node:zlib";
import { connect as connectHttp2, createServer, type Http2Server } from "node:http2";
import { status as STATUS, type ServiceError } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { operationCodecs } from "#api/proto.ts";
import type { RequestContext } from "#api/kernel-port.ts";
import { ERRORS, SoloError, type ErrorCode } from "#base/errors.ts";
import { silentLogger, type Logger } from "#base/log.ts";
import {
  badRequest,
  errorInfo,
  retryInfo,
  rpcStatus,
  standardCodec,
} from "#gateway/grpc/protocols.ts";
import { GrpcGateway } from "#gateway/grpc/gateway.ts";
import type { GrpcLimits } from "#gateway/grpc/limits.ts";
import { fakeKernel, type FakeOperations } from "../support/fake-kernel.ts";
import { failureFrom, soloErrorOf, stockClient, type StockClient } from "../support/grpc-client.ts";
import { DEADLINE_MS, until } from "../support/until.ts";

const LOOPBACK = { host: "127.0.0.1", port: 0, log: silentLogger };

let gateways: GrpcGateway[] = [];
let clients: StockClient[] = [];
beforeEach(() => {
  gateways = [];
  clients = [];
});
afterEach(async () => {
  for (const client of clients) client.close();
  await Promise.all(gateways.map((gateway) => gateway.stop({ graceMs: 0 })));
});

async function serve(operations: FakeOperations, limits: Partial<GrpcLimits> = {}) {
  const gateway = await GrpcGateway.start({ ...LOOPBACK, kernel: fakeKernel(operations), limits });
  gateways.push(gateway);
  const client = stockClient(gateway.address);
  clients.push(client);
  return { gateway, client };
}

const event = (id: number) => ({
  id,
  timestamp: "1",
  wall_clock: "2026-01-01T00:00:00Z",
  tenant_id: null,
  event_type: "service_started",
  subject: "counter",
  payload: { nested: { list: [1, null, "x"] } },
  causation_id: null,
});

/** A Watch over bare HTTP/2: its headers, and a request with no field set. */
const watchHeaders = {
  ":method": "POST",
  ":path": "/solo.v1.Solo/Watch",
  "content-type": "application/grpc",
};
const EMPTY_FRAME = Buffer.alloc(5);

/** Everything a stream sent, and how it ended. */
async function collect(
  stream: AsyncIterable<unknown>,
): Promise<{ messages: unknown[]; error?: ServiceError }> {
  const messages: unknown[] = [];
  try {
    for await (const message of stream) messages.push(message);
    return { messages };
  } catch (error) {
    return { messages, error: error as ServiceError };
  }
}

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

describe("a unary call", () => {
  test("reaches the kernel with its input and comes back with its answer", async () => {
    let seen: unknown;
    const { client } = await serve({
      calls: { Call: (input) => ((seen = input), { reply: { count: 3 } }) },
    });
    const answer = await client.unary("Call", {
      service_id: "counter",
      name: "add",
      args: [{ numberValue: 2 }, { stringValue: "é" }],
    });
    expect(seen).toEqual({ service_id: "counter", name: "add", args: [2, "é"] });
    expect(answer).toEqual({ reply: { structValue: { fields: { count: { numberValue: 3 } } } } });
  });

  test("carries token, tenant and time left to the kernel", async () => {
    let seen: RequestContext | undefined;
    const { client } = await serve({
      calls: { Cast: (_, context) => ((seen = context), { accepted: true }) },
    });
    const metadata = { authorization: "Bearer solo_abc", "x-solo-tenant": "acme" };
    await client.unary("Cast", { service_id: "a", name: "b" }, { metadata, timeoutMs: 60_000 });
    expect(seen?.credentials).toEqual({ token: "solo_abc", tenant: "acme" });
    expect(seen?.timeoutMs).toBeGreaterThan(0);
    expect(seen?.timeoutMs).toBeLessThanOrEqual(60_000);
    expect(seen?.signal.aborted).toBe(false);
  });

  test("without metadata and deadline says so", async () => {
    let seen: RequestContext | undefined;
    const { client } = await serve({
      calls: { Cast: (_, context) => ((seen = context), { accepted: true }) },
    });
    await client.unary("Cast", { service_id: "a", name: "b" });
    expect(seen).toEqual({ credentials: {}, signal: expect.any(AbortSignal) });
  });

  test("with another kind of authorization is unauthenticated", async () => {
    const { client } = await serve({});
    const error = await failureFrom(
      client.unary("Health", {}, { metadata: { authorization: "Basic abc" } }),
    );
    expect(error.code).toBe(STATUS.UNAUTHENTICATED);
  });

  test("whose client gives up fires the signal", async () => {
    const called = Promise.withResolvers<RequestContext>();
    const { client } = await serve({
      calls: { Tree: (_, context) => (called.resolve(context), untilAborted(context.signal)) },
    });
    const stream = client.raw.makeUnaryRequest(
      "/solo.v1.Solo/Tree",
      () => Buffer.alloc(0),
      () => null,
      {},
      () => {},
    );
    const { signal } = await called.promise;
    stream.cancel();
    if (!signal.aborted) await untilAborted(signal);
    expect(signal.reason).toMatchObject({ code: "cancelled" });
  });

  test("that misses its deadline is answered by the gateway and fires the signal", async () => {
    const called = Promise.withResolvers<RequestContext>();
    const { client } = await serve({
      calls: { Tree: (_, context) => (called.resolve(context), untilAborted(context.signal)) },
    });
    let isCalled = false;
    void called.promise.then(() => (isCalled = true));
    // Twice as long each time, for a machine on which it is over before the call arrives.
    let timeoutMs = 25;
    await until(async () => {
      const error = await failureFrom(client.unary("Tree", {}, { timeoutMs: (timeoutMs *= 2) }));
      expect(error.code).toBe(STATUS.DEADLINE_EXCEEDED);
      return isCalled;
    }, "a call that arrives before its deadline");
    const { signal } = await called.promise;
    if (!signal.aborted) await untilAborted(signal);
  });

  test("the signal does not fire after a call has been answered", async () => {
    let seen: RequestContext | undefined;
    const { client } = await serve({
      calls: { Tree: (_, context) => ((seen = context), { tree: 1 }) },
    });
    await client.unary("Tree", {});
    await client.unary("Tree", {});
    expect(seen?.signal.aborted).toBe(false);
  });
});

describe("an error", () => {
  test.each(Object.keys(ERRORS) as ErrorCode[])(
    "%s has the status of the table and arrives whole",
    async (code) => {
      const { client } = await serve({
        calls: {
          Kill: () => {
            throw new SoloError(code, "What happened.", { hint: "What to do." });
          },
        },
      });
      const error = await failureFrom(client.unary("Kill", { service_id: "a" }));
      expect(error.code).toBe(ERRORS[code].grpc);
      expect(error.details).toBe("What happened.");
      expect(error.metadata.get("solo-code")).toEqual([code]);
      expect(soloErrorOf(error)).toEqual({ code, detail: "What happened.", hint: "What to do." });
    },
  );

  test("has google.rpc details for clients that do not know Solo", async () => {
    const fields = [{ field: "limits.memory_mb", message: "too small" }];
    const { client } = await serve({
      calls: {
        Kill: () => {
          throw new SoloError("overloaded", "Too much.", {
            hint: "Wait.",
            fields,
            retryAfterMs: 1500,
          });
        },
      },
    });
    const error = await failureFrom(client.unary("Kill", { service_id: "a" }));
    const read = (codec: typeof rpcStatus, bytes: unknown) =>
      standardCodec(codec).decode(bytes as Buffer);
    const status = read(rpcStatus, error.metadata.get("grpc-status-details-bin")[0]);
    expect(status).toMatchObject({ code: STATUS.UNAVAILABLE, message: "Too much." });
    const details = status["details"] as { type_url: string; value: Buffer }[];
    expect(details.map(({ type_url }) => type_url)).toEqual([
      "type.googleapis.com/google.rpc.ErrorInfo",
      "type.googleapis.com/google.rpc.BadRequest",
      "type.googleapis.com/google.rpc.RetryInfo",
    ]);
    expect(read(errorInfo, details[0]!.value)).toEqual({
      reason: "overloaded",
      domain: "solo",
      metadata: { hint: "Wait." },
    });
    expect(read(badRequest, details[1]!.value)).toEqual({
      field_violations: [{ field: "limits.memory_mb", description: "too small" }],
    });
    expect(read(retryInfo, details[2]!.value)).toEqual({
      retry_delay: { seconds: 1, nanos: 500_000_000 },
    });
  });

  test("of any length and any characters stays within a client's metadata and keeps its code", async () => {
    const diagnostic = {
      code: "E1",
      severity: "error" as const,
      message: "m".repeat(300),
      file: "index.ts",
      line: 1,
      column: 1,
      excerpt: "e".repeat(300),
      explanation: "x",
    };
    const { client } = await serve({
      calls: {
        Deploy: () => {
          throw new SoloError("compile_failed", `\ud800 ${"ü%\n".repeat(3000)}`, {
            hint: "h".repeat(5000),
            stack: "s".repeat(100_000),
            fields: Array.from({ length: 500 }, (_, index) => ({
              field: `f${index}`,
              message: "bad",
            })),
            diagnostics: Array.from({ length: 100 }, () => diagnostic),
          });
        },
      },
    });
    const error = await failureFrom(client.unary("Deploy", { service_id: "a" }));
    expect(error.code).toBe(STATUS.INVALID_ARGUMENT);
    expect(soloErrorOf(error).code).toBe("compile_failed");
    const headers = Object.entries(error.metadata.toHttp2Headers());
    const bytes = headers.reduce(
      (sum, [name, value]) => sum + name.length + String(value).length + 32,
      0,
    );
    expect(bytes + encodeURI(error.details).length).toBeLessThan(8192);
  });

  test("that Solo did not foresee leaves without its text and goes to the log", async () => {
    const log = { ...silentLogger, error: vi.fn<Logger["error"]>() };
    const kernel = fakeKernel({
      calls: {
        Kill: () => {
          throw new Error("secret /host/path");
        },
      },
    });
    const gateway = await GrpcGateway.start({ ...LOOPBACK, log, kernel });
    gateways.push(gateway);
    const client = stockClient(gateway.address);
    clients.push(client);
    const error = await failureFrom(client.unary("Kill", { service_id: "a" }));
    expect(error.code).toBe(STATUS.INTERNAL);
    expect(JSON.stringify([error.details, soloErrorOf(error)])).not.toContain("secret");
    expect(log.error.mock.calls[0]?.[1]?.["error"]).toContain("secret /host/path");
  });
});

describe("bad input", () => {
  const bytes = (client: StockClient, body: Buffer, path = "Call") =>
    failureFrom(
      new Promise((resolve, reject) => {
        client.raw.makeUnaryRequest(
          `/solo.v1.Solo/${path}`,
          () => body,
          () => null,
          {},
          (error) => (error === null ? resolve(undefined) : reject(error)),
        );
      }),
    );

  test("bytes that are no protobuf are an invalid argument, not an internal error", async () => {
    const { client } = await serve({});
    const error = await bytes(client, Buffer.from([0xff, 0xff, 0xff]));
    expect(error.code).toBe(STATUS.INVALID_ARGUMENT);
    expect(soloErrorOf(error)).toMatchObject({
      code: "invalid_argument",
      detail: "The bytes are not a well-formed CallRequest.",
    });
  });

  test("a field that the request does not have is refused by its number", async () => {
    const { client } = await serve({});
    const error = await bytes(client, Buffer.from([0x98, 0x06, 1]));
    expect(error.code).toBe(STATUS.INVALID_ARGUMENT);
    expect(error.details).toBe("CallRequest has no field with number 99.");
  });

  test("bad bytes end a stream in the same way", async () => {
    const { client } = await serve({});
    const stream = client.raw.makeServerStreamRequest(
      "/solo.v1.Solo/Watch",
      () => Buffer.from([0xff]),
      () => null,
      {},
    );
    const { error } = await collect(stream);
    expect(error?.code).toBe(STATUS.INVALID_ARGUMENT);
  });

  test("a request that is too large is refused with our code", async () => {
    const { client } = await serve({}, { maxReceiveBytes: 1000 });
    const error = await failureFrom(
      client.unary("Deploy", { service_id: "a", code: "x".repeat(2000) }),
    );
    expect(error.code).toBe(STATUS.RESOURCE_EXHAUSTED);
    expect(soloErrorOf(error).code).toBe("payload_too_large");
  });

  test("an answer that is too large is refused with our code", async () => {
    const { client } = await serve(
      { calls: { Tree: () => ({ tree: "x".repeat(2000) }) } },
      { maxSendBytes: 1000 },
    );
    const error = await failureFrom(client.unary("Tree", {}));
    expect(error.code).toBe(STATUS.RESOURCE_EXHAUSTED);
    expect(soloErrorOf(error)).toMatchObject({
      code: "payload_too_large",
      hint: expect.any(String),
    });
  });

  test("an unknown method is unimplemented", async () => {
    const { client } = await serve({});
    expect((await bytes(client, Buffer.alloc(0), "Nonsense")).code).toBe(STATUS.UNIMPLEMENTED);
  });

  test("a malformed grpc-timeout is an invalid argument", async () => {
    const { gateway } = await serve({ calls: { Tree: () => ({ tree: 1 }) } });
    const session = connectHttp2(`http://127.0.0.1:${gateway.address.port}`);
    const request = session.request({
      ":method": "POST",
      ":path": "/solo.v1.Solo/Tree",
      "content-type": "application/grpc",
      "grpc-timeout": "soon",
    });
    const [headers] = (await once(request, "response")) as [Record<string, string>];
    expect(headers["grpc-status"]).toBe(String(STATUS.INVALID_ARGUMENT));
    expect(headers["solo-code"]).toBe("invalid_argument");
    session.destroy();
  });

  test("a connection that floods pings is closed, and others are not", async () => {
    const { gateway, client } = await serve(
      { calls: { Tree: () => ({ tree: 1 }) } },
      { maxPingsPerSecond: 20 },
    );
    await client.unary("Tree", {});
    const session = connectHttp2(`http://127.0.0.1:${gateway.address.port}`);
    session.on("error", () => {});
    await once(session, "connect");
    const closed = once(session, "close");
    const flood = () => {
      if (!session.destroyed) session.ping(() => flood());
    };
    for (let lane = 0; lane < 4; lane++) flood();
    await closed;
    await client.unary("Tree", {});
  });
});

/** Sends `body` as one call over bare HTTP/2; the headers and trailers that come back. */
async function bare(
  gateway: GrpcGateway,
  body: Buffer,
  headers: Record<string, string> = {},
): Promise<Record<string, unknown>> {
  const session = connectHttp2(`http://127.0.0.1:${gateway.address.port}`);
  try {
    const request = session.request({
      ":method": "POST",
      ":path": "/solo.v1.Solo/Call",
      "content-type": "application/grpc",
      ...headers,
    });
    let seen: Record<string, unknown> = {};
    request.on("response", (response) => (seen = { ...seen, ...response }));
    request.on("trailers", (trailers) => (seen = { ...seen, ...trailers }));
    request.resume().end(body);
    await once(request, "end");
    return seen;
  } finally {
    session.destroy();
  }
}

function framed(message: Buffer, compressed = 0): Buffer {
  const header = Buffer.alloc(5, compressed);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

describe("compressed requests", () => {
  const gzip = { "grpc-encoding": "gzip" };
  const echo = {
    calls: { Call: (input: Record<string, unknown>) => ({ reply: input["service_id"] as string }) },
  };

  test("are read as they were", async () => {
    const { gateway } = await serve(echo);
    const message = Buffer.from(operationCodecs.Call.request.encode({ service_id: "counter" }));
    expect(await bare(gateway, framed(gzipSync(message), 1), gzip)).toMatchObject({
      "grpc-status": "0",
    });
  });

  test("that blow up are refused", async () => {
    const { gateway } = await serve(echo, { maxReceiveBytes: 10_000 });
    const bomb = framed(gzipSync(Buffer.alloc(5_000_000)), 1);
    expect(bomb.length).toBeLessThan(10_000);
    expect(await bare(gateway, bomb, gzip)).toMatchObject({
      "grpc-status": String(STATUS.RESOURCE_EXHAUSTED),
      "solo-code": "payload_too_large",
    });
  });

  test("that are no gzip are an invalid argument", async () => {
    const { gateway } = await serve(echo);
    expect(await bare(gateway, framed(Buffer.from("nonsense"), 1), gzip)).toMatchObject({
      "solo-code": "invalid_argument",
    });
  });

  test("in another encoding are unimplemented, and the answer says what is read", async () => {
    const { gateway } = await serve(echo);
    expect(
      await bare(gateway, framed(Buffer.from("x"), 1), { "grpc-encoding": "br" }),
    ).toMatchObject({
      "solo-code": "unimplemented",
      "grpc-accept-encoding": "identity,gzip,deflate",
    });
  });
});

describe("a broken client", () => {
  test.each([
    ["no message", Buffer.alloc(0)],
    ["half a header", Buffer.alloc(3)],
    ["half a message", Buffer.from([0, 0, 0, 0, 9, 1])],
    ["two messages", Buffer.alloc(10)],
  ])("that sends %s is told so", async (_, body) => {
    const { gateway } = await serve({});
    expect(await bare(gateway, body)).toMatchObject({ "solo-code": "invalid_argument" });
  });

  test("that speaks no gRPC gets status 415", async () => {
    const { gateway } = await serve({});
    expect(await bare(gateway, Buffer.alloc(0), { "content-type": "text/plain" })).toMatchObject({
      ":status": 415,
    });
  });

  test("that is gone when the kernel answers disturbs nothing", async () => {
    const called = Promise.withResolvers<RequestContext>();
    const answer = Promise.withResolvers<object>();
    const log = { ...silentLogger, error: vi.fn<Logger["error"]>() };
    const kernel = fakeKernel({
      calls: { Tree: (_, context) => (called.resolve(context), answer.promise) },
    });
    const gateway = await GrpcGateway.start({ ...LOOPBACK, log, kernel });
    gateways.push(gateway);
    const client = stockClient(gateway.address);
    clients.push(client);
    const call = failureFrom(client.unary("Tree", {}));
    const { signal } = await called.promise;
    client.close();
    client.raw.getChannel().close();
    await gateway.stop({ graceMs: 0 });
    await call;
    if (!signal.aborted) await untilAborted(signal);
    answer.resolve({ tree: 1 });
    await answer.promise;
    expect(log.error).not.toHaveBeenCalled();
  });

  test("that never answers a ping is closed", async () => {
    const { gateway } = await serve({}, { keepaliveMs: 20, keepaliveTimeoutMs: 20 });
    const socket = connectTcp(gateway.address.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.resume();
    await once(socket, "close");
  });

  test("whose unfinished requests hold too much is turned away, and is served once they are gone", async () => {
    const { gateway, client } = await serve(
      { calls: { Tree: () => ({ tree: 1 }) } },
      { maxUnfinishedBytes: 50_000 },
    );
    const session = connectHttp2(`http://127.0.0.1:${gateway.address.port}`);
    session.on("error", () => {});
    const half = Buffer.concat([Buffer.from([0, 0, 1, 0, 0]), Buffer.alloc(30_000)]);
    const requests = [1, 2].map(() =>
      session.request({ ...watchHeaders, ":path": "/solo.v1.Solo/Deploy" }),
    );
    for (const request of requests) {
      request.on("error", () => {});
      request.write(half);
    }
    const [headers] = (await Promise.race(
      requests.map((request) => once(request, "response")),
    )) as [Record<string, string>];
    expect(headers["solo-code"]).toBe("overloaded");
    session.destroy();
    await client.unary("Tree", {});
  });
});

describe("a stream", () => {
  test("brings every message in order and ends well", async () => {
    const { client } = await serve({
      streams: {
        async *Watch(input) {
          expect(input).toEqual({ since_id: 4 });
          for (let id = 5; id < 500; id++) yield event(id);
        },
      },
    });
    const { messages, error } = await collect(client.stream("Watch", { since_id: 4 }));
    expect(error).toBeUndefined();
    expect(messages).toHaveLength(495);
    expect(messages[0]).toMatchObject({ id: 5, event_type: "service_started", subject: "counter" });
    expect(messages[0]).not.toHaveProperty("tenant_id", expect.anything());
  });

  test("that fails half-way brings what came before and the error", async () => {
    const { client } = await serve({
      streams: {
        async *Watch() {
          yield event(1);
          throw new SoloError("storage_corrupt", "Broken.");
        },
      },
    });
    const { messages, error } = await collect(client.stream("Watch", {}));
    expect(messages).toHaveLength(1);
    expect(error?.code).toBe(STATUS.DATA_LOSS);
    expect(soloErrorOf(error!).code).toBe("storage_corrupt");
  });

  test("that the client cancels ends in the kernel", async () => {
    const ended = Promise.withResolvers<void>();
    const { client } = await serve({
      streams: {
        async *Watch(_, { signal }) {
          try {
            yield event(1);
            await untilAborted(signal);
          } finally {
            ended.resolve();
          }
        },
      },
    });
    const stream = client.stream("Watch", {});
    stream.on("error", () => {});
    await once(stream, "data");
    stream.cancel();
    await ended.promise;
  });

  test("whose connection breaks ends in the kernel", async () => {
    const ended = Promise.withResolvers<void>();
    const { gateway } = await serve({
      streams: {
        async *Watch(_, { signal }) {
          try {
            yield event(1);
            await untilAborted(signal);
          } finally {
            ended.resolve();
          }
        },
      },
    });
    const session = connectHttp2(`http://127.0.0.1:${gateway.address.port}`);
    session.on("error", () => {});
    const request = session.request(watchHeaders);
    request.on("error", () => {});
    request.end(EMPTY_FRAME);
    await once(request, "data");
    session.destroy();
    await ended.promise;
  });

  test("with a deadline ends with it", async () => {
    const { client } = await serve({
      streams: {
        async *Watch(_, { signal }) {
          yield event(1);
          await untilAborted(signal);
        },
      },
    });
    // Twice as long each time, for a machine on which it is over before the message arrives.
    let timeoutMs = 100;
    const messages = await until(async () => {
      const all = await collect(client.stream("Watch", {}, { timeoutMs: (timeoutMs *= 2) }));
      expect(all.error?.code).toBe(STATUS.DEADLINE_EXCEEDED);
      return all.messages.length > 0 && all.messages;
    }, "a message before the deadline");
    expect(messages).toHaveLength(1);
  });

  test("waits for a slow client instead of buffering", async () => {
    let sent = 0;
    const total = 2000;
    const { gateway } = await serve({
      streams: {
        async *Watch() {
          for (; sent < total; sent++) yield { ...event(sent), subject: "x".repeat(10_000) };
        },
      },
    });
    // grpc-js's client reads ahead without end; HTTP/2 itself does not.
    const session = connectHttp2(`http://127.0.0.1:${gateway.address.port}`);
    const request = session.request(watchHeaders);
    request.pause();
    request.end(EMPTY_FRAME);
    let before = -1;
    await vi.waitUntil(
      () => {
        const settled = sent > 0 && sent === before;
        before = sent;
        return settled;
      },
      { interval: 100, timeout: DEADLINE_MS },
    );
    expect(sent).toBeLessThan(100);
    request.resume();
    await once(request, "end");
    expect(sent).toBe(total);
    session.close();
  });
});

describe("stopping", () => {
  test("lets a call in flight end, takes no new connection, and can be asked twice", async () => {
    const release = Promise.withResolvers<void>();
    const called = Promise.withResolvers<void>();
    const { gateway, client } = await serve({
      calls: {
        async Tree() {
          called.resolve();
          await release.promise;
          return { tree: "done" };
        },
      },
    });
    const call = client.unary("Tree", {});
    await called.promise;
    const stops = [gateway.stop({ graceMs: 60_000 }), gateway.stop({ graceMs: 0 })];
    const late = stockClient(gateway.address);
    clients.push(late);
    expect((await failureFrom(late.unary("Tree", {}))).code).toBe(STATUS.UNAVAILABLE);
    release.resolve();
    expect(await call).toMatchObject({ tree: { stringValue: "done" } });
    await Promise.all(stops);
  });

  test("cuts what does not end in time", async () => {
    const called = Promise.withResolvers<RequestContext>();
    const { gateway, client } = await serve({
      calls: { Tree: (_, context) => (called.resolve(context), new Promise(() => {})) },
    });
    const call = failureFrom(client.unary("Tree", {}));
    const { signal } = await called.promise;
    await gateway.stop({ graceMs: 10 });
    expect((await call).code).toBe(STATUS.UNAVAILABLE);
    if (!signal.aborted) await untilAborted(signal);
  });

  test("tells open streams that the kernel goes away", async () => {
    const opened = Promise.withResolvers<void>();
    const { gateway, client } = await serve({
      streams: {
        async *Watch(_, { signal }) {
          yield event(1);
          opened.resolve();
          await untilAborted(signal);
        },
      },
    });
    const all = collect(client.stream("Watch", {}));
    await opened.promise;
    await gateway.stop({ graceMs: 60_000 });
    const { messages, error } = await all;
    expect(messages).toHaveLength(1);
    expect(error?.code).toBe(STATUS.UNAVAILABLE);
    expect(soloErrorOf(error!).code).toBe("shutting_down");
  });
});

describe("the listener", () => {
  test("says why it cannot listen", async () => {
    const { gateway } = await serve({});
    const again = GrpcGateway.start({
      ...LOOPBACK,
      port: gateway.address.port,
      kernel: fakeKernel({}),
    });
    await expect(again).rejects.toMatchObject({
      code: "cannot_listen",
      message: expect.stringContaining("EADDRINUSE"),
    });
  });

  test("reports its death as a failure", async () => {
    let listener: Http2Server | undefined;
    const createHttp2Server = ((options: object) =>
      (listener = createServer(options))) as typeof createServer;
    const gateway = await GrpcGateway.start({
      ...LOOPBACK,
      kernel: fakeKernel({}),
      createHttp2Server,
    });
    gateways.push(gateway);
    listener?.close();
    expect((await gateway.failed).message).toBe("The gRPC listener was closed.");
  });

  test("takes no more connections than its limit", async () => {
    const { gateway, client } = await serve(
      { calls: { Tree: () => ({ tree: 1 }) } },
      { maxConnections: 1 },
    );
    await client.unary("Tree", {});
    const second = stockClient(gateway.address);
    clients.push(second);
    expect((await failureFrom(second.unary("Tree", {}))).code).toBe(STATUS.UNAVAILABLE);
    await client.unary("Tree", {});
  });
});
