/**
 * Everything wrong that a client can send. Each is a precise answer with a code and a hint,
 * and leaves nothing: no service, no event but the refusal of a deploy.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { Metadata, status as STATUS } from "@grpc/grpc-js";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { failureFrom, soloErrorOf, stockClient } from "../support/grpc-client.ts";
import { startKernel, until, type Answer, type Body } from "../support/kernel.ts";

const kernel = await startKernel();
const tenant = kernel.tenant("bad");
await tenant.deploy({
  service_id: "good",
  code: `export default { calls: { ok: () => 1 }, fetch: () => new Response("fine") };`,
});
const [host = "", port = ""] = kernel.grpc.split(":");
const grpc = stockClient({ host, port: Number(port) });
const metadata = { authorization: `Bearer ${kernel.token}`, "x-solo-tenant": "bad" };

afterAll(async () => {
  grpc.close();
  await kernel[Symbol.asyncDispose]();
});

const EXPECTED_EVENTS = new Set([
  "capability_granted",
  "capability_revoked",
  "service_started",
  "service_deployed",
  "service_deployment_failed",
]);

afterEach(async () => {
  const services = (await tenant.list()).map(({ service_id }) => service_id as string);
  assert.deepEqual(services, ["good"]);
  assert.equal(await tenant.call("good", "ok"), 1);
  const types = (await tenant.events()).map(({ event_type }) => event_type as string);
  assert.deepEqual(
    types.filter((type) => !EXPECTED_EVENTS.has(type)),
    [],
  );
  assert.equal(types.filter((type) => type === "service_started").length, 1);
});

const code = `export default { calls: { ok: () => 1 } };`;
const deploy = (body: unknown, headers?: Record<string, string>): Promise<Answer> =>
  tenant.request("POST", "/services", body, headers);

/** What every refusal has: problem+json with a code, what happened and what to do. */
function refused(
  { status, headers, body }: Answer,
  expected: { status: number; code: string },
): Body {
  expect(headers.get("content-type")).toContain("application/problem+json");
  expect({ status, code: body.code }).toEqual(expected);
  expect(body).toMatchObject({
    status,
    title: expect.any(String),
    detail: expect.stringMatching(/\S/),
  });
  return body;
}

const fieldsOf = (body: Body): string[] => body["errors"].map(({ field }: Body) => field);

describe("bodies", () => {
  test("that are not JSON are refused with line and column", async () => {
    const body = refused(await deploy('{\n  "service_id": "x",\n  oops\n}'), {
      status: 400,
      code: "invalid_argument",
    });
    expect(body["detail"]).toMatch(/line 3, column 3/);
    for (const text of ["", "[]", "null", "42", '"x"', '{"a":1}{"b":2}'])
      refused(await deploy(text), { status: 400, code: "invalid_argument" });
  });

  test("of another media type, or of none, are refused", async () => {
    refused(await deploy("service_id=x", { "content-type": "application/x-www-form-urlencoded" }), {
      status: 415,
      code: "unsupported_media_type",
    });
    refused(
      await deploy(JSON.stringify({ service_id: "x", code }), { "content-type": "text/plain" }),
      { status: 415, code: "unsupported_media_type" },
    );
  });

  test("that name a field twice are refused: which of the two counts is not guessed", async () => {
    const twice = `{"service_id":"one","service_id":"two","code":${JSON.stringify(code)}}`;
    const body = refused(await deploy(twice), { status: 400, code: "invalid_argument" });
    expect(body.errors).toEqual([{ field: "service_id", message: "is given twice" }]);
    const nested = `{"service_id":"a","limits":{"timers":1,"timers":2},"code":${JSON.stringify(code)}}`;
    expect((await deploy(nested)).body.errors[0].field).toBe("limits.timers");
  });

  test("that are compressed, or in another charset, are refused as such", async () => {
    const input = { service_id: "a", code };
    for (const headers of [
      { "content-encoding": "gzip" },
      { "content-type": "application/json; charset=utf-16le" },
    ] as Record<string, string>[]) {
      refused(await deploy(input, headers), { status: 415, code: "unsupported_media_type" });
    }
    const utf8 = { "content-type": "application/json;charset=UTF-8" };
    expect((await tenant.request("POST", "/validate", input, utf8)).status).toBe(200);
  });

  test("that are too large are refused before they are read", async () => {
    const body = refused(
      await deploy({ service_id: "x", code: `// ${"x".repeat(40 * 1024 * 1024)}` }),
      { status: 413, code: "payload_too_large" },
    );
    expect(body["detail"]).toMatch(/\d/);
  });

  test("with source beyond limits.max_source_bytes say the bound", async () => {
    const body = refused(
      await deploy({ service_id: "x", code: `${code}\n// ${"x".repeat(5 * 1024 * 1024)}` }),
      { status: 413, code: "payload_too_large" },
    );
    expect(body["detail"]).toContain("max_source_bytes");
  });

  test("nested a million deep, or with __proto__ in them, are refused", async () => {
    refused(await deploy(`{"args":${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}}`), {
      status: 413,
      code: "payload_too_large",
    });
    const body = refused(
      await deploy(`{"service_id":"x","code":"1","env":{"__proto__":{"polluted":"1"}}}`),
      { status: 400, code: "invalid_argument" },
    );
    expect(body["detail"]).toContain("__proto__");
  });

  test("that are not UTF-8 are refused", async () => {
    refused(await deploy(new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])), {
      status: 400,
      code: "invalid_argument",
    });
  });

  test("that stop half way leave nothing behind", async () => {
    const socket = connect(Number(new URL(kernel.http).port), "127.0.0.1");
    await once(socket, "connect");
    socket.write(
      `POST /services HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${kernel.token}\r\nX-Solo-Tenant: bad\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"service_id":"half",`,
    );
    socket.destroy();
    await once(socket, "close");
  });
});

describe("fields", () => {
  test("that do not exist are named, all of them, also nested ones", async () => {
    const body = refused(
      await deploy({
        service_id: "x",
        code,
        colour: "red",
        limits: { memory: 1 },
        restart_limits: { max_restart: 1 },
      }),
      { status: 400, code: "invalid_argument" },
    );
    expect(fieldsOf(body).toSorted()).toEqual([
      "colour",
      "limits.memory",
      "restart_limits.max_restart",
    ]);
  });

  test("of the wrong type or out of range are named, all at once, with what was expected", async () => {
    const body = refused(
      await deploy({
        service_id: 7,
        code: ["x"],
        restart: "sometimes",
        limits: { memory_mb: "64", call_timeout_ms: -1, mailbox: 1.5 },
        env: { A: 1 },
        instances: 65,
        persistence: null,
      }),
      { status: 400, code: "invalid_argument" },
    );
    expect(fieldsOf(body).toSorted()).toEqual([
      "code",
      "env.A",
      "instances",
      "limits.call_timeout_ms",
      "limits.mailbox",
      "limits.memory_mb",
      "persistence",
      "restart",
      "service_id",
    ]);
    const messages = Object.fromEntries(
      body["errors"].map(({ field, message }: Body) => [field, message]),
    );
    expect(messages["limits.memory_mb"]).toContain("number");
    expect(messages["restart"]).toContain("permanent");
  });

  test("that contradict each other are refused", async () => {
    const cases: [Body, string][] = [
      [{}, "code"],
      [{ code, files: { "a.ts": code } }, "code"],
      [{ code, entry: "a.ts" }, "entry"],
      [{ code: "   " }, "code"],
      [{ files: {} }, "files"],
      [{ files: { "a.ts": code }, entry: "b.ts" }, "entry"],
      [{ files: { "a.ts": code, "b.ts": code } }, "entry"],
      [{ files: { "../a.ts": code } }, "files.../a.ts"],
      [{ files: { "/etc/a.ts": code } }, "files./etc/a.ts"],
      [{ files: { "index.exe": code } }, "files.index.exe"],
      [{ code, env: { "NOT A NAME": "x" } }, "env.NOT A NAME"],
    ];
    for (const [input, field] of cases) {
      const body = refused(await deploy({ service_id: "x", ...input }), {
        status: 400,
        code: "invalid_argument",
      });
      expect(fieldsOf(body)).toContain(field);
      expect(body["hint"]).toEqual(expect.any(String));
    }
  });

  test("in a query are checked like those in a body", async () => {
    const body = refused(await tenant.request("GET", "/services?limit=many&colour=red"), {
      status: 400,
      code: "invalid_argument",
    });
    expect(fieldsOf(body).toSorted()).toEqual(["colour", "limit"]);
    refused(await tenant.request("GET", "/events?since_id=-1"), {
      status: 400,
      code: "invalid_argument",
    });
  });
});

describe("ids", () => {
  const absurd: Record<string, string> = {
    empty: "",
    "ten thousand characters": "a".repeat(10_000),
    "a path": "../etc/passwd",
    dots: "..",
    "a slash": "a/b",
    "control characters": "a\u0000\u001bb",
    "a newline": "a\nb",
    "a prototype's name": "__proto__",
    spaces: "a b",
    markup: "<script>",
    "other letters": "ünï",
  };
  for (const [what, service_id] of Object.entries(absurd)) {
    test(`that are absurd (${what}) are refused with the rule for names`, async () => {
      const body = refused(await deploy({ service_id, code }), {
        status: 400,
        code: "invalid_argument",
      });
      expect(fieldsOf(body)).toEqual(["service_id"]);
      expect(body["detail"].length).toBeLessThan(1000);
      expect(body["errors"][0].message).toMatch(/letters|characters/);
      const named = refused(
        await kernel.request("POST", "/services", { service_id: "x", code, tenant_id: service_id }),
        { status: 400, code: "invalid_argument" },
      );
      expect(fieldsOf(named)).toEqual(["tenant_id"]);
      const error = await failureFrom(grpc.unary("Deploy", { service_id, code }, { metadata }));
      expect(soloErrorOf(error)).toMatchObject({
        code: "invalid_argument",
        fields: [{ field: "service_id" }],
      });
    });
  }

  test("in a path are refused or not found, never resolved", async () => {
    for (const path of [
      "/services/..%2f..%2fetc",
      "/services/%00",
      `/services/${"a".repeat(5000)}`,
      "/services/__proto__",
      "/services/constructor",
    ]) {
      const { status, body } = await tenant.request("GET", path);
      expect([400, 404]).toContain(status);
      expect(["invalid_argument", "not_found", "service_not_found"]).toContain(body.code);
    }
    expect((await tenant.request("GET", "/services/%zz")).status).toBe(400);
  });
});

describe("source", () => {
  const failed = async (input: Body, expected: { status: number; code: string }) => {
    const told = () =>
      tenant.events({ service_id: "broken", event_type: "service_deployment_failed" });
    const before = (await told()).length;
    const body = refused(await deploy({ service_id: "broken", ...input }), expected);
    const events = await until(async () => {
      const all = await told();
      return all.length > before ? all : undefined;
    }, "the refusal's event");
    expect(events.at(-1)).toMatchObject({ subject: "broken", payload: { code: expected.code } });
    expect((await tenant.request("GET", "/services/broken")).status).toBe(404);
    return body;
  };

  test("that does not parse: file, line, column, excerpt, explanation", async () => {
    const body = await failed(
      { code: "export default {\n  calls: {\n    a( { return 1 },\n  },\n};\n" },
      { status: 422, code: "compile_failed" },
    );
    const [finding] = body["diagnostics"];
    expect(finding).toMatchObject({
      severity: "error",
      file: "index.ts",
      line: 3,
      column: expect.any(Number),
      message: expect.any(String),
      explanation: expect.stringMatching(/\w+/),
    });
    expect(finding.excerpt).toContain("a( { return 1 },");
    expect(body["detail"]).toMatch(/^index\.ts:3:\d+: /);
  });

  test("that imports what is not there: the place and what there is", async () => {
    const local = await failed(
      {
        files: {
          "main.ts": `import { a } from "./missing.ts";\nexport default { calls: { a } };`,
          "other.ts": "export const a = 1;",
        },
      },
      { status: 422, code: "compile_failed" },
    );
    expect(local["diagnostics"][0]).toMatchObject({
      file: "main.ts",
      line: 1,
      message: expect.stringContaining("./missing.ts"),
    });
    const npm = await failed(
      { code: `import _ from "lodash";\nexport default { calls: { a: () => _ } };` },
      { status: 422, code: "compile_failed" },
    );
    expect(npm["diagnostics"][0]).toMatchObject({
      line: 1,
      explanation: expect.stringMatching(/bundle/i),
    });
    const builtin = await failed(
      { code: `import fs from "node:fs";\nexport default { calls: { a: () => fs } };` },
      { status: 422, code: "compile_failed" },
    );
    expect(builtin["diagnostics"][0].message).toContain("node:fs");
    const name = await failed(
      {
        files: {
          "main.ts": `import { b } from "./other.ts";\nexport default { calls: { b } };`,
          "other.ts": "export const a = 1;",
        },
      },
      { status: 422, code: "startup_failed" },
    );
    expect(name["detail"]).toMatch(/\bb\b/);
  });

  test("that imports while it runs: refused before anything does, and validate says the same", async () => {
    const source = `export default { calls: { a: async () => import("node:fs") } };`;
    const input = { service_id: "a", code: source };
    const { diagnostics } = refused(await deploy(input), { status: 422, code: "compile_failed" });
    const finding = { code: "dynamic_import", severity: "error", line: 1 };
    expect(diagnostics).toEqual([expect.objectContaining(finding)]);
    const { body } = await tenant.request("POST", "/validate", input);
    expect(body).toMatchObject({ ok: false, findings: [finding] });
  });

  test("without a default export: the place for it", async () => {
    const body = await failed(
      { code: "export const a = 1;" },
      { status: 422, code: "compile_failed" },
    );
    expect(body["diagnostics"][0]).toMatchObject({
      file: "index.ts",
      line: 1,
      message: expect.stringContaining("default export"),
    });
  });

  const notServices: Record<string, string> = {
    "a default export that is a number": "export default 42;",
    "a default export that is null": "export default null;",
    "an object with nothing to run": "export default { hello: 1 };",
    "handlers that are no functions": "export default { calls: { a: 1 } };",
  };
  for (const [what, source] of Object.entries(notServices)) {
    test(`with ${what}: what to export instead`, async () => {
      const body = await failed({ code: source }, { status: 422, code: "startup_failed" });
      expect(body["detail"]).toMatch(/default export|must be a function/);
      expect(body["hint"]).toEqual(expect.any(String));
    });
  }

  test("that throws at load or in init: the exception with its stack in the author's lines", async () => {
    const load = await failed(
      {
        code: `type T = string;\nconst settings: Record<string, T> = {};\nconst n = settings.missing.length;\nexport default { calls: { n: () => n } };`,
      },
      { status: 422, code: "startup_failed" },
    );
    expect(load["detail"]).toContain("TypeError");
    expect(load["stack"]).toMatch(/index\.ts:3:\d+/);
    const init = await failed(
      {
        code: `export default {\n  init() { throw new RangeError("no such port"); },\n  calls: {},\n};`,
      },
      { status: 422, code: "startup_failed" },
    );
    expect(init["detail"]).toContain("RangeError: no such port");
    expect(init["stack"]).toMatch(/index\.ts:2:\d+/);
    const later = await failed(
      {
        code: `export default {\n  async init(solo) { await solo.sleep(1); throw new Error("later"); },\n  calls: {},\n};`,
      },
      { status: 422, code: "startup_failed" },
    );
    expect(later["detail"]).toContain("later");
  });

  const endless: Record<string, string> = {
    "a top-level await that never settles": `await new Promise(() => {});\n${code}`,
    "an endless loop at load": `for (;;) {}\n${code}`,
    "an init that never settles":
      "export default { init: () => new Promise(() => {}), calls: {} };",
    "an init that loops": "export default { init() { for (;;); }, calls: {} };",
  };
  for (const [what, source] of Object.entries(endless)) {
    test(`with ${what}: startup_timeout, and the cell is free again`, async () => {
      const body = await failed(
        { code: source, restart_limits: { startup_timeout_ms: 150 } },
        { status: 422, code: "startup_timeout" },
      );
      expect(body["detail"]).toContain("150 ms");
      expect(body["hint"]).toMatch(/startup_timeout_ms/);
    });
  }

  test("that takes more memory than it may at load", async () => {
    const body = await failed(
      {
        code: `const all = []; for (;;) all.push(new Array(10_000).fill(0));\n${code}`,
        limits: { memory_mb: 16 },
      },
      { status: 422, code: "startup_failed" },
    );
    expect(body["detail"]).toContain("memory");
  });

  test("that breaks compilers: two hundred thousand parentheses", async () => {
    const body = await failed(
      {
        code: `export default { calls: { a: () => ${"(".repeat(200_000)}1${")".repeat(200_000)} } };`,
      },
      { status: 422, code: "compile_failed" },
    );
    expect(body["hint"]).toEqual(expect.any(String));
  });

  test("is checked by validate in the same way, which starts nothing and records nothing", async () => {
    const before = (await tenant.events()).length;
    const bad = await tenant.request("POST", "/validate", {
      service_id: "v",
      code: "export default {",
    });
    expect({ status: bad.status, detail: bad.body.detail }).toEqual({ status: 200 });
    expect(bad.body).toMatchObject({ ok: false, findings: [{ severity: "error", line: 1 }] });
    const good = await tenant.request("POST", "/validate", { service_id: "v", code });
    expect(good.body).toMatchObject({
      ok: true,
      revision: expect.stringMatching(/^r_/),
      findings: [],
      problems: [],
    });
    expect((await tenant.events()).length).toBe(before);
  });
});

describe("names that are not there", () => {
  test("of services and handlers: 404, and which there are", async () => {
    const service = refused(await tenant.ask("nobody", "ok"), {
      status: 404,
      code: "service_not_found",
    });
    expect(service["hint"]).toContain("good");
    const call = refused(await tenant.ask("good", "okk"), {
      status: 404,
      code: "handler_not_found",
    });
    expect(call["hint"]).toContain("ok");
    for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty"]) {
      refused(await tenant.ask("good", name), { status: 404, code: "handler_not_found" });
    }
    refused(await tenant.request("POST", "/services/good/casts/ok", {}), {
      status: 404,
      code: "handler_not_found",
    });
    for (const [method, path] of [
      ["GET", "/services/nobody"],
      ["DELETE", "/services/nobody"],
      ["POST", "/services/nobody/restart"],
      ["GET", "/services/nobody/logs"],
      ["PUT", "/services/nobody"],
    ] as const) {
      refused(await tenant.request(method, path, method === "PUT" ? { code } : undefined), {
        status: 404,
        code: "service_not_found",
      });
    }
  });

  test("of routes and methods: what there is instead", async () => {
    const route = refused(await tenant.request("GET", "/service"), {
      status: 404,
      code: "not_found",
    });
    expect(route["hint"]).toContain("GET /services");
    const method = await tenant.request("PATCH", "/services/good", {});
    refused(method, { status: 405, code: "method_not_allowed" });
    expect(method.headers.get("allow")).toContain("GET");
  });
});

describe("protobuf", () => {
  const raw = (method: string, bytes: Buffer) => {
    const sent = new Metadata();
    for (const [key, value] of Object.entries(metadata)) sent.set(key, value);
    const identity = (each: Buffer) => each;
    return failureFrom(
      new Promise((resolve, reject) => {
        grpc.raw.makeUnaryRequest(
          `/solo.v1.Solo/${method}`,
          identity,
          identity,
          bytes,
          sent,
          (failure, answer) => (failure === null ? resolve(answer) : reject(failure)),
        );
      }),
    );
  };

  test("bytes that are no message are INVALID_ARGUMENT", async () => {
    const error = await raw("Deploy", Buffer.from([0xff, 0xff, 0xff, 0xff, 0x01]));
    expect(error.code).toBe(STATUS.INVALID_ARGUMENT);
    expect(soloErrorOf(error).code).toBe("invalid_argument");
  });

  test("fields that the message does not have are refused by their number", async () => {
    // Field 999, a varint.
    const error = await raw("List", Buffer.from([0xb8, 0x3e, 0x01]));
    expect(soloErrorOf(error)).toMatchObject({
      code: "invalid_argument",
      detail: expect.stringContaining("999"),
    });
  });

  test("an unknown method is UNIMPLEMENTED", async () => {
    expect((await raw("Fly", Buffer.alloc(0))).code).toBe(STATUS.UNIMPLEMENTED);
  });
});

describe("clients that go away", () => {
  test("in the middle of an event stream, a log stream and a response leave nothing", async () => {
    const open = (path: string, headers: Record<string, string> = {}) =>
      new Promise<void>((resolve, reject) => {
        const request = httpRequest(
          kernel.http + path,
          { headers: { ...tenant.headers, ...headers } },
          (response) => {
            response.on("error", () => {});
            response.destroy();
            resolve();
          },
        );
        request.on("error", reject).end();
      });
    for (let round = 0; round < 20; round += 1) {
      await open("/events?since_id=0", { accept: "text/event-stream" });
      await open("/services/good/logs?follow=true");
      await open("/s/bad/good/");
    }
  });
});
