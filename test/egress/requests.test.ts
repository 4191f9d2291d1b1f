/** Outbound requests against a server on loopback, which stands for the world. */
import { createServer as createTlsServer } from "node:https";
import type { TLSSocket } from "node:tls";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import { mint, mintAuthority } from "#certs/mint.ts";
import type { Granted } from "#egress/flight.ts";
import { IDLE_CONNECTION_MS, MAX_BODY_BYTES_PER_TENANT } from "#egress/limits.ts";
import { until } from "../support/until.ts";
import { GRANTED, owner, Tried, world } from "./support.ts";

const refusal = async (asked: Promise<unknown>): Promise<SoloError> => {
  const error = await asked.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof SoloError)) throw new Error("It was not refused.", { cause: error });
  return error;
};
const codeOf = async (asked: Promise<unknown>) => (await refusal(asked)).code;
const headerOf = (headers: readonly (readonly [string, string])[], name: string) =>
  headers.filter(([each]) => each === name).map(([, value]) => value);

describe("where it goes:", () => {
  test("a name is looked up once, and the socket goes to what was judged", async () => {
    await using server = await world();
    const answers = [["127.0.0.1"], ["169.254.169.254"]];
    using tried = new Tried({
      resolve: async () => answers.shift()!,
      privateHosts: ["rebind.example"],
    });
    expect(await tried.text({ url: `http://rebind.example:${server.port}/a` })).toBe("ok");
    expect(tried.lookedUp).toEqual(["rebind.example"]);
    expect(server.seen[0]!.headers.host).toBe(`rebind.example:${server.port}`);
    // The second look-up is another request's: it is judged by what it got itself, although a
    // connection to the first address is still open.
    const second = tried.text({ url: `http://rebind.example:${server.port}/b` });
    expect(await codeOf(second)).toBe("permission_denied");
    expect(server.seen).toHaveLength(1);
  });

  test("no capability, no look-up: not even the name leaves", async () => {
    using tried = new Tried({ names: { "a.example": ["8.8.8.8"] } });
    const connect = async () => {
      throw new SoloError("permission_denied", "No.");
    };
    const error = await refusal(tried.text({ url: "http://a.example/", leave: { connect } }));
    expect([error.code, tried.lookedUp]).toEqual(["permission_denied", []]);
  });

  test("one private address among public ones refuses them all, and nothing is sent", async () => {
    await using server = await world();
    using tried = new Tried({ names: { "mixed.example": ["93.184.215.14", "127.0.0.1"] } });
    const asked = tried.text({ url: `http://mixed.example:${server.port}/` });
    expect(await codeOf(asked)).toBe("permission_denied");
    expect(server.connections()).toBe(0);
  });

  test("a redirect to a private address, or to what no capability names, goes nowhere", async () => {
    await using inner = await world();
    await using outer = await world((request, response) => {
      const to = new URL(request.url!, "http://x").searchParams.get("to")!;
      response.writeHead(302, { location: to }).end();
    });
    using tried = new Tried({
      names: { "inner.example": ["127.0.0.1"], "meta.example": ["169.254.169.254"] },
      privateHosts: [`127.0.0.1:${outer.port}`, "meta.example"],
    });
    const via = (to: string) =>
      codeOf(tried.text({ url: `${outer.url}/?to=${encodeURIComponent(to)}` }));
    expect(await via(inner.url)).toBe("permission_denied");
    expect(await via(`http://inner.example:${inner.port}/`)).toBe("permission_denied");
    expect(await via(`http://2130706433:${inner.port}/`)).toBe("permission_denied");
    expect(await via("http://meta.example/latest/")).toBe("permission_denied");
    expect(await via("http://user:password@a.example/")).toBe("invalid_argument");
    expect(await via("file:///etc/passwd")).toBe("invalid_argument");
    expect(inner.connections()).toBe(0);
    const connect = async ({ port }: { port: number }) => {
      if (port === outer.port) return GRANTED;
      throw new SoloError("permission_denied", "Not there.");
    };
    const url = `${outer.url}/?to=${encodeURIComponent("http://other.example/")}`;
    const error = await refusal(tried.text({ url, leave: { connect } }));
    expect([error.message, tried.lookedUp]).toEqual([
      "Not there.",
      ["inner.example", "meta.example"],
    ]);
  });

  test("a kept connection is used again, but by the same service only", async () => {
    await using server = await world();
    using tried = new Tried();
    for (let n = 0; n < 3; n += 1) await tried.text({ url: server.url });
    expect(server.connections()).toBe(1);
    await tried.text({ url: server.url, owner: owner("b") });
    await tried.text({ url: server.url, owner: owner("a", "other") });
    expect(server.connections()).toBe(3);
    expect(IDLE_CONNECTION_MS).toBeLessThan(60_000);
  });

  test("over TLS the certificate is checked against the name, which the server is told", async () => {
    const authority = await mintAuthority({ nowMs: Date.now() });
    const certificate = await mint(
      { commonName: "x", use: { server: ["api.example"] }, days: 1, nowMs: Date.now() },
      authority,
    );
    const names: unknown[] = [];
    await using server = await world(
      (request, response) => {
        names.push((request.socket as TLSSocket).servername);
        response.end("safe");
      },
      (listener) => createTlsServer({ key: certificate.key, cert: certificate.cert }, listener),
    );
    const names_ = { "api.example": ["127.0.0.1"], "other.example": ["127.0.0.1"] };
    const privateHosts = ["api.example", "other.example"];
    using tried = new Tried({ names: names_, privateHosts, tls: { ca: authority.cert } });
    expect(await tried.text({ url: `https://api.example:${server.port}/` })).toBe("safe");
    expect(names).toEqual(["api.example"]);
    const wrong = await refusal(tried.text({ url: `https://other.example:${server.port}/` }));
    expect([wrong.code, wrong.message]).toEqual([
      "egress_failed",
      "The request to other.example failed: ERR_TLS_CERT_ALTNAME_INVALID.",
    ]);
    using stranger = new Tried({ names: names_, privateHosts });
    expect(await codeOf(stranger.text({ url: `https://api.example:${server.port}/` }))).toBe(
      "egress_failed",
    );
  });
});

describe("what is sent:", () => {
  test("method, path, headers and body, with a length and without what frames a message", async () => {
    await using server = await world();
    using tried = new Tried();
    await tried.text({
      url: `${server.url}/p?q=1#f`,
      method: "POST",
      body: "hallo",
      headers: [
        ["Content-Type", "text/x"],
        ["X-Two", "a, b"],
        ["Host", "evil.example"],
        ["Content-Length", "3"],
        ["Transfer-Encoding", "chunked"],
        ["Connection", "upgrade"],
        ["Upgrade", "websocket"],
        ["Proxy-Authorization", "x"],
        ["Sec-WebSocket-Key", "x"],
        ["Expect", "100-continue"],
        ["TE", "trailers"],
        ["Cookie", "a=1"],
      ],
    });
    const [{ method, path, headers, body }] = server.seen as [(typeof server.seen)[number]];
    expect([method, path, body]).toEqual(["POST", "/p?q=1", "hallo"]);
    expect(headers).toEqual({
      host: `127.0.0.1:${server.port}`,
      "content-type": "text/x",
      "x-two": "a, b",
      cookie: "a=1",
      accept: "*/*",
      "accept-language": "*",
      "accept-encoding": "gzip, br",
      "user-agent": "Solo",
      "content-length": "5",
      connection: "keep-alive",
    });
    await until(() => tried.accounts.length === 1, "the account");
    expect(tried.accounts[0]).toEqual({ sentBytes: 5, receivedBytes: 2 });
  });

  test.each([
    [[["x", "a\r\nHost: evil"]]],
    [[["x", "a\nb"]]],
    [[["x", "\0"]]],
    [[["x y", "a"]]],
    [[["", "a"]]],
    [[["x:", "a"]]],
    [[["x", "ü€"]]],
    [[["x"]]],
    [["x"]],
    [[["x", 1]]],
  ])("%j is refused", async (headers) => {
    using tried = new Tried();
    await expect(async () => tried.ask({ url: "http://a.example/", headers })).rejects.toThrow(
      SoloError,
    );
    expect(tried.lookedUp).toEqual([]);
  });

  test("too much in headers or body is refused by name", async () => {
    using tried = new Tried();
    const headers = [["x", "v".repeat(70_000)]];
    expect(await codeOf((async () => tried.ask({ url: "http://a.example/", headers }))())).toBe(
      "payload_too_large",
    );
    const error = await refusal(
      tried.ask({ url: "http://a.example/", method: "POST", body: "x".repeat(1025) }),
    );
    expect(error.message).toContain("egress.max_request_bytes allows 1024");
  });
});

describe("a redirect", () => {
  const cases = [
    [301, "POST", "GET"],
    [302, "POST", "GET"],
    [303, "POST", "GET"],
    [303, "PUT", "GET"],
    [301, "PUT", "PUT"],
    [307, "POST", "POST"],
    [308, "POST", "POST"],
  ] as const;
  test.each(cases)(
    "%d of a %s becomes a %s, as the Fetch standard says",
    async (status, method, then) => {
      await using server = await world((request, response) => {
        if (request.url === "/to") response.end("there");
        else response.writeHead(status, { location: "/to" }).end("gone");
      });
      using tried = new Tried();
      const asked = {
        url: `${server.url}/from`,
        method,
        body: "b",
        headers: [
          ["content-type", "x/y"],
          ["authorization", "me"],
        ],
      };
      const { url, redirected } = await tried.ask(asked);
      expect([url, redirected]).toEqual([`${server.url}/to`, true]);
      const last = server.seen.at(-1)!;
      const kept = then === method;
      expect([
        last.method,
        last.body,
        last.headers["content-type"],
        last.headers.authorization,
      ]).toEqual([then, kept ? "b" : "", kept ? "x/y" : undefined, "me"]);
    },
  );

  test("to another origin takes along nothing that says who asks, also not back again", async () => {
    await using other = await world((_, response) =>
      response.writeHead(307, { location: `${server.url}/back` }).end(),
    );
    await using server = await world((request, response) => {
      if (request.url === "/back") response.end();
      else response.writeHead(307, { location: `${other.url}/` }).end();
    });
    using tried = new Tried();
    await tried.text({
      url: server.url,
      headers: [
        ["authorization", "me"],
        ["cookie", "c=1"],
        ["x-key", "{{secret:k}}"],
        ["x-plain", "p"],
      ],
      leave: {
        fill: async (_, headers) => ({
          headers: headers.map(([name, value]) => [name, value.replace("{{secret:k}}", "hunter2")]),
          echo: undefined,
        }),
      },
    });
    const shown = [...server.seen, ...other.seen].map(({ path, headers }) => [
      path,
      headers.authorization,
      headers.cookie,
      headers["x-key"],
      headers["x-plain"],
    ]);
    expect(shown).toEqual([
      ["/", "me", "c=1", "hunter2", "p"],
      ["/back", undefined, undefined, undefined, "p"],
      ["/", undefined, undefined, undefined, "p"],
    ]);
  });

  test("is the answer itself when manual, an error when that was said, and not endless", async () => {
    await using server = await world((_, response) =>
      response.writeHead(302, { location: "/" }).end("x"),
    );
    using tried = new Tried();
    const manual = await tried.ask({ url: server.url, redirect: "manual" });
    expect([manual.status, headerOf(manual.headers, "location"), manual.redirected]).toEqual([
      302,
      ["/"],
      false,
    ]);
    await manual.body?.return?.();
    expect(await codeOf(tried.ask({ url: server.url, redirect: "error" }))).toBe("egress_failed");
    const before = server.seen.length;
    expect(await codeOf(tried.ask({ url: server.url }))).toBe("egress_failed");
    expect(server.seen.length - before).toBe(11);
    await until(() => tried.egress.active === 0, "every slot to be free");
  });
});

test("whatever becomes of an answer, its connection is used again or closed", async () => {
  let open = 0;
  await using server = await world((request, response) => {
    open += 1;
    response.on("close", () => (open -= 1));
    if (request.url === "/whole") response.writeHead(302, { location: "/204" }).end("short");
    else if (request.url === "/204") response.writeHead(204).end();
    else if (request.url === "/deep") response.writeHead(200, { "content-encoding": "br,br,br" });
    else response.writeHead(302, { location: request.url === "/bad" ? "ftp://x/" : "/204" });
    if (!response.writableEnded) response.write("and so on");
  });
  using tried = new Tried();
  expect((await tried.ask({ url: `${server.url}/whole` })).status).toBe(204);
  await until(() => open === 0, "the answers to be over");
  const connections = server.connections();
  expect((await tried.ask({ url: `${server.url}/204`, method: "HEAD" })).status).toBe(204);
  expect(server.connections()).toBe(connections);
  expect(await codeOf(tried.ask({ url: `${server.url}/endless`, redirect: "error" }))).toBe(
    "egress_failed",
  );
  expect(await codeOf(tried.ask({ url: `${server.url}/bad` }))).toBe("invalid_argument");
  expect(await codeOf(tried.ask({ url: `${server.url}/deep` }))).toBe("egress_failed");
  expect((await tried.ask({ url: `${server.url}/endless` })).redirected).toBe(true);
  const { body } = await tried.ask({ url: `${server.url}/endless`, redirect: "manual" });
  await body!.return!();
  await until(() => open === 0, "every answer to be given up");
  expect(tried.egress.active).toBe(0);
});

describe("what comes back:", () => {
  test("status, headers one by one and body; nothing of the connection", async () => {
    await using server = await world((_, response) => {
      response.writeHead(
        418,
        "Short",
        [
          ["set-cookie", "a=1"],
          ["set-cookie", "b=2"],
          ["x-y", "z"],
          ["keep-alive", "timeout=5"],
        ].flat(),
      );
      response.end("tea");
    });
    using tried = new Tried();
    const answer = await tried.ask({ url: server.url });
    expect([answer.status, answer.statusText, answer.redirected]).toEqual([418, "Short", false]);
    expect(headerOf(answer.headers, "set-cookie")).toEqual(["a=1", "b=2"]);
    const names = answer.headers.map(([name]) => name);
    for (const name of ["connection", "keep-alive", "transfer-encoding"])
      expect(names).not.toContain(name);
    expect(String((await answer.body!.next()).value)).toBe("tea");
    await answer.body!.return!();
  });

  test("is unpacked, and says so by what its headers leave out", async () => {
    const packed = {
      gzip: gzipSync("squeezed"),
      br: brotliCompressSync("squeezed"),
      "gzip, br": brotliCompressSync(gzipSync("squeezed")),
      identity: Buffer.from("squeezed"),
      unheard: Buffer.from("squeezed"),
    };
    await using server = await world((request, response) => {
      const coding = decodeURIComponent(request.url!.slice(1)) as keyof typeof packed;
      response.writeHead(200, {
        "content-encoding": coding,
        "content-length": packed[coding].length,
      });
      response.end(packed[coding]);
    });
    using tried = new Tried();
    for (const coding of Object.keys(packed)) {
      const url = `${server.url}/${encodeURIComponent(coding)}`;
      expect([coding, await tried.text({ url })]).toEqual([coding, "squeezed"]);
    }
    const { headers, body } = await tried.ask({ url: `${server.url}/gzip` });
    expect([headerOf(headers, "content-encoding"), headerOf(headers, "content-length")]).toEqual([
      [],
      [],
    ]);
    await body!.return!();
  });

  test("is cut off at its bound, however small it was on the wire", async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    await using server = await world((request, response) => {
      if (request.url === "/bomb")
        response.writeHead(200, { "content-encoding": "gzip" }).end(bomb);
      else if (request.url === "/deep")
        response.writeHead(200, { "content-encoding": "gzip, gzip, gzip" }).end(bomb);
      else if (request.url === "/torn")
        response.writeHead(200, { "content-encoding": "gzip" }).end(bomb.subarray(0, 1000));
      else response.end(Buffer.alloc(1024 * 1024 + 1));
    });
    using tried = new Tried();
    const text = (path: string) => codeOf(tried.text({ url: server.url + path }));
    expect(await text("/bomb")).toBe("payload_too_large");
    expect(await text("/plain")).toBe("payload_too_large");
    expect(await text("/deep")).toBe("egress_failed");
    expect(await text("/torn")).toBe("egress_failed");
    expect(tried.egress.active).toBe(0);
  });

  test("holds no secret that the service may not read, in pieces or as an address", async () => {
    const value = "s3cr3t-value-of-some-length";
    await using server = await world((request, response) => {
      const key = String(request.headers["x-key"]);
      if (request.url === "/go") {
        response.writeHead(302, { location: `/shown?${key}` }).end();
        return;
      }
      response.writeHead(200, `Hi ${value}`, { "x-echo": key });
      for (const piece of ["you sent ", key.slice(0, 7), key.slice(7), " thanks"])
        response.write(piece);
      response.end();
    });
    using tried = new Tried();
    const redact = (text: string) => text.replaceAll(value, "[secret:k]");
    const stream = () => {
      let held = "";
      return { push: (piece: string) => ((held += piece), ""), end: () => redact(held) };
    };
    const leave = {
      fill: async (_: URL, headers: readonly (readonly [string, string])[]) => ({
        headers: headers.map(
          ([name, text]) => [name, text.replace("{{secret:k}}", value)] as const,
        ),
        echo: { redact, stream },
      }),
    };
    const answer = await tried.ask({
      url: `${server.url}/go`,
      headers: [["x-key", "{{secret:k}}"]],
      leave,
    });
    expect(server.seen.map(({ headers }) => headers["x-key"])).toEqual([value, value]);
    expect([answer.statusText, answer.url, headerOf(answer.headers, "x-echo")]).toEqual([
      "Hi [secret:k]",
      `${server.url}/shown?[secret:k]`,
      ["[secret:k]"],
    ]);
    const chunks: Uint8Array[] = [];
    for await (const chunk of answer.body!) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe("you sent [secret:k] thanks");
  });

  test("an error tells Node's code and the host, neither path nor address", async () => {
    const closed = await world();
    await closed[Symbol.asyncDispose]();
    using tried = new Tried({ names: { "x.example": ["127.0.0.1"] }, privateHosts: ["x.example"] });
    const error = await refusal(
      tried.text({ url: `http://x.example:${closed.port}/private?token=1` }),
    );
    expect(JSON.stringify(error.toBody())).toBe(
      JSON.stringify({
        code: "egress_failed",
        detail: "The request to x.example failed: ECONNREFUSED.",
        hint: "Check the host's name and that it answers; `detail` says what failed.",
      }),
    );
    const unknown = await refusal(tried.text({ url: "http://nowhere.example/" }));
    expect(unknown.message).toBe("nowhere.example has no address: ENOTFOUND.");
  });

  test("headers beyond their bound are refused", async () => {
    await using server = await world((_, response) =>
      response.writeHead(200, { "x-long": "v".repeat(80_000) }).end(),
    );
    using tried = new Tried();
    expect(await codeOf(tried.text({ url: server.url }))).toBe("payload_too_large");
  });
});

describe("how long and how many:", () => {
  test("a server that never answers, or never ends, is given up at the deadline", async () => {
    await using server = await world((request, response) => {
      if (request.url === "/drip") response.write("drop");
    });
    using tried = new Tried({ bounds: { timeoutMs: 150 } });
    expect(await codeOf(tried.text({ url: `${server.url}/silent` }))).toBe("deadline_exceeded");
    expect(await codeOf(tried.text({ url: `${server.url}/drip` }))).toBe("deadline_exceeded");
    expect(tried.egress.active).toBe(0);
  });

  test("a resolver that never answers is given up with the request", async () => {
    using tried = new Tried({ resolve: () => new Promise(() => {}), bounds: { timeoutMs: 150 } });
    expect(await codeOf(tried.text({ url: "http://slow.example/" }))).toBe("deadline_exceeded");
  });

  test("an abort ends it wherever it is: waiting for a slot, for an answer, in the body", async () => {
    await using server = await world((request, response) => {
      if (request.url === "/drip") response.write("drop");
    });
    using tried = new Tried({ bounds: { perService: 1 } });
    const abort = new AbortController();
    const gone = new SoloError("cancelled", "Enough.");
    const signal = abort.signal;
    const drip = await tried.ask({ url: `${server.url}/drip`, signal });
    expect((await drip.body!.next()).done).toBe(false);
    const waits = tried.ask({ url: `${server.url}/silent`, signal });
    const rest = drip.body!.next();
    abort.abort(gone);
    expect([await refusal(rest), await refusal(waits)]).toEqual([gone, gone]);
    expect([tried.egress.active, server.seen.length]).toEqual([0, 1]);
    const late = new AbortController();
    const asked = tried.ask({ url: `${server.url}/silent`, signal: late.signal });
    await until(() => server.seen.length === 2, "the request to arrive");
    late.abort(gone);
    expect(await refusal(asked)).toBe(gone);
    expect(await refusal(tried.ask({ url: server.url, signal: late.signal }))).toBe(gone);
    expect(tried.egress.active).toBe(0);
  });

  test("a capability that ends, ends what it allowed, and is not listened to for longer", async () => {
    await using server = await world((_, response) => void response.write("drop"));
    using tried = new Tried();
    const listeners = new Set<Parameters<Granted["onEnd"]>[0]>();
    const connect = async () => ({
      named: true,
      onEnd: (listener: Parameters<Granted["onEnd"]>[0]) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    });
    const { body } = await tried.ask({ url: server.url, leave: { connect } });
    await body!.next();
    const rest = body!.next();
    const why = new SoloError("permission_denied", "It was revoked.");
    for (const listener of listeners) listener(why);
    expect(await refusal(rest)).toBe(why);
    expect([tried.egress.active, listeners.size]).toEqual([0, 0]);
  });

  test("of one service and one tenant only so many are under way; the rest waits its turn", async () => {
    const held: (() => void)[] = [];
    await using server = await world((_, response) => void held.push(() => response.end("x")));
    using tried = new Tried();
    const ask = (service: string, tenant = "t") =>
      tried.text({ url: server.url, owner: owner(service, tenant) });
    const all = [
      ...Array.from({ length: 10 }, () => ask("a")),
      ...Array.from({ length: 10 }, () => ask("b")),
      ...Array.from({ length: 10 }, () => ask("c", "u")),
    ];
    // perService 4, perTenant 6: a has 4, b the 2 that are left of its tenant, c has 4.
    await until(() => held.length === 10, "the first to arrive");
    let most = 0;
    const ended = Promise.all(all);
    const done = ended.then(() => true);
    while (!(await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 1))]))) {
      most = Math.max(most, tried.egress.active);
      held.splice(0).forEach((end) => end());
    }
    expect(most).toBeLessThanOrEqual(10);
    expect((await ended).join("")).toBe("x".repeat(30));
    expect(tried.egress.active).toBe(0);
  });

  test("of one tenant only so many bytes of bodies are held, and given back", async () => {
    const held: (() => void)[] = [];
    await using server = await world((_, response) => void held.push(() => response.end("x")));
    const bytes = MAX_BODY_BYTES_PER_TENANT / 4;
    using tried = new Tried({ bounds: { maxRequestBytes: bytes, perService: 2 } });
    const body = "b".repeat(bytes);
    const ask = (tenant: string) =>
      tried.text({ url: server.url, method: "POST", body, owner: owner("a", tenant) });
    const four = [1, 2, 3, 4].map(() => ask("t"));
    const fifth = await refusal(ask("t"));
    expect([fifth.code, fifth.message]).toEqual([
      "limit_exceeded",
      `The bodies of this tenant's requests have more than ${MAX_BODY_BYTES_PER_TENANT} bytes.`,
    ]);
    const all = Promise.all([...four, ask("u")]).then((texts) => texts.join(""));
    const done = all.then(() => true);
    const answer = () => held.splice(0).forEach((end) => end());
    await until(() => (answer(), Promise.race([done, Promise.resolve(false)])), "every answer");
    expect(await all).toBe("xxxxx");
    const again = ask("t");
    await until(() => held.length > 0, "the request");
    answer();
    expect(await again).toBe("x");
  });

  test("closing ends what is under way", async () => {
    await using server = await world(() => {});
    const tried = new Tried();
    const asked = tried.ask({ url: server.url });
    await until(() => server.seen.length === 1, "the request to arrive");
    tried.egress.close();
    expect(await codeOf(asked)).toBe("shutting_down");
    expect(tried.egress.active).toBe(0);
  });
});
