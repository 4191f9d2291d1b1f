/** HTTP to a service's own fetch, as browsers, curl and Node send it. */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, describe, expect, test } from "vitest";
import { startKernel, until, type Body, type TestTenant } from "../support/kernel.ts";

const kernel = await startKernel();
afterAll(() => kernel[Symbol.asyncDispose]());

const MIB = 1024 * 1024;
const sha = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** A request whose body is written by hand. */
function upload(tenant: TestTenant, service: string, path = "/") {
  const request = httpRequest(`${kernel.http}/s/${tenant.name}/${service}${path}`, {
    method: "POST",
    headers: tenant.headers,
  });
  const response = once(request, "response").then(([message]) => message as IncomingMessage);
  response.catch(() => {});
  request.on("error", () => {});
  return { request, response };
}

describe("requests and responses", () => {
  const tenant = kernel.tenant("web");

  test("method, path, query, headers and body arrive; status, headers and cookies come back", async () => {
    await tenant.deploy({
      service_id: "mirror",
      code: `export default { async fetch(request, solo) {
        const { pathname, search, searchParams } = new URL(request.url);
        const headers = new Headers({ "x-one": "1", "content-type": "application/json" });
        headers.append("set-cookie", "a=1; Path=/"); headers.append("set-cookie", "b=2");
        const body = { method: request.method, pathname, search, q: searchParams.get("q"), agent: request.headers.get("x-agent"),
                       authorization: request.headers.get("authorization"), text: await request.text(), service: solo.service };
        return new Response(JSON.stringify(body), { status: 201, headers });
      } };`,
    });
    const response = await tenant.ingress("mirror", "/a/b%20c?q=%C3%BC&r=1", {
      method: "PATCH",
      body: "hallo",
      headers: { "x-agent": "me" },
    });
    expect(response.status).toBe(201);
    expect(response.headers.get("x-one")).toBe("1");
    expect(response.headers.getSetCookie()).toEqual(["a=1; Path=/", "b=2"]);
    expect(await response.json()).toEqual({
      method: "PATCH",
      pathname: "/a/b%20c",
      search: "?q=%C3%BC&r=1",
      q: "ü",
      agent: "me",
      // The owner's token opens the door; it is nothing that the service behind it may see.
      authorization: null,
      text: "hallo",
      service: "mirror",
    });
  });

  test("HEAD, 204 and 304 have no body, redirects are passed on", async () => {
    await tenant.deploy({
      service_id: "bare",
      code: `export default { fetch(request) {
        const { pathname } = new URL(request.url);
        if (pathname === "/204") return new Response(null, { status: 204 });
        if (pathname === "/304") return new Response(null, { status: 304, headers: { etag: '"x"' } });
        if (pathname === "/go") return Response.redirect("http://example.com/", 302);
        return new Response("body");
      } };`,
    });
    const head = await tenant.ingress("bare", "/", { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    expect((await tenant.ingress("bare", "/204")).status).toBe(204);
    const unchanged = await tenant.ingress("bare", "/304");
    expect([unchanged.status, unchanged.headers.get("etag")]).toEqual([304, '"x"']);
    const away = await tenant.ingress("bare", "/go", { redirect: "manual" });
    expect([away.status, away.headers.get("location")]).toEqual([302, "http://example.com/"]);
  });

  test("a fetch that throws is answered with 500, and the service lives on", async () => {
    await tenant.deploy({
      service_id: "throws",
      code: `export default { fetch(request) {\n  if (request.url.endsWith("/bad")) throw new TypeError("no such thing");\n  return new Response("fine");\n} };`,
    });
    const bad = await tenant.ingress("throws", "/bad");
    expect(bad.status).toBe(500);
    expect(bad.headers.get("content-type")).toContain("application/problem+json");
    expect(await bad.json()).toMatchObject({
      code: "handler_failed",
      detail: "TypeError: no such thing",
    });
    expect(await (await tenant.ingress("throws", "/")).text()).toBe("fine");
    const [line] = await until(
      async () => (await tenant.logs("throws")).filter(({ level }) => level === "error"),
      "the log",
    );
    expect(line!["text"]).toMatch(/TypeError: no such thing[\s\S]*index\.[tj]s:2/);
    expect(await tenant.status("throws")).toMatchObject({ restarts: 0, errors: 1 });
  });

  test("what is not a Response, and a service without fetch, say so", async () => {
    await tenant.deploy({ service_id: "wrong", code: `export default { fetch: () => "text" };` });
    const wrong = await tenant.ingress("wrong");
    expect(await wrong.json()).toMatchObject({
      code: "handler_failed",
      detail: expect.stringContaining("Response"),
    });
    await tenant.deploy({ service_id: "mute", code: `export default { calls: { a: () => 1 } };` });
    const mute = await tenant.ingress("mute");
    expect([mute.status, ((await mute.json()) as Body)["code"]]).toEqual([
      404,
      "handler_not_found",
    ]);
  });

  test("strangers reach only what is deployed with ingress: public", async () => {
    await tenant.deploy({
      service_id: "open",
      ingress: "public",
      code: `export default { fetch: () => new Response("welcome") };`,
    });
    const stranger = (service: string) => fetch(`${kernel.http}/s/web/${service}/`);
    expect(await (await stranger("open")).text()).toBe("welcome");
    for (const service of ["bare", "no-such-service"]) {
      const answer = await stranger(service);
      expect([answer.status, ((await answer.json()) as Body)["code"]]).toEqual([
        401,
        "unauthenticated",
      ]);
    }
  });
});

describe("streams", () => {
  const tenant = kernel.tenant("streams");

  test("an upload is read before it ends, and the answer may begin before it does", async () => {
    await tenant.deploy({
      service_id: "upper",
      code: `export default { fetch(request) {
        const body = request.body.pipeThrough(new TextDecoderStream()).pipeThrough(new TransformStream({
          transform: (chunk, controller) => controller.enqueue(chunk.toUpperCase()),
        })).pipeThrough(new TextEncoderStream());
        return new Response(body);
      } };`,
    });
    const { request, response } = upload(tenant, "upper");
    request.write("one ");
    const message = await response;
    message.setEncoding("utf8");
    const chunks = message[Symbol.asyncIterator]() as AsyncIterator<string>;
    expect((await chunks.next()).value).toBe("ONE ");
    request.write("two");
    expect((await chunks.next()).value).toBe("TWO");
    request.end();
    expect((await chunks.next()).done).toBe(true);
  });

  /** A response that a call to the service feeds, ends or breaks. */
  const FED = `let controller;
    const encoder = new TextEncoder();
    export default {
      fetch: () => new Response(new ReadableStream({ start(made) { controller = made; } }), { headers: { "content-type": "text/event-stream" } }),
      calls: {
        feed: (_solo, text) => { controller.enqueue(encoder.encode(text)); },
        end: () => { controller.close(); },
        break: () => { controller.error(new Error("gone")); },
      },
    };`;

  test("server-sent events arrive one by one while the response stays open", async () => {
    await tenant.deploy({ service_id: "sse", code: FED });
    const response = await tenant.ingress("sse");
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const chunks = response.body!.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
    for (const event of ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"]) {
      await tenant.call("sse", "feed", event);
      expect((await chunks.next()).value).toBe(event);
    }
    await tenant.call("sse", "end");
    expect((await chunks.next()).done).toBe(true);
  });

  test("5 MB pass intact in both directions at once", async () => {
    await tenant.deploy({
      service_id: "pipe",
      code: `export default { fetch: (request) => new Response(request.body) };`,
    });
    const bytes = randomBytes(5 * MIB);
    const response = await tenant.ingress("pipe", "/", { method: "POST", body: bytes });
    const echoed = new Uint8Array(await response.arrayBuffer());
    expect(echoed.length).toBe(bytes.length);
    expect(sha(echoed)).toBe(sha(bytes));
  });

  test("5 MB are taken whole by arrayBuffer, and made whole by the service", async () => {
    await tenant.deploy({
      service_id: "sum",
      code: `export default { async fetch(request) {
        if (request.method === "GET") return new Response(new Uint8Array(5 * 1024 * 1024).fill(7));
        const digest = await crypto.subtle.digest("SHA-256", await request.arrayBuffer());
        return new Response(new Uint8Array(digest).toHex());
      } };`,
    });
    const bytes = randomBytes(5 * MIB);
    const digest = await tenant.ingress("sum", "/", { method: "POST", body: bytes });
    expect(await digest.text()).toBe(sha(bytes));
    const made = new Uint8Array(await (await tenant.ingress("sum")).arrayBuffer());
    expect(sha(made)).toBe(sha(new Uint8Array(5 * MIB).fill(7)));
  });

  test("a client that goes while the handler runs aborts request.signal and solo.signal", async () => {
    await tenant.deploy({
      service_id: "patient",
      code: `export default { concurrent: true, init: () => ({ begun: 0, aborted: [] }),
        async fetch(request, solo) {
          solo.state.begun += 1;
          request.signal.addEventListener("abort", () => solo.state.aborted.push("request"));
          solo.signal.addEventListener("abort", () => solo.state.aborted.push("solo"));
          await new Promise((resolve) => solo.signal.addEventListener("abort", resolve));
          return new Response("late");
        },
        calls: { look: (solo) => solo.state },
      };`,
    });
    const { request } = upload(tenant, "patient");
    request.end();
    await until(
      async () => (await tenant.call("patient", "look")).begun === 1,
      "the request to begin",
    );
    request.destroy();
    await until(
      async () => (await tenant.call("patient", "look")).aborted.length === 2,
      "both signals",
    );
    expect((await tenant.call("patient", "look")).aborted.toSorted()).toEqual(["request", "solo"]);
  });

  test("a client that goes in mid-stream cancels the response's body and aborts its signal", async () => {
    await tenant.deploy({
      service_id: "endless",
      code: `const encoder = new TextEncoder();
      export default { init: () => ({ sent: 0, ends: [] }),
        fetch(request, solo) {
          request.signal.addEventListener("abort", () => solo.state.ends.push("signal"));
          return new Response(new ReadableStream({
            async pull(controller) { await solo.sleep(5); solo.state.sent += 1; controller.enqueue(encoder.encode("tick ")); },
            cancel() { solo.state.ends.push("cancel"); },
          }));
        },
        calls: { look: (solo) => solo.state },
      };`,
    });
    const { request, response } = upload(tenant, "endless");
    request.end();
    const message = await response;
    await once(message, "data");
    request.destroy();
    await until(
      async () => (await tenant.call("endless", "look")).ends.length === 2,
      "the end to be noticed",
    );
    const { sent } = await tenant.call("endless", "look");
    await tenant.call("endless", "look");
    expect((await tenant.call("endless", "look")).sent).toBeLessThanOrEqual(sent + 1);
  });

  test("a client that goes in mid-upload breaks the request's body", async () => {
    await tenant.deploy({
      service_id: "reader",
      code: `export default { init: () => ({ got: 0, error: null }),
        async fetch(request, solo) {
          try { for await (const chunk of request.body) solo.state.got += chunk.length; } catch (error) { solo.state.error = error.name; }
          return new Response("done");
        },
        calls: { look: (solo) => solo.state },
        concurrent: true,
      };`,
    });
    const { request } = upload(tenant, "reader");
    request.write("x".repeat(1000));
    await until(async () => (await tenant.call("reader", "look")).got === 1000, "the first part");
    request.destroy();
    await until(
      async () => (await tenant.call("reader", "look")).error !== null,
      "the body to break",
    );
    expect(await tenant.call("reader", "look")).toEqual({ got: 1000, error: "AbortError" });
  });

  test("a body that the service breaks off is never taken for a whole one", async () => {
    await tenant.deploy({ service_id: "breaks", code: FED });
    const response = await tenant.ingress("breaks");
    expect(response.status).toBe(200);
    const text = response.text();
    text.catch(() => {});
    await tenant.call("breaks", "feed", "half");
    await tenant.call("breaks", "break");
    await expect(text).rejects.toThrow();
  });

  test("a slow reader holds the service back instead of filling the kernel", async () => {
    await tenant.deploy({
      service_id: "flood",
      code: `const chunk = new Uint8Array(64 * 1024);
      export default { init: () => ({ sent: 0 }),
        fetch: (_request, solo) => new Response(new ReadableStream({ pull(controller) { solo.state.sent += chunk.length; controller.enqueue(chunk.slice()); } })),
        calls: { sent: (solo) => solo.state.sent },
      };`,
    });
    const { request, response } = upload(tenant, "flood");
    request.end();
    const message = await response;
    message.pause();
    let last = -1;
    await until(async () => {
      const sent = await tenant.call("flood", "sent");
      const stands = sent === last;
      last = sent;
      return stands;
    }, "the service to stand still");
    expect(last).toBeLessThan(16 * MIB);
    request.destroy();
  });
});

describe("between services", () => {
  const tenant = kernel.tenant("between");

  test("a response streams from one service through another, and breaks where it broke", async () => {
    await tenant.deploy({
      service_id: "source",
      code: `export default { fetch(request, solo) {
        const broken = request.url.endsWith("/broken");
        let n = 0;
        return new Response(new ReadableStream({ async pull(controller) {
          await solo.sleep(2);
          if (n === 3) return broken ? controller.error(new Error("broken")) : controller.close();
          controller.enqueue(new TextEncoder().encode(String(n += 1)));
        } }));
      } };`,
    });
    await tenant.deploy({
      service_id: "proxy",
      code: `export default { fetch: (request, solo) => solo.services.fetch("source", request),
        calls: { async read(solo, path) {
          const response = await solo.services.fetch("source", path);
          try { return await response.text(); } catch (error) { return { broken: error.code }; }
        } } };`,
    });
    expect(await (await tenant.ingress("proxy", "/whole")).text()).toBe("123");
    expect(await tenant.call("proxy", "read", "/whole")).toBe("123");
    expect(await tenant.call("proxy", "read", "/broken")).toEqual({ broken: "service_error" });
  });
});

describe("a Hono application, bundled and unmodified", () => {
  test("routes, parameters, middleware, JSON, errors, streams", async () => {
    const tenant = kernel.tenant("hono");
    const bundle = await build({
      stdin: {
        contents: `
          import { Hono } from "hono";
          import { cors } from "hono/cors";
          import { streamText } from "hono/streaming";
          import { HTTPException } from "hono/http-exception";
          const app = new Hono();
          app.use("*", cors());
          app.use("*", async (c, next) => { await next(); c.header("x-took", "some"); });
          app.get("/", (c) => c.text("hello"));
          app.get("/users/:id", (c) => c.json({ id: c.req.param("id"), q: c.req.query("q") ?? null, region: c.env.env.REGION }));
          app.post("/users", async (c) => c.json(await c.req.json(), 201));
          app.post("/form", async (c) => c.json(await c.req.parseBody()));
          app.get("/teapot", () => { throw new HTTPException(418, { message: "short and stout" }); });
          app.get("/stream", (c) => streamText(c, async (stream) => { for (const n of [1, 2, 3]) { await stream.write(n + ";"); await stream.sleep(2); } }));
          export default app;`,
        resolveDir: fileURLToPath(new URL("../..", import.meta.url)),
        loader: "ts",
      },
      bundle: true,
      format: "esm",
      platform: "neutral",
      mainFields: ["module", "main"],
      write: false,
    });
    await tenant.deploy({
      service_id: "app",
      format: "javascript_source",
      code: bundle.outputFiles[0]!.text,
      env: { REGION: "eu" },
    });
    const get = async (path: string, init?: RequestInit) => tenant.ingress("app", path, init);
    const hello = await get("/");
    expect([
      await hello.text(),
      hello.headers.get("x-took"),
      hello.headers.get("access-control-allow-origin"),
    ]).toEqual(["hello", "some", "*"]);
    expect(await (await get("/users/7?q=x")).json()).toEqual({ id: "7", q: "x", region: "eu" });
    const made = await get("/users", {
      method: "POST",
      body: JSON.stringify({ name: "Ada" }),
      headers: { "content-type": "application/json" },
    });
    expect([made.status, await made.json()]).toEqual([201, { name: "Ada" }]);
    const form = await get("/form", {
      method: "POST",
      body: new URLSearchParams({ a: "1", b: "ü" }),
    });
    expect(await form.json()).toEqual({ a: "1", b: "ü" });
    const teapot = await get("/teapot");
    expect([teapot.status, await teapot.text()]).toEqual([418, "short and stout"]);
    expect((await get("/nowhere")).status).toBe(404);
    expect(await (await get("/stream")).text()).toBe("1;2;3;");
    const multipart = new FormData();
    multipart.set("file", new Blob(["content"]), "a.txt");
    multipart.set("name", "x");
    expect(await (await get("/form", { method: "POST", body: multipart })).json()).toMatchObject({
      name: "x",
    });
  });
});
