import http from "node:http";
import { describe, expect, test } from "vitest";
import type { IngressRequest, IngressResponse } from "#api/kernel-port.ts";
import { SoloError } from "#base/errors.ts";
import { AUTH, problemOf, RawClient, startGateway } from "../support/rest-harness.ts";
import { aborted, signalled, type FakeKernelOptions } from "../support/fake-rest-kernel.ts";
import { DEADLINE_MS, until } from "../support/until.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const bodyOf = async function* (...parts: string[]) {
  for (const part of parts) yield bytes(part);
};
const answer = (over: Partial<IngressResponse> = {}): IngressResponse => ({
  status: 200,
  headers: [["content-type", "text/plain"]],
  body: bodyOf("hello"),
  ...over,
});

/** A gateway whose service answers with what it was asked. */
async function mirror(options: Parameters<typeof startGateway>[1] = {}) {
  const asked: IngressRequest[] = [];
  const tokens: (string | undefined)[] = [];
  const ingress: FakeKernelOptions["ingress"] = async (request, context) => {
    asked.push(request);
    tokens.push(context.credentials.token);
    return answer();
  };
  return { ...(await startGateway({ ingress }, options)), asked, tokens };
}

describe("a request to a service", () => {
  test("reaches it with the path below the service, method and query", async () => {
    const { url, port, asked } = await mirror();
    const paths = [
      "/s/t/svc",
      "/s/t/svc/",
      "/s/t/svc?a=1",
      "/s/t/svc/deep/%2F/x?a=1&a=2",
      "/s/t/svc//evil.example",
    ];
    for (const path of paths) await (await fetch(url + path, { method: "PUT" })).text();
    const origin = `http://127.0.0.1:${port}`;
    expect(asked.map((request) => request.url)).toEqual([
      `${origin}/`,
      `${origin}/`,
      `${origin}/?a=1`,
      `${origin}/deep/%2F/x?a=1&a=2`,
      `${origin}//evil.example`,
    ]);
    expect(asked[0]).toMatchObject({ tenant: "t", service: "svc", method: "PUT", body: undefined });
  });

  test("loses its hop-by-hop headers and gains who it came from", async () => {
    const { port, asked } = await mirror();
    await new RawClient(port).request([
      "GET /s/t/svc/ HTTP/1.1",
      `Host: 127.0.0.1:${port}`,
      "Connection: keep-alive, X-Private",
      "Keep-Alive: timeout=5",
      "Upgrade: websocket",
      "TE: trailers",
      "X-Private: 1",
      "X-Solo-Tenant: other",
      "X-Forwarded-For: 10.1.1.1",
      "X-Forwarded-Host: lie.example",
      "X-Kept: a",
      "X-Kept: b",
    ]);
    expect(asked[0]?.headers).toEqual([
      ["host", `127.0.0.1:${port}`],
      ["x-kept", "a"],
      ["x-kept", "b"],
      ["x-forwarded-for", "10.1.1.1, 127.0.0.1"],
      ["x-forwarded-host", `127.0.0.1:${port}`],
      ["x-forwarded-proto", "http"],
      ["x-forwarded-prefix", "/s/t/svc"],
    ]);
  });

  test("never hands Solo's token to the service", async () => {
    const { url, asked, tokens } = await mirror({
      isSoloToken: (token) => token.startsWith("solo_"),
    });
    const headersOf = (i: number) => Object.fromEntries(asked[i]?.headers ?? []);
    await fetch(`${url}/s/t/svc/`, { headers: AUTH });
    await fetch(`${url}/s/t/svc/`, {
      headers: { "x-solo-token": "solo_other", authorization: "Bearer of-the-app" },
    });
    await fetch(`${url}/s/t/svc/`, { headers: { authorization: "Bearer of-the-app" } });
    await fetch(`${url}/s/t/svc/`, { headers: { authorization: "Basic abc" } });
    await fetch(`${url}/s/t/svc/`, { headers: { "x-solo-token": "solo_other", ...AUTH } });
    expect(tokens).toEqual(["solo_test", "solo_other", undefined, undefined, "solo_other"]);
    expect(headersOf(4)["authorization"]).toBeUndefined();
    expect(headersOf(0)["authorization"]).toBeUndefined();
    expect(headersOf(1)["authorization"]).toBe("Bearer of-the-app");
    expect(headersOf(1)["x-solo-token"]).toBeUndefined();
    expect(headersOf(2)["authorization"]).toBe("Bearer of-the-app");
    expect(headersOf(3)["authorization"]).toBe("Basic abc");
  });

  test("may come from a page of any origin, with a body of any type", async () => {
    const { url } = await startGateway({
      ingress: async ({ body }) => answer({ body }),
    });
    const response = await fetch(`${url}/s/t/svc/`, {
      method: "POST",
      headers: { origin: "http://other.example", "content-type": "text/plain" },
      body: "{not json",
    });
    expect([response.status, await response.text()]).toEqual([200, "{not json"]);
  });

  test("streams its body up before it ends, and the answer down meanwhile", async () => {
    const { port } = await startGateway({ ingress: async ({ body }) => answer({ body }) });
    const client = new RawClient(port);
    await client.request(
      ["POST /s/t/svc/echo HTTP/1.1", `Host: 127.0.0.1:${port}`, "Transfer-Encoding: chunked"],
      "3\r\none\r\n",
    );
    await client.until((text) => text.includes("one"));
    client.send("3\r\ntwo\r\n");
    await client.until((text) => text.includes("two"));
    client.send("0\r\n\r\n");
    const text = await client.until((all) => all.endsWith("0\r\n\r\n"));
    expect(text).toContain("3\r\none\r\n3\r\ntwo\r\n");
  });

  test("is read no faster than the service reads", async () => {
    const release = signalled("the release");
    const { port } = await startGateway({
      ingress: async ({ body }) => {
        await release.promise;
        let length = 0;
        for await (const chunk of body ?? []) length += chunk.length;
        return answer({ body: bodyOf(String(length)) });
      },
    });
    const size = 64 * 1024 * 1024;
    const client = new RawClient(port);
    client.send(
      `POST /s/t/svc/ HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: ${size}\r\n\r\n`,
    );
    client.socket.write(Buffer.alloc(size));
    await untilSteady(() => client.socket.bytesWritten - client.socket.writableLength);
    expect(client.socket.writableLength).toBeGreaterThan(size / 2);
    release.resolve();
    await client.until((text) => text.includes(String(size)));
  });

  test("that breaks off ends the service's reading and fires its signal", async () => {
    const begun = signalled("the first chunk");
    const ended = signalled<unknown>("the end of the body");
    const { port } = await startGateway({
      ingress: async ({ body }, { signal }) => {
        try {
          for await (const chunk of body ?? []) if (chunk.length > 0) begun.resolve();
        } catch (thrown) {
          await aborted(signal);
          ended.resolve(thrown);
          throw thrown;
        }
        return answer();
      },
    });
    const client = new RawClient(port);
    client.send(
      `POST /s/t/svc/ HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: 100\r\n\r\nsome`,
    );
    await begun.promise;
    client.socket.destroy();
    expect(await ended.promise).toMatchObject({ code: "cancelled" });
  });

  test("that goes silent is cut off", async () => {
    const ended = signalled<unknown>("the end of the body");
    const { port } = await startGateway(
      {
        ingress: async ({ body }) => {
          try {
            for await (const chunk of body ?? []) expect(chunk.length).toBeGreaterThan(0);
          } catch (thrown) {
            ended.resolve(thrown);
            throw thrown;
          }
          return answer();
        },
      },
      { limits: { uploadIdleMs: 100 } },
    );
    const client = new RawClient(port);
    client.send(
      `POST /s/t/svc/ HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: 100\r\n\r\nsome`,
    );
    expect(await ended.promise).toMatchObject({ code: "deadline_exceeded" });
    await client.closed;
  });

  test("that nobody reads to its end gets its answer, and is cut off then", async () => {
    const { port } = await startGateway(
      { ingress: async () => answer() },
      { limits: { lingerMs: 100 } },
    );
    const client = new RawClient(port);
    await client.request(
      [`POST /s/t/svc/ HTTP/1.1`, `Host: 127.0.0.1:${port}`, "Content-Length: 1000"],
      "some",
    );
    expect(client.text).toContain("hello");
    await client.closed;
  });

  test("without a service in its path is told how to name one", async () => {
    const { url } = await startGateway();
    const response = await fetch(`${url}/s/only-tenant`);
    expect(response.status).toBe(404);
    expect((await problemOf(response)).hint).toContain("/s/{tenant}/{service}");
    const unknown = await fetch(`${url}/s/t/none/`);
    expect((await problemOf(unknown)).code).toBe("service_not_found");
    expect((await fetch(`${url}/s/%zz/svc/`)).status).toBe(400);
  });
});

describe("a service's answer", () => {
  const serve = (over: Partial<IngressResponse>) =>
    startGateway({ ingress: async () => answer(over) });

  test("keeps status, headers and every cookie, without what is hop by hop or origin-wide", async () => {
    const { url } = await serve({
      status: 201,
      headers: [
        ["Set-Cookie", "a=1"],
        ["Set-Cookie", "b=2"],
        ["X-Own", "yes"],
        ["Connection", "x-secret"],
        ["X-Secret", "1"],
        ["Transfer-Encoding", "gzip"],
        ["Service-Worker-Allowed", "/"],
        ["Clear-Site-Data", "*"],
      ],
    });
    const response = await fetch(`${url}/s/t/svc/`);
    expect([response.status, await response.text()]).toEqual([201, "hello"]);
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect(response.headers.get("x-own")).toBe("yes");
    for (const name of ["x-secret", "service-worker-allowed", "clear-site-data"]) {
      expect([name, response.headers.get(name)]).toEqual([name, null]);
    }
  });

  test("has no body for HEAD, 204 and 304, and fires the signal for the one nobody wants", async () => {
    const statuses = [200, 204, 304];
    const signals: AbortSignal[] = [];
    const { url } = await startGateway({
      ingress: async (_request, { signal }) => {
        signals.push(signal);
        return answer({ status: statuses.shift() ?? 500, headers: [["content-length", "5"]] });
      },
    });
    const head = await fetch(`${url}/s/t/svc/`, { method: "HEAD" });
    expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([
      200,
      "5",
      "",
    ]);
    for (const status of [204, 304]) {
      const response = await fetch(`${url}/s/t/svc/`);
      expect([response.status, await response.text()]).toEqual([status, ""]);
    }
    expect(signals).toHaveLength(3);
    await until(() => signals.every(({ aborted: isOver }) => isOver), "every signal to fire");
  });

  test("arrives while it is still being made, its headers even before its body", async () => {
    const more = signalled("the go-ahead");
    const { url } = await serve({
      body: (async function* () {
        await more.promise;
        yield bytes("late");
      })(),
    });
    const response = await fetch(`${url}/s/t/svc/`);
    more.resolve();
    expect(await response.text()).toBe("late");
  });

  test("that breaks off, or is not as long as it said, is never taken for whole", async () => {
    const broken = async function* () {
      yield bytes("half");
      throw new SoloError("service_crashed", "It crashed.");
    };
    const cases: Partial<IngressResponse>[] = [
      { body: broken() },
      { headers: [["content-length", "3"]] },
      { headers: [["content-length", "9"]] },
    ];
    for (const over of cases) {
      const { url } = await serve(over);
      const text = fetch(`${url}/s/t/svc/`).then((response) => response.text());
      await expect(text).rejects.toThrow(/terminated|fetch failed/);
    }
  });

  test("with a status or header that HTTP forbids is refused", async () => {
    const cases: Partial<IngressResponse>[] = [
      { status: 101 },
      { status: 700 },
      { headers: [["x-bad", "a\r\nx-injected: 1"]] },
      { headers: [["bad name", "a"]] },
    ];
    for (const over of cases) {
      const { url } = await serve(over);
      const response = await fetch(`${url}/s/t/svc/`);
      expect(response.headers.get("x-injected")).toBeNull();
      expect((await problemOf(response)).code).toBe("service_error");
    }
  });

  test("is taken no faster than the client reads", async () => {
    let made = 0;
    const chunk = new Uint8Array(64 * 1024);
    const { port } = await startGateway({
      ingress: async (_request, { signal }) =>
        answer({
          body: (async function* () {
            for (; made < 10_000 && !signal.aborted; made++) yield chunk;
          })(),
        }),
    });
    const request = http.get({ port, host: "127.0.0.1", path: "/s/t/svc/" });
    const { promise, resolve } = Promise.withResolvers<http.IncomingMessage>();
    request.on("response", resolve).on("error", () => {});
    const response = await promise;
    await untilSteady(() => made);
    expect(made).toBeLessThan(1_000);
    response.destroy();
  });

  test("stops being made when the client goes away", async () => {
    const stopped = signalled("the end of the body");
    const { url } = await startGateway({
      ingress: async (_request, { signal }) =>
        answer({
          body: (async function* () {
            try {
              yield bytes("first");
              await aborted(signal);
            } finally {
              stopped.resolve();
            }
          })(),
        }),
    });
    const controller = new AbortController();
    const response = await fetch(`${url}/s/t/svc/`, { signal: controller.signal });
    await response.body?.getReader().read();
    controller.abort();
    await expect(stopped.promise).resolves.toBeUndefined();
  });
});

/** Waits until `measure` is above zero and does not change for several turns of the loop. */
async function untilSteady(measure: () => number): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  let last = -1;
  for (let same = 0; same < 10;) {
    if (performance.now() > deadline) throw new Error("never steady");
    await new Promise((resolve) => setTimeout(resolve, 10));
    const now = measure();
    same = now > 0 && now === last ? same + 1 : 0;
    last = now;
  }
}
