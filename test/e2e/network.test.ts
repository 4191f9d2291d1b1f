/** The fetch of services, through a real kernel, to servers on loopback that stand for the world. */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startKernel, until } from "../support/kernel.ts";
import { world } from "../egress/support.ts";

const MIB = 1024 * 1024;
const BIG = Buffer.alloc(3 * MIB, "0123456789abcdef");

const held: { end: () => void }[] = [];
let dripped = 0;
let closed = 0;
const elsewhere = await world();
const server = await world((request, response) => {
  const { pathname } = new URL(request.url!, "http://x");
  if (pathname === "/mirror") {
    const { headers, method } = request;
    const { body } = server.seen.at(-1)!;
    response.setHeader("content-type", "application/json");
    response.setHeader("set-cookie", ["a=1", "b=2"]);
    response.end(JSON.stringify({ headers, method, body }));
  } else if (pathname === "/big") response.end(BIG);
  else if (pathname === "/packed") {
    response.setHeader("content-encoding", "gzip");
    response.end(gzipSync("unpacked"));
  } else if (pathname === "/empty") response.writeHead(204).end();
  else if (pathname === "/away") response.writeHead(302, { location: "/mirror" }).end();
  else if (pathname === "/leave") response.writeHead(302, { location: `${elsewhere.url}/` }).end();
  else if (pathname === "/inside") {
    response.writeHead(302, { location: `http://127.0.0.2:${server.port}/` }).end();
  } else if (pathname === "/trickle") {
    response.on("close", () => (closed += 1));
    response.write("a drop, and nothing more");
  } else if (pathname === "/drip") {
    response.on("close", () => (closed += 1));
    const timer = setInterval(() => {
      dripped += response.write(Buffer.alloc(64 * 1024)) ? 1 : 0;
    }, 1);
    response.on("close", () => clearInterval(timer));
  } else {
    response.on("close", () => (closed += 1));
    held.push(response);
  }
});
const kernel = await startKernel({
  config: `[security]\negress_private_hosts = ["127.0.0.1"]\n[egress]\nmax_response_bytes = ${16 * MIB}\n`,
});
afterAll(async () => {
  await kernel[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await elsewhere[Symbol.asyncDispose]();
});

/** Runs the source of a function body with `fetch` and `url` (the server's) at hand. */
const code = `export default { concurrent: true, calls: {
  run: (solo, body) => new Function("solo", "url", "return (async () => {" + body + "})()")(solo, ${JSON.stringify(server.url)}),
  try: (solo, body) => new Function("solo", "url", "return (async () => {" + body + "})()")(solo, ${JSON.stringify(server.url)})
    .catch((e) => ({ name: e.name, message: e.message, code: e.cause?.code, detail: e.cause?.message, hint: e.cause?.hint })),
}, fetch: (request) => fetch(${JSON.stringify(server.url)} + new URL(request.url).pathname, { method: request.method, body: request.body && request.text() && undefined }) };`;

const tenant = kernel.tenant("net");
const connect = (...hosts: string[]) => [{ resources: hosts.map((host) => `net:${host}`) }];
beforeAll(async () => {
  await tenant.deploy({ service_id: "none", code });
  await tenant.deploy({
    service_id: "net",
    code,
    capabilities: connect(`127.0.0.1:${server.port}`),
  });
});

describe("what a service may reach:", () => {
  test("nothing, unless its deploy says so; the refusal tells what to add", async () => {
    const before = server.seen.length;
    const refused = await tenant.call(
      "none",
      "try",
      "return (await fetch(url + '/mirror')).status",
    );
    expect(refused).toMatchObject({
      name: "TypeError",
      message: "fetch failed",
      code: "permission_denied",
    });
    expect(refused.hint).toContain(`"net:127.0.0.1:${server.port}"`);
    expect(refused.hint).toContain('"connect"');
    expect(server.seen).toHaveLength(before);
    const event = await until(
      async () => (await tenant.events({ event_type: "capability_denied" }))[0],
      "the denial's event",
    );
    expect(event.payload).toMatchObject({
      permission: "connect",
      resource: `net:127.0.0.1:${server.port}`,
    });
  });

  test("a refusal that a handler passes on is its caller's answer, and no crash", async () => {
    const answer = await tenant.ask("none", "run", ["await fetch(url)"]);
    expect([answer.status, answer.body.code]).toEqual([403, "permission_denied"]);
    expect(answer.body.hint).toContain("net:127.0.0.1");
    expect((await tenant.status("none"))["restarts"]).toBe(0);
  });

  test("neither a pattern nor the owner's list alone opens an inner address", async () => {
    await tenant.deploy({ service_id: "wide", code, capabilities: connect("*") });
    const at = (url: string, service = "wide") =>
      tenant.call(service, "try", `return (await fetch(${JSON.stringify(url)})).status`);
    const wide = await at(`${server.url}/mirror`);
    expect([wide.code, wide.detail]).toEqual([
      "permission_denied",
      "127.0.0.1 is not a public address (loopback).",
    ]);
    await tenant.deploy({
      service_id: "named",
      code,
      capabilities: connect("127.0.0.2", "localhost", "169.254.169.254", "[::1]"),
    });
    for (const host of ["127.0.0.2", "localhost", "169.254.169.254", "2852039166", "[::1]"]) {
      const { code: refusal, hint } = await at(`http://${host}:${server.port}/`, "named");
      expect([host, refusal]).toEqual([host, "permission_denied"]);
      expect(hint).toContain("egress_private_hosts in [security]");
    }
  });

  test("a redirect is judged anew", async () => {
    const refused = await tenant.call("net", "try", "return (await fetch(url + '/inside')).status");
    expect(refused).toMatchObject({ code: "permission_denied" });
    expect(refused.hint).toContain(`net:127.0.0.2:${server.port}`);
  });

  /** An answer of `path` on its way to a service that was deployed with a capability of its own. */
  async function answerOnItsWay(path: string, ttl_ms?: number) {
    const granted = await kernel.request("POST", "/capabilities", {
      tenant_id: "net",
      permissions: ["deploy", "invoke", "connect"],
      resources: ["*"],
      ttl_ms,
    });
    expect(granted.status).toBe(201);
    const { token, capability } = granted.body;
    const service_id = `held-${capability.id.replace("_", "-")}`;
    await tenant.request(
      "POST",
      "/services",
      { service_id, code, capabilities: connect(`127.0.0.1:${server.port}`) },
      { authorization: `Bearer ${token}` },
    );
    const before = closed;
    const arrived = () => server.seen.filter((each) => each.path === path).length;
    const earlier = arrived();
    const asked = tenant.ask(service_id, "run", [
      `try {
         const { body } = await fetch(url + "${path}");
         await body.pipeTo(new WritableStream());
       } catch (error) {
         const { name, code } = error.cause ?? error;
         return [name, code];
       }`,
    ]);
    let over = false;
    void asked.then(() => (over = true));
    await until(() => arrived() > earlier || over, "the request");
    return { asked, before, capability, began: arrived() > earlier };
  }

  async function expectEnded({ asked, before }: Awaited<ReturnType<typeof answerOnItsWay>>) {
    expect((await asked).body).toEqual({ reply: ["SoloError", "permission_denied"] });
    await until(() => closed > before, "the connection to be closed");
  }

  test("revoking what it was deployed with ends an answer that is on its way", async () => {
    const answer = await answerOnItsWay("/drip");
    await kernel.request("DELETE", `/capabilities/${answer.capability.id}`);
    await expectEnded(answer);
  });

  test("the expiry of what it was deployed with ends an answer that is on its way", async () => {
    // Twice as long each time, for a machine on which it comes before the request.
    let ttl_ms = 500;
    const answer = await until(async () => {
      const tried = await answerOnItsWay("/trickle", (ttl_ms *= 2));
      return tried.began ? tried : undefined;
    }, "a request before the expiry");
    await expectEnded(answer);
  });
});

describe("fetch in a service", () => {
  test("sends and receives as the standard says", async () => {
    const value = await tenant.call(
      "net",
      "run",
      `
      const response = await fetch(new Request(url + "/mirror?q#f", { method: "PUT", body: "ü", headers: { "x-a": "1", cookie: "c=d" } }));
      const { headers, method, body } = await response.json();
      const again = await response.text().catch((e) => e.name);
      return { ok: response.ok, status: response.status, type: response.headers.get("content-type"), cookies: response.headers.getSetCookie(),
        url: response.url, redirected: response.redirected, a: headers["x-a"], cookie: headers.cookie, length: headers["content-length"], method, body, again };`,
    );
    expect(value).toEqual({
      ok: true,
      status: 200,
      type: "application/json",
      cookies: ["a=1", "b=2"],
      url: `${server.url}/mirror?q`,
      redirected: false,
      a: "1",
      cookie: "c=d",
      length: "2",
      method: "PUT",
      body: "ü",
      again: "TypeError",
    });
  });

  test("follows, stops at or refuses redirects; unpacks; has no body where there is none", async () => {
    const value = await tenant.call(
      "net",
      "run",
      `
      const followed = await fetch(url + "/away");
      const manual = await fetch(url + "/away", { redirect: "manual" });
      const error = await fetch(url + "/away", { redirect: "error" }).catch((e) => e.name);
      const packed = await fetch(url + "/packed");
      const empty = await fetch(url + "/empty");
      return [followed.redirected, followed.url, manual.status, manual.headers.get("location"), error,
        await packed.text(), packed.headers.get("content-encoding"), empty.status, empty.body];`,
    );
    expect(value).toEqual([
      true,
      `${server.url}/mirror`,
      302,
      "/mirror",
      "TypeError",
      "unpacked",
      null,
      204,
      null,
    ]);
  });

  test("hands a large body over whole, also on to the service's own caller", async () => {
    const digest = createHash("sha256").update(BIG).digest("hex");
    const seen = await tenant.call(
      "net",
      "run",
      `
      const bytes = await (await fetch(url + "/big")).bytes();
      return [bytes.length, [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))].map((b) => b.toString(16).padStart(2, "0")).join("")];`,
    );
    expect(seen).toEqual([BIG.length, digest]);
    const through = await tenant.ingress("net", "/big");
    expect(
      createHash("sha256")
        .update(await through.bytes())
        .digest("hex"),
    ).toBe(digest);
    expect(await (await tenant.ingress("net", "/packed")).text()).toBe("unpacked");
  });

  test("reads no faster than the service does, and stops when the service does", async () => {
    const before = closed;
    dripped = 0;
    const count = await tenant.call(
      "net",
      "run",
      `
      const reader = (await fetch(url + "/drip")).body.getReader();
      await reader.read();
      await new Promise((resolve) => setTimeout(resolve, 600));
      await reader.cancel();
      return 1;`,
    );
    expect(count).toBe(1);
    await until(() => closed > before, "the connection to be closed");
    // 64 KiB each: kernel and sockets hold some, but not what 600 ms would bring.
    expect(dripped).toBeLessThan(200);
  });

  test("is aborted by its signal, before and in the body, and the server hears of it", async () => {
    const before = closed;
    // Twice as long each time, for a machine on which it is over before the server has it.
    let ms = 25;
    await until(async () => {
      const asked = held.length;
      const first = await tenant.call(
        "net",
        "run",
        `const signal = AbortSignal.timeout(${(ms *= 2)});
        return fetch(url + "/silent", { signal }).catch((e) => e.name);`,
      );
      expect(first).toBe("TimeoutError");
      return held.length > asked;
    }, "a request that is aborted at the server");
    const value = await tenant.call(
      "net",
      "run",
      `
      const controller = new AbortController();
      const response = await fetch(url + "/drip", { signal: controller.signal });
      const reader = response.body.getReader();
      await reader.read();
      controller.abort(new RangeError("mine"));
      try { for (;;) if ((await reader.read()).done) break; } catch (e) { return e.name; }`,
    );
    expect(value).toBe("RangeError");
    await until(() => closed >= before + 2, "both connections to be closed");
  });

  test("that was given up holds no place: six hundred, before and after they left, and the next is answered", async () => {
    const before = held.length;
    const giveUp = (ms: number): Promise<[string[], string[], number]> =>
      tenant.call(
        "net",
        "run",
        `
      const names = (all) => Promise.all(all.map((one) => one.catch((e) => e.name)));
      const giveUp = async (after) => {
        const controller = new AbortController();
        const all = names(Array.from({ length: 600 }, () => fetch(url + "/silent", { signal: controller.signal })));
        await after();
        controller.abort();
        return [...new Set(await all)];
      };
      const early = await giveUp(async () => {});
      const late = await giveUp(() => solo.sleep(${ms}));
      await solo.kv.put("asked", 1);
      return [early, late, (await fetch(url + "/packed")).status];`,
      );
    // Twice as long each time, for a machine on which none has come to the server by then.
    let ms = 150;
    await until(async () => {
      const [early, late, next] = await giveUp((ms *= 2));
      // Those beyond what may wait are refused before they are given up.
      expect([early, next]).toEqual([["AbortError"], 200]);
      expect(late).toContain("AbortError");
      return held.length > before;
    }, "some that were on their way");
    const { mailbox_length } = await tenant.status("net");
    expect(mailbox_length).toBe(0);
    await until(
      () => held.slice(before).every((each) => (each as { closed?: boolean }).closed),
      "no connection to be left",
    );
  });

  test("ends with the instance: a service killed in the middle leaves nothing behind", async () => {
    await tenant.deploy({
      service_id: "short",
      code,
      capabilities: connect(`127.0.0.1:${server.port}`),
    });
    const drips = () => server.seen.filter(({ path }) => path === "/drip").length;
    const before = [closed, held.length, drips()];
    const asked = tenant.ask("short", "run", [
      "const r = fetch(url + '/silent'); await (await fetch(url + '/drip')).body.getReader().read(); await r;",
    ]);
    await until(() => held.length > before[1]! && drips() > before[2]!, "both requests");
    await tenant.kill("short", "?force=true");
    expect((await asked).status).toBeGreaterThanOrEqual(400);
    await until(() => closed >= before[0]! + 2, "both connections to be closed");
  });

  test("refuses what it does not send, with the reason as cause", async () => {
    const tries = {
      "fetch('ftp://a/')": "http and https",
      "fetch('http://u:p@127.0.0.1/')": "",
      "fetch('http://127.0.0.1:22/')": "Port 22",
      "fetch(url, { method: 'POST', body: new Uint8Array(5 * 2 ** 20) })":
        "egress.max_request_bytes",
      "fetch(url, { method: 'POST', body: new Uint8Array(7 * 2 ** 20) })": "can be sent",
      "fetch('http://nowhere.invalid:1/')": "Port 1",
    };
    for (const [expression, reason] of Object.entries(tries)) {
      const { name, detail = "" } = await tenant.call(
        "net",
        "try",
        `return (await ${expression}).status`,
      );
      expect([expression, name]).toEqual([expression, "TypeError"]);
      expect(detail).toContain(reason);
    }
  });
});

describe("a secret that the service cannot read", () => {
  const VALUE = "sk-0123456789-not-for-services";

  test("is filled in for the host that was named, and nothing of it comes back", async () => {
    await tenant.request("POST", "/secrets", { name: "api_key", value: VALUE });
    await tenant.deploy({
      service_id: "user",
      code,
      capabilities: connect(`127.0.0.1:${server.port}`, `127.0.0.1:${elsewhere.port}`),
      secrets: [{ name: "api_key", use: "inject", hosts: [`http://127.0.0.1:${server.port}`] }],
    });
    const headers = `{ headers: { authorization: "Bearer {{secret:api_key}}" } }`;
    const seen = await tenant.call(
      "user",
      "run",
      `const response = await fetch(url + "/mirror", ${headers});
       return [await response.json(), await solo.secrets.get("api_key").catch((e) => e.code)];`,
    );
    expect(server.seen.at(-1)!.headers.authorization).toBe(`Bearer ${VALUE}`);
    expect(seen[0].headers.authorization).toBe("Bearer [secret:api_key]");
    expect(seen[1]).toBe("permission_denied");

    const other = await tenant.call(
      "user",
      "try",
      `return (await fetch("${elsewhere.url}/", ${headers})).status`,
    );
    expect(other).toMatchObject({ code: "permission_denied" });
    expect(elsewhere.seen).toEqual([]);
    await tenant.call("user", "run", `await (await fetch(url + "/leave", ${headers})).text()`);
    expect(elsewhere.seen.map((each) => each.headers.authorization)).toEqual([undefined]);

    await tenant.ask("user", "run", [
      `console.log(await (await fetch(url + "/mirror", ${headers})).text())`,
    ]);
    const told = [kernel.stdout, kernel.stderr, await tenant.events(), await tenant.logs("user")];
    expect(JSON.stringify(told)).not.toContain(VALUE);
    expect(JSON.stringify(told)).toContain("secret_accessed");
  });

  test("that is not the service's to use is refused, and nothing is sent", async () => {
    const before = server.seen.length;
    const refused = await tenant.call(
      "net",
      "try",
      `return (await fetch(url, { headers: { "x-key": "{{secret:api_key}}" } })).status`,
    );
    expect(refused).toMatchObject({ code: "permission_denied" });
    expect(server.seen).toHaveLength(before);
  });
});

test("bytes and requests of each service are counted, and forgotten with it", async () => {
  const lines = async () =>
    (await (await kernel.fetch("/metrics")).text())
      .split("\n")
      .filter((line) => line.startsWith("solo_egress"));
  await tenant.deploy({
    service_id: "counted",
    code,
    capabilities: connect(`127.0.0.1:${server.port}`),
  });
  await tenant.call(
    "counted",
    "run",
    "await (await fetch(url + '/packed', { method: 'POST', body: '12345' })).text()",
  );
  const packed = gzipSync("unpacked").length;
  expect((await lines()).filter((line) => line.includes("counted"))).toEqual([
    'solo_egress_requests_total{tenant="net",service="counted"} 1',
    'solo_egress_bytes_total{tenant="net",service="counted",direction="sent"} 5',
    `solo_egress_bytes_total{tenant="net",service="counted",direction="received"} ${packed}`,
  ]);
  await tenant.kill("counted", "?force=true");
  await until(async () => !(await lines()).join("").includes("counted"), "the counts to be gone");
});
