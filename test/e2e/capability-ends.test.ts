/** What is under way when the capability that allowed it ends, through real clients. */
import { afterAll, describe, expect, test } from "vitest";
import { failureFrom, soloErrorOf, stockClient } from "../support/grpc-client.ts";
import { startKernel, TestTenant, until, type Body } from "../support/kernel.ts";

const kernel = await startKernel();
afterAll(() => kernel[Symbol.asyncDispose]());

interface Made {
  readonly id: string;
  readonly token: string;
  readonly tenant: TestTenant;
}

async function make(path: string, input: Body, by: TestTenant = kernel): Promise<Made> {
  const { status, body } = await by.request("POST", path, input);
  expect(status, JSON.stringify(body)).toBe(201);
  const { token, capability } = body;
  return {
    id: capability.id,
    token,
    tenant: new TestTenant({ http: () => kernel.http, token: () => token }),
  };
}

/** A service that waits until it is told that nobody waits for it any more. */
const PATIENT = `export default { concurrent: true, init: () => ({ begun: 0, cut: 0 }), calls: {
  seen: (solo) => ({ ...solo.state }),
  async wait(solo) {
    solo.state.begun += 1;
    await new Promise((resolve) => solo.signal.addEventListener("abort", resolve));
    solo.state.cut += 1;
  },
}, async fetch(request, solo) {
  solo.state.begun += 1;
  const body = new ReadableStream({
    start: (to) => to.enqueue(new TextEncoder().encode("so far ")),
    cancel: () => void (solo.state.cut += 1),
  });
  return new Response(body);
} };`;
const BETWEEN = `export default { concurrent: true, calls: {
  async wait(solo) {
    try { return await solo.services.call("patient", "wait"); }
    catch (error) { return { code: error.code, message: error.message, hint: error.hint }; }
  },
  async read(solo) {
    const response = await solo.services.fetch("patient", "http://patient/");
    try { return await response.text(); } catch (error) { return { code: error.cause?.code ?? error.code }; }
  },
} };`;
await kernel.deploy({ service_id: "patient", code: PATIENT });

/** Runs `act` once the service is at work, and resolves when it was told to stop. */
async function cutOffBy<T>(asked: Promise<T>, act: () => Promise<unknown>, count = 1): Promise<T> {
  const before = (await kernel.call("patient", "seen")) as { begun: number; cut: number };
  await until(async () => {
    const { begun, cut } = (await kernel.call("patient", "seen")) as typeof before;
    return begun - cut === count;
  }, "the service to be at work");
  await act();
  const answer = await asked;
  await until(async () => {
    const { begun, cut } = (await kernel.call("patient", "seen")) as typeof before;
    return begun === cut;
  }, "the service to hear of it");
  return answer;
}

const INVOKES = { permissions: ["invoke"], resources: ["service:patient"] };

describe("a call under way", () => {
  test("ends with its caller's capability, over REST and gRPC, and the service is told", async () => {
    const above = await make("/capabilities", INVOKES);
    const made = await make("/capabilities/self/attenuate", {}, above.tenant);
    const [host = "", port] = kernel.grpc.split(":");
    const grpc = stockClient({ host, port: Number(port) });
    const input = { service_id: "patient", name: "wait" };
    const call = grpc.unary("Call", input, { metadata: { authorization: `Bearer ${made.token}` } });
    try {
      const answers = Promise.all([made.tenant.ask("patient", "wait"), failureFrom(call)]);
      const revoke = () => kernel.request("DELETE", `/capabilities/${above.id}`);
      const [rest, failure] = await cutOffBy(answers, revoke, 2);
      expect([rest.status, rest.body.code]).toEqual([403, "permission_denied"]);
      expect(rest.body.denial).toMatchObject({ why: "revoked", link: { id: above.id, level: 1 } });
      expect(soloErrorOf(failure)).toMatchObject({
        code: "permission_denied",
        denial: { why: "revoked", link: { id: above.id } },
      });
    } finally {
      grpc.close();
    }
    await until(async () => {
      const { body } = await kernel.request("GET", "/events?event_type=capability_denied");
      return body.events.filter((each: Body) => each.subject === above.id).length === 2;
    }, "both denials to be on record");
  });

  test("ends when the capability expires", async () => {
    const begun = async () => (await kernel.call("patient", "seen")).begun as number;
    const before = await begun();
    // Twice as long each time, for a machine on which it expires before the service is at work.
    let ttl_ms = 500;
    await until(async () => {
      const made = await make("/capabilities", { ...INVOKES, ttl_ms: (ttl_ms *= 2) });
      const answer = await made.tenant.ask("patient", "wait");
      expect(answer.status).toBe(403);
      expect(answer.body.denial).toMatchObject({ why: "expired", link: { id: made.id } });
      return (await begun()) > before;
    }, "an expiry while the service is at work");
    await until(async () => {
      const { begun: all, cut } = await kernel.call("patient", "seen");
      return all === cut;
    }, "the service to hear of it");
  });

  test("is never begun when it still waits for its turn", async () => {
    const code = PATIENT.replace("concurrent: true, ", "");
    await kernel.deploy({ service_id: "one-by-one", code });
    const invokes = { permissions: ["invoke"], resources: ["service:one-by-one"] };
    const first = await make("/capabilities", invokes);
    const second = await make("/capabilities", invokes);
    const inTheWay = first.tenant.ask("one-by-one", "wait");
    const length = async () => (await kernel.status("one-by-one"))["mailbox_length"];
    await until(async () => (await length()) === 1, "the first call");
    const waiting = second.tenant.ask("one-by-one", "wait");
    await until(async () => (await length()) === 2, "the second call");
    await kernel.request("DELETE", `/capabilities/${second.id}`);
    expect((await waiting).body.denial).toMatchObject({ why: "revoked", link: { id: second.id } });
    await kernel.request("DELETE", `/capabilities/${first.id}`);
    expect((await inTheWay).status).toBe(403);
    expect(await kernel.call("one-by-one", "seen")).toEqual({ begun: 1, cut: 1 });
  });

  test("of another's capability goes on", async () => {
    const mine = await make("/capabilities", INVOKES);
    const other = await make("/capabilities", INVOKES);
    let isOver = false;
    const asked = mine.tenant.ask("patient", "wait").finally(() => (isOver = true));
    await cutOffBy(asked, async () => {
      await kernel.request("DELETE", `/capabilities/${other.id}`);
      expect((await other.tenant.ask("patient", "seen")).status).toBe(403);
      expect(isOver).toBe(false);
      await kernel.request("DELETE", `/capabilities/${mine.id}`);
    });
  });
});

describe("what a service waits for from another", () => {
  test("ends with the capability of its deployer, a call and a response's body alike", async () => {
    const ci = await make("/capabilities", {
      permissions: ["deploy", "invoke"],
      resources: ["kernel", "service:*"],
    });
    await ci.tenant.deploy({ service_id: "between", code: BETWEEN });
    const answers = Promise.all([kernel.call("between", "wait"), kernel.call("between", "read")]);
    const revoke = () => kernel.request("DELETE", `/capabilities/${ci.id}`);
    const [called, read] = await cutOffBy(answers, revoke, 2);
    expect(called).toMatchObject({ code: "permission_denied" });
    expect((called as Body).message).toContain(`${ci.id} was revoked`);
    expect((called as Body).hint).toContain("Update the service");
    expect(read).toEqual({ code: "permission_denied" });
  });
});

describe("a deployer's capability with a number of uses", () => {
  const FEW = { permissions: ["deploy", "invoke"], resources: ["kernel", "service:*"] };
  const asked = { service_id: "few", code: BETWEEN.replace(`"wait")`, `"seen")`) };
  const deploy = (by: Made, more: Body = {}) =>
    by.tenant.request("POST", "/services", { ...asked, ...more });

  test("gives its services what is left of them, and an update brings more", async () => {
    const made = await make("/capabilities", { ...FEW, max_uses: 3 });
    expect((await deploy(made)).status).toBe(201);
    const seen = () => kernel.call("few", "wait");
    await kernel.request("PUT", "/services/few", asked); // nothing to renew
    expect([await seen(), await seen()].map((each) => "begun" in (each as Body))).toEqual([
      true,
      true,
    ]);
    const spent = (await seen()) as Body;
    expect(spent.code).toBe("permission_denied");
    expect(spent.message).toContain(`${made.id} has no uses left`);
    await kernel.request("PUT", "/services/few", asked);
    expect(await seen()).toHaveProperty("begun");
    await kernel.request("DELETE", "/services/few");
  });

  test("is refused where none would be left, field by field, also by validate", async () => {
    const made = await make("/capabilities", { ...FEW, max_uses: 2 });
    const named = { ...asked, capabilities: [{ resources: ["service:patient"] }] };
    const { body: judged } = await made.tenant.request("POST", "/validate", named);
    expect(judged.problems.join()).toContain(`${made.id} has none left of its 2 uses`);
    const refused = await deploy(made, named);
    expect([refused.status, refused.body.code]).toEqual([400, "invalid_argument"]);
    expect(refused.body.errors[0].field).toBe("capabilities");
    expect(refused.body.detail).toContain(`${made.id} has none left of its 2 uses`);
  });
});
