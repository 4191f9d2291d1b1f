/** Ways to borrow authority that somebody else brought: none leads anywhere. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startKernel, TestTenant, until, type Body, type TestKernel } from "../support/kernel.ts";

let kernel: TestKernel;
beforeAll(async () => {
  kernel = await startKernel();
  await kernel.deploy({
    service_id: "safe",
    code: `export default { init: () => ({ opened: 0 }), calls: {
      open: (solo) => (solo.state.opened += 1), seen: (solo) => solo.state.opened } };`,
  });
});
afterAll(() => kernel[Symbol.asyncDispose]());

interface Made {
  readonly id: string;
  readonly tenant: TestTenant;
}

async function grant(input: Body, by: TestTenant = kernel): Promise<Made> {
  const { status, body } = await by.request("POST", "/capabilities", input);
  expect(status, JSON.stringify(body)).toBe(201);
  const { token } = body;
  return {
    id: body.capability.id,
    tenant: new TestTenant({ http: () => kernel.http, token: () => token }),
  };
}

const OPENS = (mark: string) => `export default { calls: { async open(solo) {
  try { return await solo.services.call("safe", "open"); } catch (error) { return error.code; }
} } }; // ${mark}`;
const STRONG = { capabilities: [{ resources: ["service:safe"] }] };
/** May deploy, restart, roll back; holds nothing to give. */
const weak = () =>
  grant({ permissions: ["deploy", "read"], resources: ["kernel", "service:strong*"] });

describe("whoever may deploy, but holds less than the service does,", () => {
  test("gives it no new code, whether or not its capabilities are named again", async () => {
    await kernel.deploy({ service_id: "strong", code: OPENS("first"), ...STRONG });
    const { tenant } = await weak();
    for (const more of [{}, STRONG, { env: { A: "1" } }]) {
      const input = { code: OPENS("stolen"), ...more };
      const refused = await tenant.request("PUT", "/services/strong", input);
      expect([refused.status, refused.body.code]).toEqual([400, "invalid_argument"]);
      expect(refused.body.errors[0].field).toMatch(/^capabilities\.0\./);
      const rolled = await tenant.request("PUT", "/services/strong", {
        ...input,
        strategy: { kind: "canary", percent: 50 },
      });
      expect(rolled.status).toBe(400);
    }
    expect(await kernel.call("strong", "open")).toEqual(expect.any(Number));
  });

  test("takes it away with code that asks for nothing, and brings it back by no rollback", async () => {
    await kernel.deploy({ service_id: "strong-again", code: OPENS("first"), ...STRONG });
    const { tenant } = await weak();
    const emptied = { code: OPENS("second"), capabilities: [] };
    expect((await tenant.request("PUT", "/services/strong-again", emptied)).status).toBe(200);
    expect(await kernel.call("strong-again", "open")).toBe("permission_denied");
    const path = "/services/strong-again/rollback";
    const refused = await tenant.request("POST", path, {});
    expect([refused.status, refused.body.code]).toEqual([400, "invalid_argument"]);
    expect(await kernel.call("strong-again", "open")).toBe("permission_denied");
    expect((await kernel.request("POST", path, {})).status).toBe(200);
    expect(await kernel.call("strong-again", "open")).toEqual(expect.any(Number));
  });

  test("renews nothing that has ended, by the same code or by a restart", async () => {
    const ci = await grant({
      permissions: ["deploy", "invoke"],
      resources: ["kernel", "service:*"],
    });
    await ci.tenant.deploy({ service_id: "strong-once", code: OPENS("once"), ...STRONG });
    expect(await kernel.call("strong-once", "open")).toEqual(expect.any(Number));
    await kernel.request("DELETE", `/capabilities/${ci.id}`);
    const { tenant } = await weak();
    const same = await tenant.request("PUT", "/services/strong-once", { code: OPENS("once") });
    expect(same.status).toBe(400);
    expect((await tenant.request("POST", "/services/strong-once/restart")).status).toBe(200);
    expect(await kernel.call("strong-once", "open")).toBe("permission_denied");
  });
});

test("a revision of the past gets what who rolls back holds, never what has been revoked", async () => {
  const ci = await grant({
    permissions: ["deploy", "invoke"],
    resources: ["kernel", "service:*"],
  });
  await ci.tenant.deploy({ service_id: "aged", code: OPENS("old"), ...STRONG });
  await kernel.request("PUT", "/services/aged", { code: OPENS("new"), capabilities: [] });
  await kernel.request("DELETE", `/capabilities/${ci.id}`);
  expect((await ci.tenant.request("POST", "/services/aged/rollback", {})).status).toBe(403);
  expect(await kernel.call("aged", "open")).toBe("permission_denied");
  expect((await kernel.request("POST", "/services/aged/rollback", {})).status).toBe(200);
  expect(await kernel.call("aged", "open")).toEqual(expect.any(Number));
});

test("a timer that fires after its service lost its authority has none", async () => {
  const code = `export default { init(solo) { solo.every(100, "tick"); return { said: [] }; },
    calls: { said: (solo) => solo.state.said },
    async info(solo) {
      try { await solo.services.call("safe", "open"); solo.state.said.push("opened"); }
      catch (error) { solo.state.said.push(error.code); }
    } };`;
  const ci = await grant({ permissions: ["deploy", "invoke"], resources: ["kernel", "service:*"] });
  await ci.tenant.deploy({ service_id: "ticking", code });
  const said = async () => (await kernel.call("ticking", "said")) as string[];
  await until(async () => (await said()).includes("opened"), "a tick");
  await kernel.request("DELETE", `/capabilities/${ci.id}`);
  const opened = await kernel.call("safe", "seen");
  await until(async () => (await said()).includes("permission_denied"), "a tick that is refused");
  expect(await kernel.call("safe", "seen")).toBe(opened);
  await kernel.kill("ticking");
});

test("a sleeping service is woken by nobody who may not ask it", async () => {
  const code = `export default { calls: { hi: () => "hi" }, fetch: () => new Response("hi") };`;
  await kernel.deploy({ service_id: "asleep", code, hibernation: { after_idle_ms: 100 } });
  const state = async () => (await kernel.status("asleep"))["state"];
  await until(async () => (await state()) === "hibernated", "it to sleep", 30_000);
  const { tenant } = await grant({ permissions: ["read"], resources: ["service:asleep"] });
  expect((await tenant.ask("asleep", "hi")).status).toBe(403);
  expect((await tenant.ingress("asleep")).status).toBe(403);
  expect((await fetch(`${kernel.http}/s/default/asleep/`)).status).toBe(401);
  expect((await tenant.request("POST", "/services/asleep/casts/hi", { args: [] })).status).toBe(
    403,
  );
  expect(await state()).toBe("hibernated");
  expect(await kernel.call("asleep", "hi")).toBe("hi");
  await kernel.kill("asleep");
});

test("the capabilities of a tenant that was deleted open nothing of one that has its name next", async () => {
  const tenant_id = "shortlived";
  const tenant = kernel.tenant(tenant_id);
  expect((await kernel.request("POST", "/tenants", { tenant_id })).status).toBe(201);
  const everything = { tenant_id, permissions: ["read", "deploy", "invoke"], resources: ["*"] };
  const { tenant: before, id } = await grant(everything);
  const own = await before.request("POST", "/capabilities/self/attenuate", { label: "kept" });
  await before.deploy({ service_id: "mine", code: OPENS("mine") });
  await kernel.request("POST", "/secrets", { tenant_id, name: "key", value: "of the first" });
  const gone = await kernel.request("DELETE", `/tenants/${tenant_id}?force=true`);
  expect(gone.status, JSON.stringify(gone.body)).toBeLessThan(300);

  expect((await kernel.request("POST", "/tenants", { tenant_id })).status).toBe(201);
  await tenant.deploy({ service_id: "mine", code: OPENS("another's") });
  const after = new TestTenant({ http: () => kernel.http, token: () => own.body.token });
  for (const holder of [before, after]) {
    const { status, body } = await holder.request("GET", "/services/mine");
    expect([status, body.denial.why]).toEqual([403, "revoked"]);
    expect(body.denial.link.id).toBe(id);
  }
  expect((await tenant.request("GET", "/secrets/key")).status).toBe(404);
});
