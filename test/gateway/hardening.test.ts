/** Rude clients: connection caps, floods and stalls at both gateways. */
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { connect as connectHttp2, constants, type ClientHttp2Session } from "node:http2";
import { describe, expect, onTestFinished, test } from "vitest";
import { silentLogger } from "#base/log.ts";
import { ConnectionCaps } from "#gateway/connection-caps.ts";
import { GrpcGateway, type GrpcGatewayOptions } from "#gateway/grpc/gateway.ts";
import { fakeKernel } from "../support/fake-kernel.ts";
import { failureFrom, soloErrorOf, stockClient } from "../support/grpc-client.ts";
import { until } from "../support/until.ts";
import { AUTH, problemOf, RawClient, startGateway } from "../support/rest-harness.ts";

async function serveGrpc(options: Partial<GrpcGatewayOptions> = {}) {
  let calls = 0;
  let watching = true;
  const gateway = await GrpcGateway.start({
    host: "127.0.0.1",
    port: 0,
    log: silentLogger,
    kernel: fakeKernel({
      calls: {
        List: () => {
          calls += 1;
          return { services: [] };
        },
      },
      streams: {
        Watch: async function* () {
          try {
            for (let id = 1; ; id++) yield bigEvent(id);
          } finally {
            watching = false;
          }
        },
      },
    }),
    ...options,
  });
  onTestFinished(() => gateway.stop({ graceMs: 0 }));
  const client = () => {
    const made = stockClient(gateway.address);
    onTestFinished(() => made.close());
    return made;
  };
  const session = (): ClientHttp2Session => {
    const made = connectHttp2(`http://127.0.0.1:${gateway.address.port}`);
    made.on("error", () => {});
    onTestFinished(() => made.destroy());
    return made;
  };
  return { gateway, client, session, calls: () => calls, watching: () => watching };
}

const bigEvent = (id: number) => ({
  id,
  timestamp: "1",
  wall_clock: "2026-01-01T00:00:00Z",
  tenant_id: null,
  event_type: "service_started",
  subject: null,
  payload: { text: "x".repeat(100_000) },
  causation_id: null,
  boot_id: "b",
});

const CALL = {
  ":method": "POST",
  ":path": "/solo.v1.Solo/List",
  "content-type": "application/grpc",
};
const EMPTY_MESSAGE = Buffer.alloc(5);

/** However it ends. */
const closeOf = (session: ClientHttp2Session): Promise<void> =>
  new Promise((resolve) => session.once("close", resolve));

const statusOf = async (stream: ReturnType<ClientHttp2Session["request"]>): Promise<string> => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const read = (headers: Record<string, string | string[] | number | undefined>) => {
    if (headers["solo-code"] !== undefined) resolve(String(headers["solo-code"]));
    else if (headers["grpc-status"] !== undefined)
      resolve(`grpc ${String(headers["grpc-status"])}`);
  };
  stream
    .on("response", read)
    .on("trailers", read)
    .on("error", () => {});
  stream.on("close", () => resolve("closed"));
  stream.resume();
  return promise;
};

describe("connections", () => {
  test("of one address are capped over both gateways together, and count until they close", async () => {
    const caps = new ConnectionCaps({ perAddress: 2 });
    const { port } = await startGateway({}, { caps });
    const { gateway, session } = await serveGrpc({ caps });
    const first = new RawClient(port);
    await first.request(["GET /health HTTP/1.1", `Host: 127.0.0.1:${port}`]);
    const second = session();
    // Not its own `connect`, which comes before the gateway has taken the connection.
    await once(second, "remoteSettings");
    await new RawClient(port).closed;
    const refused = connectTcp(gateway.address.port, "127.0.0.1");
    refused.on("error", () => {});
    await once(refused, "close");
    first.socket.destroy();
    await first.closed;
    for (;;) {
      const again = new RawClient(port);
      const health = ["GET /health HTTP/1.1", `Host: 127.0.0.1:${port}`];
      const answer = await Promise.race([again.request(health), again.closed]);
      if (answer?.includes("HTTP/1.1 200") === true) break;
    }
  });

  test("that use one token are capped over both gateways together; other tokens go on", async () => {
    const caps = new ConnectionCaps({ perToken: 2 });
    const { port, url } = await startGateway(
      { calls: { List: () => ({ services: [] }) } },
      { caps },
    );
    const { client } = await serveGrpc({ caps });
    const metadata = { authorization: AUTH.authorization };
    const kept = client();
    await kept.unary("List", {}, { metadata });
    const list = [
      "GET /services HTTP/1.1",
      `Host: 127.0.0.1:${port}`,
      `Authorization: ${AUTH.authorization}`,
    ];
    const open = new RawClient(port);
    expect(await open.request(list)).toContain("HTTP/1.1 200");
    expect(await new RawClient(port).request(list)).toContain("HTTP/1.1 429");
    const failure = await failureFrom(client().unary("List", {}, { metadata }));
    expect(soloErrorOf(failure).code).toBe("limit_exceeded");
    await kept.unary("List", {}, { metadata });
    const other = await fetch(`${url}/services`, {
      headers: { authorization: "Bearer solo_other" },
    });
    expect((await problemOf(other)).code).toBe("unauthenticated");
  });

  test("may not use ever more tokens", async () => {
    const caps = new ConnectionCaps({ tokensPerConnection: 3 });
    const { client } = await serveGrpc({ caps });
    const one = client();
    const ask = (token: number) =>
      one.unary("List", {}, { metadata: { authorization: `Bearer solo_${token}` } });
    for (const token of [1, 2, 3, 1, 2, 3]) await ask(token);
    expect(soloErrorOf(await failureFrom(ask(4))).code).toBe("limit_exceeded");
    await ask(1);
  });
});

describe("the gRPC gateway", () => {
  test("closes a connection that floods it with cancelled requests; others do not notice", async () => {
    const { session, client } = await serveGrpc({
      limits: { streamResetBurst: 50, streamResetsPerSecond: 1 },
    });
    const rude = session();
    await once(rude, "connect");
    const closed = closeOf(rude);
    for (let sent = 0; sent < 500 && !rude.destroyed; sent++) {
      const stream = rude.request(CALL);
      stream.on("error", () => {});
      stream.close(constants.NGHTTP2_CANCEL);
      if (sent % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await closed;
    await client().unary("List", {});
  });

  test("closes a connection that floods it with settings", async () => {
    const { session } = await serveGrpc({ limits: { maxSettingsPerSecond: 5 } });
    const rude = session();
    await once(rude, "connect");
    const closed = closeOf(rude);
    for (let sent = 0; sent < 200 && !rude.destroyed; sent++) {
      rude.settings({ initialWindowSize: 70_000 + sent });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await closed;
  });

  test("does not wait for a request that never comes", async () => {
    const { session, calls } = await serveGrpc({ limits: { requestMs: 50 } });
    const slow = session();
    const nothing = slow.request(CALL);
    const half = slow.request(CALL);
    half.write(EMPTY_MESSAGE.subarray(0, 3));
    expect(await Promise.all([statusOf(nothing), statusOf(half)])).toEqual([
      "deadline_exceeded",
      "deadline_exceeded",
    ]);
    // Again on a machine that needs longer than that for a whole one.
    await until(async () => {
      const whole = slow.request(CALL);
      whole.end(EMPTY_MESSAGE);
      return (await statusOf(whole)) === "grpc 0";
    }, "a whole request to be answered");
    expect(calls()).toBe(1);
  });

  test("cuts off a reader that does not read", async () => {
    const { session, watching } = await serveGrpc({ limits: { stallMs: 50 } });
    const stalled = session().request({ ...CALL, ":path": "/solo.v1.Solo/Watch" });
    stalled.on("error", () => {});
    stalled.end(EMPTY_MESSAGE);
    stalled.pause();
    await until(() => !watching(), "the stream's source to be ended");
  });

  test("refuses what comes from a web page, and more headers than it reads", async () => {
    const { session, calls } = await serveGrpc();
    const page = session().request({ ...CALL, origin: "http://127.0.0.1" });
    page.end(EMPTY_MESSAGE);
    expect(await statusOf(page)).toBe("permission_denied");
    // The bound is the client's to know first, and then holds.
    const knowing = session();
    await once(knowing, "remoteSettings");
    await new Promise((resolve) => knowing.ping(resolve));
    const large = knowing.request({ ...CALL, "x-large": "a".repeat(40_000) });
    large.end(EMPTY_MESSAGE);
    expect(await statusOf(large)).toBe("closed");
    expect(calls()).toBe(0);
  });
});

describe("the REST gateway", () => {
  test.each(["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])(
    "refuses the content type %s, which a page of any site could send",
    async (type) => {
      const { url, kernel } = await startGateway();
      const response = await fetch(`${url}/services`, {
        method: "POST",
        headers: { ...AUTH, "content-type": type },
        body: '{"service_id":"a","code":"x"}',
      });
      expect([response.status, (await problemOf(response)).code]).toEqual([
        415,
        "unsupported_media_type",
      ]);
      expect(kernel.seen).toEqual([]);
    },
  );
});
