/** Capabilities through real clients: REST, gRPC and the command line, over restarts. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ServiceError } from "@grpc/grpc-js";
import { afterAll, describe, expect, test } from "vitest";
import { failureFrom, soloErrorOf, stockClient } from "../support/grpc-client.ts";
import { startKernel, TestTenant, until, type Body } from "../support/kernel.ts";
import { runCli } from "../support/run-cli.ts";
import { solo } from "../support/solo.ts";

const kernel = await startKernel();
afterAll(() => kernel[Symbol.asyncDispose]());

/** Every token that this file was told. */
const tokens: string[] = [];
const as = (token: string, name?: string): TestTenant =>
  new TestTenant({ http: () => kernel.http, token: () => token, name });

interface Made {
  readonly id: string;
  readonly token: string;
  readonly tenant: TestTenant;
}

async function make(path: string, input: Body, by: TestTenant = kernel): Promise<Made> {
  const { status, body } = await by.request("POST", path, input);
  expect(status, JSON.stringify(body)).toBe(201);
  tokens.push(body.token);
  return { id: body.capability.id, token: body.token, tenant: as(body.token) };
}
const grant = (input: Body, by?: TestTenant): Promise<Made> => make("/capabilities", input, by);

const grpcTo = async <T>(act: (grpc: ReturnType<typeof stockClient>) => Promise<T>): Promise<T> => {
  const [host = "", port] = kernel.grpc.split(":");
  const grpc = stockClient({ host, port: Number(port) });
  try {
    return await act(grpc);
  } finally {
    grpc.close();
  }
};
const bearer = (token: string) => ({ metadata: { authorization: `Bearer ${token}` } });

const LEDGER = `export default { init: () => ({ paid: 0 }), calls: {
  pay: (solo, invoice, amount) => (solo.state.paid += amount),
  balance: (solo) => solo.state.paid,
}, async fetch() {
  const chunks = new ReadableStream({ async pull(to) {
    to.enqueue(new TextEncoder().encode("tick "));
    await new Promise((resolve) => setTimeout(resolve, 20));
  } });
  return new Response(chunks);
} };`;
const SHOP = `export default { calls: {
  async ask(solo, target, name, ...args) {
    try { return await solo.services.call(target, name, ...args); }
    catch (error) { return { code: error.code, hint: error.hint, message: error.message }; }
  },
} };`;
await kernel.deploy({ service_id: "ledger", code: LEDGER, persistence: "durable" });

const ATTENUATED = {
  permissions: ["invoke"],
  resources: ["service:ledger"],
  calls: [
    { handler: "calls.balance" },
    {
      handler: "calls.pay",
      max_args: 2,
      args: [
        { index: 0, prefix: "invoice-" },
        { index: 1, min: 1, max: 100 },
      ],
    },
  ],
};

describe("an attenuated token", () => {
  test("does what it says over REST and gRPC, and its denial teaches the same everywhere", async () => {
    const wide = await grant({ permissions: ["invoke", "read"], resources: ["service:ledger"] });
    const { id, token, tenant } = await make(
      "/capabilities/self/attenuate",
      { ...ATTENUATED, label: "pays invoices" },
      wide.tenant,
    );
    const before = await tenant.call("ledger", "balance");
    expect(await tenant.call("ledger", "pay", "invoice-1", 10)).toBe(before + 10);

    const rest = await tenant.ask("ledger", "pay", ["invoice-2", 101]);
    expect(rest.status).toBe(403);
    const denial = {
      permission: "invoke",
      resource: "service:ledger",
      why: "narrowed",
      link: { id, level: 2, label: "pays invoices" },
      grantable_by: [wide.id, "owner"],
    };
    expect(rest.body).toMatchObject({ code: "permission_denied", denial });
    expect(rest.body.denial.call.constraint).toMatchObject({ index: 1, max: 100 });
    expect(rest.body.detail).toContain("argument 1 a number from 1 to 100");

    const status = await tenant.request("GET", "/services/ledger");
    expect(status.body.denial).toMatchObject({ permission: "read", link: { id } });

    await grpcTo(async (grpc) => {
      const request = { service_id: "ledger", name: "balance" };
      expect(await grpc.unary("Call", request, bearer(token))).toMatchObject({ reply: {} });
      const wrong = { service_id: "ledger", name: "steal" };
      const error = await failureFrom(grpc.unary("Call", wrong, bearer(token)));
      expect(soloErrorOf(error)).toMatchObject({ code: "permission_denied", denial });
      const details = Buffer.from(error.metadata.get("grpc-status-details-bin")[0]!).toString();
      for (const text of ["service:ledger", "narrowed", id, wide.id])
        expect(details).toContain(text);
    });

    const cli = await solo(["call", "ledger", "steal"], {
      dataDir: kernel.dataDir,
      env: { SOLO_TOKEN: token },
    });
    expect([cli.code, cli.stdout]).toEqual([5, ""]);
    for (const line of [
      "missing: invoke on service:ledger",
      `why: narrowed, at ${id} "pays invoices" (level 2)`,
      `can grant: ${wide.id}, owner`,
    ]) {
      expect(cli.stderr).toContain(line);
    }
    const json = await solo(["call", "ledger", "steal", "--json"], {
      dataDir: kernel.dataDir,
      env: { SOLO_TOKEN: token },
    });
    expect(JSON.parse(json.stderr)).toMatchObject({ code: "permission_denied", denial });
  });

  test("is held to its methods and paths on the service's own HTTP", async () => {
    const { tenant } = await grant({
      permissions: ["invoke"],
      resources: ["service:ledger"],
      calls: [{ handler: "fetch.GET", args: [{ index: 0, prefix: "/public/" }] }],
    });
    const open = await tenant.ingress("ledger", "/public/a");
    expect(open.status).toBe(200);
    await open.body!.cancel();
    for (const path of ["/", "/public", "/public/../a", "/public/%2e%2e/a"]) {
      const response = await fetchRaw(tenant, path);
      expect([path, response]).toEqual([path, 403]);
    }
    expect((await tenant.ingress("ledger", "/public/a", { method: "POST" })).status).toBe(403);
  });

  test("can never hold more than what it comes from", async () => {
    const { tenant, id } = await grant({
      permissions: ["invoke", "admin"],
      resources: ["service:ledger", "capabilities"],
      ttl_ms: 60_000,
      max_uses: 50,
    });
    const tries: readonly [Body, string][] = [
      [{ permissions: ["deploy"] }, "permissions"],
      [{ resources: ["service:*"] }, "resources.0"],
      [{ ttl_ms: 120_000 }, "ttl_ms"],
      [{ max_uses: 51 }, "max_uses"],
      [{ rate_per_minute: 1001 }, "rate_per_minute"],
    ];
    for (const [more, field] of tries) {
      const narrow = { permissions: ["invoke"], resources: ["service:ledger"] };
      for (const [path, input] of [
        ["/capabilities", { ...narrow, ...more }],
        [`/capabilities/${id}/attenuate`, more],
        [`/capabilities/self/delegate`, { ...more, holder: { tenant_id: "default" } }],
      ] as const) {
        const { status, body } = await tenant.request("POST", path, input);
        expect([path, field, status]).toEqual([path, field, 400]);
        expect(body.errors.map((each: Body) => each["field"])).toContain(field);
      }
    }
    const wider = { permissions: ["read"], resources: ["events"], every_tenant: true };
    expect((await tenant.request("POST", "/capabilities", wider)).status).toBe(400);
  });
});

/** The status of a GET whose path no client normalised. */
async function fetchRaw(tenant: TestTenant, path: string): Promise<number> {
  const { request } = await import("node:http");
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const url = new URL(kernel.http);
  request(
    {
      host: url.hostname,
      port: url.port,
      path: `/s/default/ledger${path}`,
      headers: tenant.headers,
    },
    (response) => {
      resolve(response.statusCode!);
      response.destroy();
    },
  )
    .on("error", reject)
    .end();
  return promise;
}

describe("the end of a capability", () => {
  /** What a stream said until it ended. */
  const readAll = async (response: Response): Promise<string> => {
    let text = "";
    try {
      for await (const part of response.body!.pipeThrough(new TextDecoderStream())) text += part;
    } catch {
      text += "<broken off>";
    }
    return text;
  };

  const open = async ({ token, tenant }: Made) => {
    const sse = await tenant.fetch("/events", { headers: { accept: "text/event-stream" } });
    const logs = await tenant.fetch("/services/ledger/logs?follow=true");
    const body = await tenant.ingress("ledger", "/");
    const all = [sse, logs, body];
    if (all.some(({ status }) => status !== 200)) {
      await Promise.all(all.map((response) => response.body!.cancel()));
      return undefined;
    }
    const watched = grpcTo(async (grpc) => {
      const stream = grpc.stream("Watch", {}, bearer(token));
      return await new Promise<ServiceError>((resolve, reject) => {
        stream.on("data", () => {});
        stream.on("error", (error) => resolve(error as ServiceError));
        stream.on("end", () => reject(new Error("It ended without an error.")));
      });
    });
    return { ends: [readAll(sse), readAll(logs), readAll(body)] as const, watched };
  };

  const EVERYTHING = {
    permissions: ["read", "invoke"],
    resources: ["events", "service:ledger"],
  };

  test("by revocation of one above it ends its streams, bodies and follows at once", async () => {
    const above = await grant({ ...EVERYTHING, rate_per_minute: 10_000 });
    const made = await make("/capabilities/self/attenuate", {}, above.tenant);
    const { ends, watched } = (await open(made))!;
    expect((await kernel.request("DELETE", `/capabilities/${above.id}`)).body).toEqual({
      id: above.id,
      ended: 2,
    });
    const [sse, logs, body] = await Promise.all(ends);
    expect(sse).toContain('"why":"revoked"');
    expect(logs).toContain('"why":"revoked"');
    expect(body).toMatch(/^(?:tick )+<broken off>$/);
    const error = soloErrorOf(await watched);
    expect(error).toMatchObject({ code: "permission_denied", denial: { why: "revoked" } });
    const after = await made.tenant.request("GET", "/events");
    expect(after.body.denial).toMatchObject({ why: "revoked", link: { id: above.id, level: 1 } });
  });

  test("by expiry ends them too", async () => {
    // Twice as long each time, for a machine on which it ends before everything is open.
    let ttl_ms = 500;
    const { ends, watched } = await until(
      async () => open(await grant({ ...EVERYTHING, ttl_ms: (ttl_ms *= 2) })),
      "everything to be open before the expiry",
    );
    const [sse, , body] = await Promise.all(ends);
    expect(sse).toContain('"why":"expired"');
    expect(body).toContain("<broken off>");
    expect(soloErrorOf(await watched)).toMatchObject({ denial: { why: "expired" } });
  });

  test("is for its holder, those above it and the tenant's administrators to bring", async () => {
    const mine = await grant({ permissions: ["read"], resources: ["events"] });
    const other = await grant({ permissions: ["read"], resources: ["events"] });
    for (const method of ["GET", "DELETE"]) {
      const foreign = await other.tenant.request(method, `/capabilities/${mine.id}`);
      const none = await other.tenant.request(method, "/capabilities/c_000000000000000000000000");
      expect([foreign.status, none.status]).toEqual([404, 404]);
      expect(foreign.body.detail.replace(mine.id, "")).toBe(
        none.body.detail.replace("c_000000000000000000000000", ""),
      );
    }
    const given = ["ledger", "nowhere"].map(async (service_id) => {
      const holder = { service_id };
      const path = "/capabilities/self/delegate";
      const { status, body } = await other.tenant.request("POST", path, { holder });
      return [status, body.detail.replace(service_id, "")];
    });
    const [real, none] = await Promise.all(given);
    expect([real![0], real]).toEqual([404, none]);
    const admin = await grant({ permissions: ["admin"], resources: ["capabilities"] });
    const stranger = await grant({
      permissions: ["admin"],
      resources: ["capabilities"],
      tenant_id: "elsewhere",
    });
    expect((await stranger.tenant.request("DELETE", `/capabilities/${mine.id}`)).status).toBe(404);
    expect((await admin.tenant.request("DELETE", `/capabilities/${mine.id}`)).status).toBe(200);
    expect((await other.tenant.request("DELETE", "/capabilities/self")).status).toBe(200);
    expect((await other.tenant.request("GET", "/events")).status).toBe(403);
  });
});

test("a rate is charged to every ancestor, and says when to come again", async () => {
  const above = await grant({
    permissions: ["invoke"],
    resources: ["service:ledger"],
    rate_per_minute: 5,
  });
  const below = await make("/capabilities/self/attenuate", {}, above.tenant); // one use
  for (let n = 0; n < 2; n += 1) await below.tenant.call("ledger", "balance");
  for (let n = 0; n < 2; n += 1) await above.tenant.call("ledger", "balance");
  for (const { tenant } of [above, below]) {
    const answer = await tenant.ask("ledger", "balance");
    expect(answer.status).toBe(429);
    expect(answer.body).toMatchObject({
      code: "limit_exceeded",
      denial: { why: "rate", link: { id: above.id } },
    });
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
  }
});

test("a token of one tenant learns nothing of another's, whether it exists or not", async () => {
  await kernel.tenant("bank").deploy({ service_id: "vault", code: SHOP });
  const { token } = await grant({ permissions: ["read", "invoke", "deploy"], resources: ["*"] });
  const answers = [];
  for (const [tenant, service] of [
    ["bank", "vault"],
    ["bank", "nothing"],
    ["nobody", "vault"],
  ] as const) {
    const foreign = as(token, tenant);
    const status = await foreign.request("GET", `/services/${service}`);
    const list = await foreign.request("GET", "/services");
    const ingress = await foreign.ingress(service);
    answers.push([status.status, status.body.denial.why, list.status, ingress.status]);
  }
  expect(answers).toEqual(answers.map(() => [403, "tenant", 403, 403]));
  const narrow = await grant({ permissions: ["invoke"], resources: ["service:missing"] });
  const missing = await narrow.tenant.ask("missing", "x");
  expect(missing.status).toBe(404);
  expect(JSON.stringify(missing.body)).not.toContain("ledger");
});

describe("a service", () => {
  test("invokes its neighbours unless told otherwise, and then just what its deploy names", async () => {
    const shop = { service_id: "shop", code: SHOP };
    await kernel.deploy(shop);
    expect(await kernel.call("shop", "ask", "ledger", "balance")).toEqual(expect.any(Number));
    const update = (capabilities: Body[]) =>
      kernel.request("PUT", "/services/shop", { code: SHOP, capabilities });

    expect((await update([])).status).toBe(200);
    const denied = await kernel.call("shop", "ask", "ledger", "balance");
    expect(denied).toMatchObject({ code: "permission_denied" });
    expect(denied.hint).toContain('Add {"resources":["service:ledger"],"permissions":["invoke"]');

    const { permissions: _, ...rules } = ATTENUATED;
    expect((await update([rules])).status).toBe(200);
    const before = await kernel.call("shop", "ask", "ledger", "balance");
    expect(await kernel.call("shop", "ask", "ledger", "pay", "invoice-7", 5)).toBe(before + 5);
    const tooMuch = await kernel.call("shop", "ask", "ledger", "pay", "invoice-7", 500);
    expect(tooMuch.message).toContain("argument 1 a number from 1 to 100");
    const event = await until(async () => {
      const all = await kernel.events({ event_type: "capability_denied" });
      return all.find(({ payload }) => payload.handler === "calls.pay" && payload.by_service);
    }, "the denial to be recorded");
    expect(event).toMatchObject({
      tenant_id: "default",
      payload: { by_service: "shop", why: "narrowed" },
    });
    const held = await kernel.request("GET", "/capabilities?service_id=shop");
    expect(held.body.capabilities).toHaveLength(1);
    await kernel.kill("shop");
    const after = await kernel.request("GET", "/capabilities?service_id=shop&include_ended=true");
    expect(after.body.capabilities).toEqual([]);
  });

  test("holds no more than its deployer, and loses it with the deployer's capability", async () => {
    const ci = await grant({
      permissions: ["deploy", "invoke"],
      resources: ["kernel", "service:ci-*", "service:ledger"],
    });
    const greedy = { service_id: "ci-shop", code: SHOP, capabilities: [{ resources: ["net:*"] }] };
    const refused = await ci.tenant.request("POST", "/services", greedy);
    expect(refused.status).toBe(400);
    expect(refused.body.errors[0].field).toMatch(/^capabilities\.0\./);
    expect((await ci.tenant.request("POST", "/validate", greedy)).body.problems).toHaveLength(2);

    await ci.tenant.deploy({ ...greedy, capabilities: [{ resources: ["service:ledger"] }] });
    expect(await kernel.call("ci-shop", "ask", "ledger", "balance")).toEqual(expect.any(Number));
    await kernel.request("DELETE", `/capabilities/${ci.id}`);
    const ended = await kernel.call("ci-shop", "ask", "ledger", "balance");
    expect(ended).toMatchObject({ code: "permission_denied" });
    expect(ended.message).toContain("was revoked");
    expect(ended.hint).toContain("Update the service");
    // The same code, deployed by somebody whose capability is in force.
    await kernel.request("PUT", "/services/ci-shop", { code: SHOP });
    expect(await kernel.call("ci-shop", "ask", "ledger", "balance")).toEqual(expect.any(Number));
  });

  test("is granted something while it runs, as a handle without a token", async () => {
    await kernel.deploy({ service_id: "later", code: SHOP, capabilities: [] });
    expect(await kernel.call("later", "ask", "ledger", "balance")).toMatchObject({
      code: "permission_denied",
    });
    const input = {
      permissions: ["invoke"],
      resources: ["service:ledger"],
      holder: { service_id: "later" },
    };
    const { status, body } = await kernel.request("POST", "/capabilities", input);
    expect([status, "token" in body]).toEqual([201, false]);
    expect(await kernel.call("later", "ask", "ledger", "balance")).toEqual(expect.any(Number));
    await kernel.request("DELETE", `/capabilities/${body.capability.id}`);
    expect(await kernel.call("later", "ask", "ledger", "balance")).toMatchObject({
      code: "permission_denied",
    });
  });

  test("has no more uses than it was granted, however many it tries at once", async () => {
    await kernel.deploy({
      service_id: "counted",
      code: `export default { calls: { all: (solo, n) => Promise.all(Array.from({ length: n }, () =>
        solo.services.call("ledger", "balance").then(() => "passed", (error) => error.code))) } };`,
      capabilities: [],
    });
    const input = {
      permissions: ["invoke"],
      resources: ["service:ledger"],
      holder: { service_id: "counted" },
      max_uses: 10,
    };
    await kernel.request("POST", "/capabilities", input);
    const outcomes = (await kernel.call("counted", "all", 60)) as string[];
    expect(outcomes.filter((each) => each === "passed").length).toBe(10);
    expect(outcomes.filter((each) => each === "permission_denied").length).toBe(50);
  });
});

test("of a hundred requests at once just the allowed ones pass, each counted at every link", async () => {
  const above = await grant({
    permissions: ["invoke"],
    resources: ["service:ledger"],
    rate_per_minute: 30,
  });
  const few = await make("/capabilities/self/attenuate", { max_uses: 10 }, above.tenant);
  const many = await make("/capabilities/self/attenuate", {}, above.tenant);
  const burst = (by: Made) =>
    Promise.all(
      Array.from({ length: 100 }, async () => {
        const { status } = await by.tenant.request("POST", "/services/ledger/calls/balance", {});
        return status;
      }),
    );
  const [first, second] = await Promise.all([burst(few), burst(many)]);
  const passed = (statuses: number[]) => statuses.filter((status) => status === 200).length;
  expect(passed(first)).toBeLessThanOrEqual(10);
  // Two derivations of the two above were charged to it as well.
  expect(passed(first) + passed(second)).toBe(28);
  expect([200, 403, 429]).toEqual(expect.arrayContaining([...first, ...second]));
});

test("the command line makes, looks at, tries and ends capabilities", async () => {
  const run = (args: readonly string[], more: { stdin?: string; token?: string } = {}) =>
    runCli([...args, "--json"], {
      dataDir: kernel.dataDir,
      ...(more.stdin !== undefined && { stdin: more.stdin }),
      ...(more.token !== undefined && { env: { SOLO_TOKEN: more.token } }),
    });
  const made = JSON.parse(
    (
      await run([
        "cap",
        "grant",
        "--permission",
        "invoke,read",
        "--resource",
        "service:ledger",
        "--ttl",
        "1d",
      ])
    ).stdout,
  ) as { capability: Body; token: string };
  tokens.push(made.token);
  const verify = ["cap", "verify", "invoke", "service:ledger", "--handler", "calls.pay"];
  const yes = await run(verify, { stdin: made.token });
  expect([yes.code, JSON.parse(yes.stdout)]).toEqual([
    0,
    { allowed: true, capability_id: made.capability["id"] },
  ]);
  const no = await run(["cap", "verify", "deploy", "kernel"], { stdin: made.token });
  expect([no.code, JSON.parse(no.stdout).denial.why]).toEqual([5, "narrowed"]);
  const self = await run(["cap", "inspect", "self"], { token: made.token });
  expect(JSON.parse(self.stdout)).toMatchObject({
    id: made.capability["id"],
    level: 1,
    state: "active",
  });
  expect((await run(["cap", "revoke", made.capability["id"]])).code).toBe(0);
  expect((await run(["call", "ledger", "balance"], { token: made.token })).code).toBe(5);
});

test("kill -9 keeps grants, revocations, uses and what services hold", async () => {
  const limited = await grant({
    permissions: ["invoke"],
    resources: ["service:ledger"],
    max_uses: 3,
  });
  const revoked = await grant({ permissions: ["read"], resources: ["events"] });
  await kernel.request("DELETE", `/capabilities/${revoked.id}`);
  await kernel.deploy({
    service_id: "held",
    code: SHOP,
    capabilities: [{ resources: ["service:ledger"] }],
  });
  await kernel.deploy({ service_id: "bare", code: SHOP, capabilities: [] });
  for (let n = 0; n < 2; n += 1) await limited.tenant.call("ledger", "balance");
  await kernel.kill9();
  await kernel.restart();
  expect(await kernel.call("held", "ask", "ledger", "balance")).toEqual(expect.any(Number));
  expect(await kernel.call("bare", "ask", "ledger", "balance")).toMatchObject({
    code: "permission_denied",
  });
  const ended = await revoked.tenant.request("GET", "/events");
  expect(ended.body.denial).toMatchObject({ why: "revoked" });
  await limited.tenant.call("ledger", "balance");
  const spent = await limited.tenant.ask("ledger", "balance");
  expect([spent.status, spent.body.denial.why]).toEqual([403, "uses"]);
});

test("no token is in the data directory, the logs or the events", async () => {
  await until(() => tokens.length > 10, "the tests above to have been told tokens");
  const everywhere = [kernel.stdout, kernel.stderr, JSON.stringify(await kernel.events())];
  const bytes = readdirSync(kernel.dataDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== "owner-token")
    .map((entry) => readFileSync(join(entry.parentPath, entry.name)));
  const places = [...everywhere.map((text) => Buffer.from(text)), ...bytes];
  expect(places.length).toBeGreaterThan(6);
  for (const token of [...tokens, kernel.token]) {
    const secret = token.slice("solo_".length);
    const forms = [
      Buffer.from(secret),
      Buffer.from(secret, "base64url"),
      Buffer.from(Buffer.from(secret).toString("base64").replace(/=+$/, "")),
      Buffer.from(Buffer.from(secret).toString("hex")),
    ];
    for (const form of forms) {
      expect(
        places.some((place) => place.includes(form)),
        form.toString("hex"),
      ).toBe(false);
    }
  }
});
