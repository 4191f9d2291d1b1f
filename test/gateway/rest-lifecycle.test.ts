import { describe, expect, test } from "vitest";
import { silentLogger } from "#base/log.ts";
import { MetricsServer } from "#gateway/metrics/server.ts";
import { RestGateway } from "#gateway/rest/gateway.ts";
import { REST_LIMITS } from "#gateway/rest/limits.ts";
import { HttpServer } from "#gateway/rest/server.ts";
import { AUTH, problemOf, RawClient, startGateway } from "../support/rest-harness.ts";
import { fakeKernel, signalled } from "../support/fake-rest-kernel.ts";

const start = (port: number) =>
  RestGateway.start({
    kernel: fakeKernel(),
    host: "127.0.0.1",
    port,
    log: silentLogger,
    version: "1",
    readPage: async () => "",
  });

describe("the gateway", () => {
  test("says where it listens, and frees the port when it stops", async () => {
    const first = await start(0);
    expect(first.address.url).toBe(`http://127.0.0.1:${first.address.port}`);
    await first.stop({ graceMs: 1_000 });
    await first.stop({ graceMs: 1_000 });
    await using second = await start(first.address.port);
    expect(second.address.port).toBe(first.address.port);
  });

  test("says which port is taken", async () => {
    await using first = await start(0);
    await expect(start(first.address.port)).rejects.toMatchObject({
      code: "cannot_listen",
      message: expect.stringContaining(String(first.address.port)),
    });
    await expect(
      MetricsServer.start({ kernel: fakeKernel(), host: "127.0.0.1", port: first.address.port }),
    ).rejects.toMatchObject({ code: "cannot_listen" });
  });

  test("lets a request in flight finish before it stops, and takes no new ones", async () => {
    const begun = signalled("the call");
    const finish = signalled("the finish");
    const { gateway, url, port } = await startGateway({
      calls: {
        Call: async () => {
          begun.resolve();
          await finish.promise;
          return { reply: "done" };
        },
      },
    });
    const keptAlive = new RawClient(port);
    await keptAlive.request([`GET /health HTTP/1.1`, `Host: 127.0.0.1:${port}`]);
    const silent = new RawClient(port);
    const answer = fetch(`${url}/services/x/calls/y`, { method: "POST", headers: AUTH });
    await begun.promise;
    const stopped = gateway.stop({ graceMs: 10_000 });
    await keptAlive.closed;
    await expect(fetch(`${url}/health`)).rejects.toThrow("fetch failed");
    finish.resolve();
    expect(await (await answer).json()).toEqual({ reply: "done" });
    await stopped;
    await silent.closed;
  });

  test("answers a request on a busy connection while it stops with shutting_down", async () => {
    const { gateway, port } = await startGateway({
      calls: {
        Call: (_input, { signal }) =>
          new Promise((resolve) => signal.addEventListener("abort", resolve)),
      },
    });
    const pending = new RawClient(port);
    const call = `POST /services/x/calls/y HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: ${AUTH.authorization}\r\n\r\n`;
    pending.send(call);
    const late = new RawClient(port);
    late.send(`GET /health HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n`);
    await new RawClient(port).request([`GET /health HTTP/1.1`, `Host: 127.0.0.1:${port}`]);
    const stopped = gateway.stop({ graceMs: 60_000 });
    late.send("\r\n");
    const text = await late.until((all) => all.includes("shutting_down"));
    expect(text.toLowerCase()).toContain("connection: close");
    await gateway.stop({ graceMs: 0 });
    await stopped;
  });

  test("forces what does not end within the grace", async () => {
    const begun = signalled("the call");
    const { gateway, url } = await startGateway({
      calls: {
        Call: (_input, { signal }) => {
          begun.resolve();
          return new Promise((resolve) => signal.addEventListener("abort", resolve));
        },
      },
    });
    const answer = fetch(`${url}/services/x/calls/y`, { method: "POST", headers: AUTH });
    answer.catch(() => {});
    await begun.promise;
    const gentle = gateway.stop({ graceMs: 60_000 });
    await gateway.stop({ graceMs: 0 });
    await gentle;
    await expect(answer).rejects.toThrow("fetch failed");
  });

  test("reports a listener that dies, but not one that was stopped", async () => {
    const { gateway } = await startGateway();
    await gateway.stop({ graceMs: 0 });
    const settled = await Promise.race([gateway.failed, Promise.resolve("pending")]);
    expect(settled).toBe("pending");
    const http = new HttpServer({
      limits: REST_LIMITS,
      allowedHosts: [],
      anyOrigin: () => true,
      listener: () => {},
    });
    await http.open({ host: "127.0.0.1", port: 0 });
    http.server.close();
    expect(await http.failed).toMatchObject({ code: "unavailable" });
  });
});

describe("metrics", () => {
  const metrics = [
    "# HELP solo_active_services Running services.",
    "# TYPE solo_active_services gauge",
    "solo_active_services 3",
    'solo_service_memory_bytes{tenant="t",service="a \\"b\\""} 1.5e6',
    'solo_service_memory_bytes{tenant="t",service="c"} NaN',
    "",
  ].join("\n");

  test("are Prometheus text, or JSON for those who ask for it", async () => {
    const { url } = await startGateway({ metrics });
    const text = await fetch(`${url}/metrics`, { headers: AUTH });
    expect(text.headers.get("content-type")).toContain("version=0.0.4");
    expect(await text.text()).toBe(metrics);
    const summary = await fetch(`${url}/metrics`, {
      headers: { ...AUTH, accept: "application/json" },
    });
    expect(await summary.json()).toEqual({
      solo_active_services: 3,
      solo_service_memory_bytes: [
        { labels: { tenant: "t", service: 'a "b"' }, value: 1_500_000 },
        { labels: { tenant: "t", service: "c" }, value: "NaN" },
      ],
    });
  });

  test("have a listener of their own, with health beside them and nothing else", async () => {
    await using server = await MetricsServer.start({
      kernel: fakeKernel({ metrics }),
      host: "127.0.0.1",
      port: 0,
    });
    const { url, port } = server.address;
    expect(await (await fetch(`${url}/metrics`)).text()).toBe(metrics);
    expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: "ok" });
    expect((await problemOf(await fetch(`${url}/services`))).code).toBe("not_found");
    expect((await fetch(`${url}/metrics`, { method: "POST" })).headers.get("allow")).toBe(
      "GET, HEAD",
    );
    const rebound = await new RawClient(port).request([
      "GET /metrics HTTP/1.1",
      "Host: evil.example",
    ]);
    expect(rebound).toContain("HTTP/1.1 403");
  });
});
