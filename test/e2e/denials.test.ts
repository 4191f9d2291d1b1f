/** Every cause of a denial on every way in: the same content, wherever it is read. */
import { randomBytes } from "node:crypto";
import { Writable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { main } from "#cli/main.ts";
import { newToken } from "#capability/token.ts";
import { failureFrom, soloErrorOf, stockClient, type StockClient } from "../support/grpc-client.ts";
import { McpClient } from "../support/mcp-client.ts";
import { startKernel, TestTenant, until, type Body, type TestKernel } from "../support/kernel.ts";

const ASKER = `export default { calls: { async ask(solo) {
  try { return await solo.services.call("target", "open", 7); }
  catch ({ code, message, hint }) { return { code, message, hint }; }
} } };`;

let kernel: TestKernel;
let grpc: StockClient;
beforeAll(async () => {
  kernel = await startKernel();
  const [host = "", port] = kernel.grpc.split(":");
  grpc = stockClient({ host, port: Number(port) });
  await kernel.deploy({
    service_id: "target",
    code: `export default { calls: { open: () => "opened" } };`,
  });
});
afterAll(async () => {
  grpc.close();
  await kernel[Symbol.asyncDispose]();
});

interface Cause {
  readonly why: string;
  /** What the capability above says, and the one that is derived from it and presented. */
  readonly above?: Body;
  readonly leaf?: Body;
  /** What takes it away in the end. */
  readonly spoil?: (made: { above: string; use: () => Promise<unknown> }) => Promise<unknown>;
  /** It may be spoiled before anything could be derived from it: made anew, for twice as long. */
  readonly isFleeting?: boolean;
  /** Whom the request is for, where that is another tenant. */
  readonly tenant?: string;
  readonly link: "above" | "leaf";
  readonly code?: string;
  readonly status?: number;
  readonly exit?: number;
  /** What the sentence says. */
  readonly says: string;
  /** What a service is told to do. */
  readonly advice: string;
}

const INVOKES = { permissions: ["invoke", "read"], resources: ["service:*"] };
const ANEW = "Update the service with a token that is in force";
const CAUSES: Readonly<Record<string, Cause>> = {
  "the revocation of one above": {
    why: "revoked",
    spoil: ({ above }) => kernel.request("DELETE", `/capabilities/${above}`),
    link: "above",
    says: "was revoked",
    advice: ANEW,
  },
  "the expiry of one above": {
    why: "expired",
    above: { ttl_ms: 300 },
    isFleeting: true,
    spoil: ({ use }) => until(async () => (await use()) !== "passed", "the expiry"),
    link: "above",
    says: "has expired",
    advice: ANEW,
  },
  "a permission that was left out": {
    why: "narrowed",
    leaf: { permissions: ["read"] },
    link: "leaf",
    says: "does not include it",
    advice: 'Add {"resources":["service:target"],"permissions":["invoke"]',
  },
  "a resource that was left out": {
    why: "narrowed",
    leaf: { resources: ["service:other"] },
    link: "leaf",
    says: "does not include it",
    advice: 'Add {"resources":["service:target"],"permissions":["invoke"]',
  },
  "a rule for its calls": {
    why: "narrowed",
    leaf: { calls: [{ handler: "calls.open", args: [{ index: 0, max: 5 }] }] },
    link: "leaf",
    says: "allows calls.open only with argument 0 a number to 5",
    advice: 'Change the rule in "calls"',
  },
  "a use too many": {
    why: "uses",
    leaf: { max_uses: 1 },
    spoil: ({ use }) => use(),
    link: "leaf",
    says: "has no uses left",
    advice: ANEW,
  },
  "a rate above it": {
    why: "rate",
    above: { rate_per_minute: 1 },
    leaf: { rate_per_minute: 1 },
    spoil: ({ use }) => use(),
    link: "above",
    code: "limit_exceeded",
    status: 429,
    exit: 7,
    says: "is over its rate",
    advice: "Slow down",
  },
  "another tenant": {
    why: "tenant",
    tenant: "elsewhere",
    link: "above",
    says: "belongs to another tenant",
    advice: "",
  },
};

interface Granted {
  readonly id: string;
  readonly token: string;
}

async function granted(path: string, input: Body): Promise<Granted> {
  const { status, body } = await kernel.request("POST", path, input);
  expect(status, JSON.stringify(body)).toBe(201);
  return { id: body.capability.id, token: body.token };
}

/** The capability above, and the one that is derived from it. */
async function grantedPair(
  { above = {}, leaf = {}, isFleeting = false }: Cause,
  { how, more }: { readonly how: "attenuate" | "delegate"; readonly more: Body },
): Promise<{ above: Granted; leaf: Granted }> {
  let ttl_ms = above["ttl_ms"];
  const make = async () => {
    const life = ttl_ms === undefined ? {} : { ttl_ms };
    const parent = await granted("/capabilities", {
      ...INVOKES,
      ...above,
      ...life,
      label: "above",
    });
    return {
      above: parent,
      leaf: await granted(`/capabilities/${parent.id}/${how}`, { ...leaf, ...more }),
    };
  };
  if (!isFleeting) return make();
  ttl_ms /= 2;
  return until(() => ((ttl_ms *= 2), make()), "both to be granted before the expiry");
}

/** `solo` with the token, in this process. */
async function cli(args: readonly string[], token: string): Promise<{ code: number; err: string }> {
  let err = "";
  const collect = (take: (text: string) => void) =>
    new Writable({ write: (chunk, _, done) => (take(String(chunk)), done()) });
  const code = await main({
    argv: args,
    env: {
      SOLO_URL: kernel.http,
      SOLO_TOKEN: token,
    },
    cwd: kernel.dataDir,
    stdin: (async function* () {})(),
    stdout: collect(() => {}),
    stderr: collect((text) => (err += text)),
    isTTY: false,
    version: "0",
    readPage: async () => "",
    startKernel: async () => 1,
    doctor: async () => ({ ok: true, report: {} }),
  });
  return { code, err };
}

interface Told {
  readonly code: string;
  readonly detail: string;
  readonly denial: Body;
}

/** The call on every way; what each of them tells. */
async function onEveryWay(
  service: string,
  token: string,
  options: { readonly tenant?: string | undefined; readonly isKnown?: boolean } = {},
) {
  const { tenant = "default", isKnown = true } = options;
  const client = new TestTenant({ http: () => kernel.http, token: () => token, name: tenant });
  const rest = await client.ask(service, "open", [7]);
  const target = { tenant_id: tenant, service_id: service, name: "open" };
  const headers = { authorization: `Bearer ${token}` };
  const failure = await failureFrom(grpc.unary("Call", target, { metadata: headers }));
  const mcp = isKnown
    ? (
        await (
          await McpClient.overHttp(kernel.http, headers)
        ).call("call", { ...target, args: [7] })
      ).body
    : (await client.request("POST", "/mcp", { jsonrpc: "2.0", id: 1, method: "ping" })).body;
  const line = ["call", service, "open", "7", "--tenant", tenant];
  const human = await cli(line, token);
  const json = await cli([...line, "--json"], token);
  return {
    told: {
      REST: rest.body as Told,
      gRPC: soloErrorOf(failure) as unknown as Told,
      "the command line": JSON.parse(json.err) as Told,
      MCP: mcp as Told,
    },
    status: rest.status,
    retryAfter: rest.headers.get("retry-after"),
    details: Buffer.from(failure.metadata.get("grpc-status-details-bin")[0]!).toString(),
    human,
    exits: [human.code, json.code],
  };
}

describe("a denial because of", () => {
  test.each(Object.entries(CAUSES))("%s says the same everywhere", async (_, cause) => {
    const { why, link, code = "permission_denied", status = 403, exit = 5 } = cause;
    const more = { label: "leaf" };
    const { above, leaf } = await grantedPair(cause, { how: "attenuate", more });
    const own = new TestTenant({ http: () => kernel.http, token: () => leaf.token });
    const use = async () => {
      const answer = await own.ask("target", "open", [7]);
      return answer.status === 200 ? "passed" : answer.body.denial.why;
    };
    await cause.spoil?.({ above: above.id, use });
    const ways = await onEveryWay("target", leaf.token, { tenant: cause.tenant });
    const denial = {
      permission: "invoke",
      resource: "service:target",
      why,
      link:
        link === "leaf"
          ? { id: leaf.id, level: 2, label: "leaf" }
          : { id: above.id, level: 1, label: "above" },
      nearest: null,
      grantable_by: link === "leaf" ? [above.id, "owner"] : ["owner"],
    };
    for (const [way, told] of Object.entries(ways.told)) {
      const { retry_after_ms, call, ...rest } = told.denial;
      expect([way, told.code, rest]).toEqual([way, code, denial]);
      expect(told.detail).toContain(`invoke on service:target was refused: ${denial.link.id}`);
      expect(told.detail).toContain(cause.says.split(" only")[0]);
      expect(retry_after_ms === undefined).toBe(why !== "rate");
      expect(call === undefined).toBe(cause.leaf?.["calls"] === undefined);
    }
    expect([ways.status, ways.retryAfter !== null]).toEqual([status, why === "rate"]);
    expect(ways.exits).toEqual([exit, exit]);
    for (const text of ["invoke", "service:target", why, denial.link.id, ...denial.grantable_by]) {
      expect(ways.details).toContain(text);
    }
    for (const text of [
      `error[${code}]`,
      "missing: invoke on service:target",
      `why: ${why}, at ${denial.link.id} "${denial.link.label}" (level ${denial.link.level})`,
      `can grant: ${denial.grantable_by.join(", ")}`,
      "hint: ",
    ]) {
      expect(ways.human.err).toContain(text);
    }
    const tenant = new TestTenant({
      http: () => kernel.http,
      token: () => kernel.token,
      name: cause.tenant,
    });
    await until(async () => {
      const recorded = await tenant.events({ event_type: "capability_denied" });
      const mine = recorded.filter(({ subject }) => subject === denial.link.id);
      return mine.filter(({ payload }) => payload.why === why).length >= 5;
    }, "each denial to be recorded");
  });

  const held = Object.entries(CAUSES).filter(([, { tenant }]) => tenant === undefined);
  test.each(held)("%s tells a service what to change", async (name, cause) => {
    const service_id = `asker-${name.replaceAll(" ", "-")}`;
    await kernel.deploy({ service_id, code: ASKER, capabilities: [] });
    const more = { holder: { service_id } };
    const { above, leaf } = await grantedPair(cause, { how: "delegate", more });
    const ask = () => kernel.call(service_id, "ask");
    const use = async () => ((await ask()) === "opened" ? "passed" : "refused");
    await cause.spoil?.({ above: above.id, use });
    const { code, message, hint } = await ask();
    expect(code).toBe(cause.code ?? "permission_denied");
    const id = cause.link === "leaf" ? leaf.id : above.id;
    expect(message).toBe(`invoke on service:target was refused: ${id} ${cause.says}.`);
    expect(hint).toContain(cause.advice);
  });
});

describe("a stranger", () => {
  test("hears the same of what exists and of what does not, on every way", async () => {
    const token = newToken((bytes) => randomBytes(bytes));
    const denial = {
      why: "unknown",
      link: null,
      nearest: null,
      grantable_by: ["owner"],
    };
    const stranger = { isKnown: false };
    const real = await onEveryWay("target", token, stranger);
    const none = await onEveryWay("nowhere", token, stranger);
    for (const ways of [real, none]) {
      for (const told of Object.values(ways.told)) {
        expect(told.code).toBe("unauthenticated");
        expect(told.denial).toMatchObject(denial);
      }
      expect([ways.status, ...ways.exits]).toEqual([401, 5, 5]);
    }
    const shape = (ways: typeof real) =>
      JSON.stringify([ways.told, ways.human.err])
        .replaceAll("nowhere", "target")
        .replace(/"instance":"[^"]*"/g, "");
    expect(shape(none)).toBe(shape(real));
    expect(shape(real)).not.toContain(token);
  });

  test("hears that a token is cut off, as its form alone tells", async () => {
    const token = newToken((bytes) => randomBytes(bytes)).slice(0, -1);
    const { told, status } = await onEveryWay("target", token, { isKnown: false });
    expect(status).toBe(401);
    for (const each of Object.values(told)) {
      expect(each).toMatchObject({ code: "unauthenticated" });
      expect(each.detail).toContain("mistyped or cut off");
    }
  });
});
