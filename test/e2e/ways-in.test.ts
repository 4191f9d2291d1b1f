/** REST, gRPC and the command line: the same operations, the same answers, the same errors. */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { ERRORS, isErrorCode, SoloError, type ErrorCode } from "#base/errors.ts";
import { soloErrorOf, stockClient } from "../support/grpc-client.ts";
import { startKernel, type Body } from "../support/kernel.ts";
import { fromProtoValue, toProtoValue } from "../support/proto-value.ts";
import { runCli } from "../support/run-cli.ts";
import { solo } from "../support/solo.ts";
import type { ServiceError } from "@grpc/grpc-js";

const kernel = await startKernel();
const [host = "", port = ""] = kernel.grpc.split(":");
const grpc = stockClient({ host, port: Number(port) });
afterAll(async () => {
  grpc.close();
  await kernel[Symbol.asyncDispose]();
});

/** What became of an operation: its answer, or the code and that code's own form on this way. */
type Outcome = { readonly answer: Body } | { readonly code: ErrorCode; readonly form: number };
type Way = (operation: string, input: Body, tenant: string) => Promise<Outcome>;

const rest: Way = async (operation, input, tenant) => {
  const { service_id: id, name, ...more } = input;
  const routes: Record<string, readonly [string, string, unknown?]> = {
    Deploy: ["POST", "/services", input],
    Update: ["PUT", `/services/${id}`, more],
    Validate: ["POST", "/validate", input],
    Status: ["GET", `/services/${id}`],
    List: ["GET", "/services"],
    Call: ["POST", `/services/${id}/calls/${name}`, more],
    Cast: ["POST", `/services/${id}/casts/${name}`, more],
    Restart: ["POST", `/services/${id}/restart`],
    Kill: ["DELETE", `/services/${id}`],
  };
  const [method, path, body] = routes[operation]!;
  const { status, body: answer } = await kernel.tenant(tenant).request(method, path, body);
  return status < 400 ? { answer } : { code: answer.code, form: status };
};

const viaGrpc: Way = async (operation, input, tenant) => {
  const { args, ...more } = input;
  const request = { ...more, ...(args !== undefined && { args: args.map(toProtoValue) }) };
  const metadata = { authorization: `Bearer ${kernel.token}`, "x-solo-tenant": tenant };
  try {
    const answer: Body = await grpc.unary(operation, request, { metadata });
    return { answer: "reply" in answer ? { reply: fromProtoValue(answer["reply"]) } : answer };
  } catch (thrown) {
    const error = thrown as ServiceError;
    return { code: soloErrorOf(error).code, form: error.code };
  }
};

const cli: Way = async (operation, input, tenant) => {
  const { service_id: id, name, args = [], timeout_ms } = input;
  const spec = join(kernel.dataDir, `spec-${randomUUID()}.json`);
  writeFileSync(spec, JSON.stringify(input));
  const words: Record<string, readonly string[]> = {
    Deploy: ["deploy", "--spec", spec],
    Update: ["update", "--spec", spec],
    Validate: ["validate", "--spec", spec],
    Status: ["status", id],
    List: ["list"],
    Call: [
      "call",
      id,
      name,
      "--args-json",
      JSON.stringify(args),
      ...(timeout_ms === undefined ? [] : ["--timeout-ms", String(timeout_ms)]),
    ],
    Cast: ["cast", id, name, "--args-json", JSON.stringify(args)],
    Restart: ["restart", id],
    Kill: ["kill", id],
  };
  const result = await runCli([...words[operation]!, "--json", "--tenant", tenant], {
    dataDir: kernel.dataDir,
  });
  if (result.stdout !== "") return { answer: JSON.parse(result.stdout) as Body };
  const error = JSON.parse(result.stderr) as Body;
  return { code: error["code"], form: result.code! };
};

const WAYS: Readonly<Record<string, readonly [Way, "http" | "grpc" | "exit"]>> = {
  REST: [rest, "http"],
  gRPC: [viaGrpc, "grpc"],
  CLI: [cli, "exit"],
};

const SOURCE = `
  import { ServiceError } from "solo";
  export default { init: () => ({ n: 0 }), calls: {
    add: (solo, by) => (solo.state.n += by),
    refuse() { throw new ServiceError("closed", "We are closed."); },
    crash() { throw new Error("boom"); },
    slow: (solo) => solo.sleep(1000),
    shape: (_solo, ...args) => args,
  }, casts: { note() {} } };`;

describe("the same story is told on every way in", () => {
  test.each(Object.entries(WAYS))("%s", async (name, [way, form]) => {
    const tenant = `story-${name.toLowerCase()}`;
    const ok = async (operation: string, input: Body = {}) => {
      const outcome = await way(operation, input, tenant);
      if ("answer" in outcome) return outcome.answer;
      throw new Error(`${operation} was refused with ${outcome.code}`);
    };
    const refused = async (code: ErrorCode, operation: string, input: Body) => {
      const outcome = await way(operation, input, tenant);
      expect({ operation, outcome }).toEqual({
        operation,
        outcome: { code, form: ERRORS[code][form] },
      });
    };

    const deployed = await ok("Deploy", { service_id: "a", code: SOURCE });
    expect(deployed).toMatchObject({
      tenant_id: tenant,
      service_id: "a",
      state: expect.stringMatching(/running/i),
    });
    expect(await ok("Call", { service_id: "a", name: "add", args: [5] })).toEqual({ reply: 5 });
    const shapes = [null, true, 1.5, "ü", [1, [2]], { a: { b: null } }];
    expect(await ok("Call", { service_id: "a", name: "shape", args: shapes })).toEqual({
      reply: shapes,
    });
    expect(await ok("Cast", { service_id: "a", name: "note", args: [] })).toEqual({
      accepted: true,
    });
    expect(await ok("Status", { service_id: "a" })).toMatchObject({
      revision: deployed["revision"],
      instance_id: deployed["instance_id"],
    });
    expect((await ok("List"))["services"]).toHaveLength(1);
    expect(await ok("Validate", { service_id: "b", code: SOURCE })).toMatchObject({
      ok: true,
      revision: deployed["revision"],
    });
    expect((await ok("Restart", { service_id: "a" }))["instance_id"]).not.toBe(
      deployed["instance_id"],
    );

    await Promise.all([
      refused("already_exists", "Deploy", { service_id: "a", code: SOURCE }),
      refused("compile_failed", "Deploy", { service_id: "b", code: "export default {" }),
      refused("startup_failed", "Deploy", { service_id: "c", code: "export default 1;" }),
      refused("startup_timeout", "Deploy", {
        service_id: "d",
        code: "await new Promise(() => {}); export default { init() {} };",
        restart_limits: { startup_timeout_ms: 100 },
      }),
      refused("invalid_argument", "Deploy", { service_id: "../x", code: SOURCE }),
      refused("service_not_found", "Status", { service_id: "nobody" }),
      refused("service_not_found", "Kill", { service_id: "nobody" }),
      refused("handler_not_found", "Call", { service_id: "a", name: "nothing", args: [] }),
      refused("handler_not_found", "Cast", { service_id: "a", name: "nothing", args: [] }),
      refused("service_error", "Call", { service_id: "a", name: "refuse", args: [] }),
      refused("deadline_exceeded", "Call", {
        service_id: "a",
        name: "slow",
        args: [],
        timeout_ms: 50,
      }),
    ]);
    await refused("service_crashed", "Call", { service_id: "a", name: "crash", args: [] });
    expect(await ok("Kill", { service_id: "a" })).toMatchObject({ service_id: "a" });
    expect((await ok("List"))["services"] ?? []).toHaveLength(0);
  });
});

describe("identity", () => {
  test("no token and a wrong token are turned away on every way in, before anything is looked at", async () => {
    for (const authorization of [
      undefined,
      "Bearer wrong",
      `Bearer ${kernel.token}x`,
      `Basic ${kernel.token}`,
    ]) {
      const response = await fetch(`${kernel.http}/services/x`, {
        headers: authorization === undefined ? {} : { authorization },
      });
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toContain("Bearer");
      expect(await response.json()).toMatchObject({
        code: "unauthenticated",
        hint: expect.stringContaining("solo token"),
      });
      const metadata = authorization === undefined ? {} : { authorization };
      const error = await grpc.unary("List", {}, { metadata }).then(
        () => undefined,
        (thrown: ServiceError) => thrown,
      );
      expect(error!.code).toBe(ERRORS.unauthenticated.grpc);
    }
    const wrong = await solo(["list"], { dataDir: kernel.dataDir, env: { SOLO_TOKEN: "wrong" } });
    expect([wrong.code, wrong.stdout]).toEqual([ERRORS.unauthenticated.exit, ""]);
    expect(wrong.stderr).toContain("error[unauthenticated]");
  });

  test("a stranger learns nothing of /health but that it serves, and nothing of /metrics", async () => {
    const health = await fetch(`${kernel.http}/health`);
    expect([health.status, await health.json()]).toEqual([200, { status: "ok" }]);
    const known = await kernel.request("GET", "/health");
    expect(known.body).toMatchObject({
      status: "ok",
      version: expect.any(String),
      uptime_ms: expect.any(Number),
      memory_mb: expect.any(Number),
      process_count: expect.any(Number),
    });
    expect((await fetch(`${kernel.http}/metrics`)).status).toBe(401);
  });

  test("a web page cannot reach the kernel: foreign hosts and origins are refused", async () => {
    for (const headers of [{ origin: "https://evil.example" }, { host: "evil.example" }]) {
      const { default: http } = await import("node:http");
      const status = await new Promise((resolve, reject) => {
        const url = new URL(`${kernel.http}/services`);
        const request = http.request(
          {
            host: url.hostname,
            port: url.port,
            path: url.pathname,
            headers: { ...kernel.headers, ...headers },
          },
          (response) => {
            response.resume();
            resolve(response.statusCode);
          },
        );
        request.on("error", reject).end();
      });
      expect(status).toBe(403);
    }
  });

  test("the tenant is named by header, by field, or is default; naming two is refused", async () => {
    const code = `export default { calls: { who: (solo) => solo.tenant } };`;
    await kernel.deploy({ service_id: "who", code });
    await kernel.deploy({ service_id: "who", code, tenant_id: "named" });
    await kernel.tenant("headed").deploy({ service_id: "who", code });
    expect(await kernel.call("who", "who")).toBe("default");
    expect(await kernel.tenant("named").call("who", "who")).toBe("named");
    expect(await kernel.tenant("headed").call("who", "who")).toBe("headed");
    expect((await kernel.request("GET", "/services/who?tenant_id=named")).body).toMatchObject({
      tenant_id: "named",
    });
    const both = await kernel.tenant("headed").request("GET", "/services/who?tenant_id=named");
    expect(both.body).toMatchObject({ code: "invalid_argument", errors: [{ field: "tenant_id" }] });
  });

  test("the token's file is its owner's alone, and solo token prints it", async () => {
    const { statSync } = await import("node:fs");
    expect(statSync(`${kernel.dataDir}/owner-token`).mode & 0o777).toBe(0o600);
    const { code, stdout } = await solo(["token"], { dataDir: kernel.dataDir });
    expect([code, stdout.trim()]).toEqual([0, kernel.token]);
  });
});

describe("what describes itself", () => {
  test("OpenAPI names every route that exists, and the docs page is there", async () => {
    const { body } = await kernel.request("GET", "/openapi.json");
    expect(body.openapi).toMatch(/^3\.1/);
    const routes = Object.entries(body.paths as Body).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    for (const route of [
      "POST /services",
      "GET /services/{service_id}",
      "DELETE /services/{service_id}",
      "POST /services/{service_id}/calls/{name}",
      "GET /events",
    ]) {
      expect(routes).toContain(route);
    }
    const deploy = body.paths["/services"].post;
    expect(Object.keys(deploy.responses)).toEqual(expect.arrayContaining(["201", "409", "422"]));
    const docs = await kernel.fetch("/docs");
    expect([docs.status, docs.headers.get("content-type")]).toEqual([
      200,
      expect.stringContaining("text/html"),
    ]);
  });

  test("gRPC health and reflection serve a stock client that knows nothing of Solo", async () => {
    const buf = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));
    const curl = async (method: string, data: object) => {
      const headers = [
        "-H",
        `authorization: Bearer ${kernel.token}`,
        "-H",
        "x-solo-tenant: reflected",
      ];
      const args = [
        "curl",
        "--protocol",
        "grpc",
        "--http2-prior-knowledge",
        ...headers,
        "-d",
        JSON.stringify(data),
        `http://${kernel.grpc}/${method}`,
      ];
      const { stdout } = await promisify(execFile)(buf, args);
      return JSON.parse(stdout) as Body;
    };
    expect(await curl("grpc.health.v1.Health/Check", {})).toEqual({ status: "SERVING" });
    await kernel.tenant("reflected").deploy({ service_id: "r", code: SOURCE });
    expect(
      await curl("solo.v1.Solo/Call", { serviceId: "r", name: "shape", args: [{ a: [1, "x"] }] }),
    ).toEqual({ reply: [{ a: [1, "x"] }] });
  });

  test("metrics count what happened, on both addresses, as Prometheus text or JSON", async () => {
    for (const base of [kernel.metrics, kernel.http]) {
      const response = await fetch(`${base}/metrics`, { headers: kernel.headers });
      const text = await response.text();
      expect(response.headers.get("content-type")).toContain("text/plain");
      expect(Number(/^solo_deployment_count (\d+)$/m.exec(text)?.[1])).toBeGreaterThan(0);
      expect(text).toMatch(/^solo_active_services\b.* [1-9]/m);
      expect(text).toMatch(/^solo_request_duration_ms_bucket\{.*operation="Call"/m);
    }
    const summary = await kernel.request("GET", "/metrics", undefined, {
      accept: "application/json",
    });
    expect(summary.headers.get("content-type")).toContain("application/json");
  });

  test("every refusal's type leads to a page that explains its code", async () => {
    const { body } = await kernel.request("GET", "/services/nobody");
    expect(body.type).toBe("/docs/errors#service_not_found");
    const page = await kernel.fetch("/docs/errors");
    expect(page.status).toBe(200);
    const text = await page.text();
    for (const code of Object.keys(ERRORS).filter(isErrorCode)) expect(text).toContain(code);
  });

  test("the typed client speaks the same codes", async () => {
    const error = await kernel.client
      .status({ service_id: "nobody" })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SoloError);
    expect((error as SoloError).code).toBe("service_not_found");
  });
});
