import { describe, expect, test } from "vitest";
import { AUTH, RawClient, startGateway } from "../support/rest-harness.ts";
import { hostAllowed, hostPolicy, originAllowed } from "#gateway/rest/front-door.ts";

const head = (port: number, ...more: string[]) => [
  "GET /health HTTP/1.1",
  `Host: 127.0.0.1:${port}`,
  ...more,
];

describe("the front door", () => {
  test("refuses a host that is not its own, on operations and on services", async () => {
    const { port } = await startGateway({}, { allowedHosts: ["solo.example"] });
    const statusFor = async (host: string, path = "/health") => {
      const text = await new RawClient(port).request([`GET ${path} HTTP/1.1`, `Host: ${host}`]);
      return Number(text.split(" ")[1]);
    };
    expect(await statusFor(`127.0.0.1:${port}`)).toBe(200);
    expect(await statusFor(`LocalHost:${port}`)).toBe(200);
    expect(await statusFor("solo.example")).toBe(200);
    for (const host of [
      `evil.example:${port}`,
      "127.0.0.1",
      "127.0.0.1:1",
      `127.0.0.1:${port}.evil.example`,
      "solo.example:1",
    ]) {
      expect([host, await statusFor(host)]).toEqual([host, 403]);
      expect([host, await statusFor(host, "/s/t/svc/")]).toEqual([host, 403]);
    }
    const own = `127.0.0.1:${port}`;
    for (const hosts of [`${own}\r\nHost: evil.example`, `${own}\r\nhost: ${own}`]) {
      expect([hosts, await statusFor(hosts)]).toEqual([hosts, 400]);
      expect([hosts, await statusFor(hosts, "/s/t/svc/")]).toEqual([hosts, 400]);
    }
  });

  test("refuses pages of other sites, and sends no CORS headers", async () => {
    const { port } = await startGateway();
    const answerTo = (origin: string) =>
      new RawClient(port).request(head(port, `Origin: ${origin}`));
    expect(await answerTo(`http://127.0.0.1:${port}`)).toContain("HTTP/1.1 200");
    for (const origin of [
      "http://evil.example",
      "null",
      `http://localhost:${port}`,
      `http://127.0.0.1:${port}.evil.example`,
    ]) {
      const text = await answerTo(origin);
      expect(text).toContain("HTTP/1.1 403");
      expect(text.toLowerCase()).not.toContain("access-control");
    }
    const preflight = await new RawClient(port).request([
      "OPTIONS /services HTTP/1.1",
      `Host: 127.0.0.1:${port}`,
      "Origin: http://evil.example",
      "Access-Control-Request-Method: POST",
    ]);
    expect(preflight).toContain("HTTP/1.1 403");
  });

  test("accepts the address that the client reached when it listens on all of them", () => {
    const policy = hostPolicy({ host: "0.0.0.0", port: 8080, scheme: "http", allowedHosts: [] });
    const from = (host: string) => hostAllowed(policy, { host, localAddress: "::ffff:10.0.0.7" });
    expect(from("10.0.0.7:8080")).toBe(true);
    expect(from("10.0.0.8:8080")).toBe(false);
    expect(from("evil.example:8080")).toBe(false);
    const six = hostPolicy({ host: "::1", port: 80, scheme: "http", allowedHosts: [] });
    const arrival = { host: "[::1]", origin: "http://[::1]", url: "/", localAddress: "::1" };
    expect([hostAllowed(six, arrival), originAllowed(six, arrival)]).toEqual([true, true]);
  });

  test("refuses headers that count once and come twice", async () => {
    const { port } = await startGateway();
    const host = `Host: 127.0.0.1:${port}`;
    const token = "Authorization: Bearer x";
    for (const more of [["Host: 127.0.0.1"], [token, "authorization: Bearer y"]]) {
      const text = await new RawClient(port).request(["GET /services HTTP/1.1", host, ...more]);
      expect(text).toContain("HTTP/1.1 400");
      expect(text).toContain("header, not several");
    }
  });

  test("refuses whole URLs as targets, long URLs and large headers", async () => {
    const { port } = await startGateway({}, { limits: { urlBytes: 200, headerBytes: 2048 } });
    const host = `Host: 127.0.0.1:${port}`;
    const proxied = await new RawClient(port).request([
      `GET http://127.0.0.1:${port}/health HTTP/1.1`,
      host,
    ]);
    expect(proxied).toContain("HTTP/1.1 400");
    const long = await new RawClient(port).request([`GET /${"a".repeat(300)} HTTP/1.1`, host]);
    expect(long).toContain("HTTP/1.1 413");
    const large = await new RawClient(port).request(head(port, `X-Large: ${"a".repeat(4000)}`));
    expect(large).toContain("HTTP/1.1 413");
    expect(large).toContain("application/problem+json");
    const broken = await new RawClient(port).request(["NOT HTTP AT ALL"]);
    expect(broken).toContain("HTTP/1.1 400");
  });
});

describe("a slow or greedy client", () => {
  test("is cut off when its headers do not come", async () => {
    const { port } = await startGateway({}, { limits: { headerTimeoutMs: 100 } });
    const dripping = new RawClient(port);
    dripping.send("GET /health HTTP/1.1\r\nHo");
    const silent = new RawClient(port);
    await Promise.all([dripping.closed, silent.closed]);
    expect(dripping.text).toContain("408");
  });

  test("is cut off when its body does not come", async () => {
    const { port } = await startGateway({}, { limits: { bodyTimeoutMs: 100, lingerMs: 100 } });
    const client = new RawClient(port);
    client.send(
      `POST /services HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"`,
    );
    await client.closed;
    expect(client.text).toContain("deadline_exceeded");
  });

  test("finds no connection beyond the limit", async () => {
    const { port } = await startGateway({}, { limits: { connections: 2 } });
    const kept = [new RawClient(port), new RawClient(port)];
    for (const client of kept) await client.request(head(port));
    await new RawClient(port).closed;
    const [first] = kept as [RawClient];
    first.text = "";
    expect(await first.request(head(port))).toContain("HTTP/1.1 200");
  });

  test("cannot hide a second request in a body", async () => {
    const { port, kernel } = await startGateway();
    const text = await new RawClient(port).request(
      [
        "POST /services/x/restart HTTP/1.1",
        `Host: 127.0.0.1:${port}`,
        `Authorization: ${AUTH.authorization}`,
        "Content-Length: 4",
        "Transfer-Encoding: chunked",
      ],
      "0\r\n\r\n",
    );
    expect(text).toContain("HTTP/1.1 400");
    expect(kernel.seen).toEqual([]);
  });
});
