/** Tenants and settings while the kernel runs (src/kernel/tenant-register.ts, settings.ts). */
import { describe, expect, onTestFinished, test } from "vitest";
import { startInProcess, type InProcessOptions } from "../support/kernel-in-process.ts";

async function start(options: InProcessOptions = {}) {
  const kernel = await startInProcess(options);
  onTestFinished(() => kernel[Symbol.asyncDispose]());
  return kernel;
}

const COUNTER = "export default { calls: { get: () => 1 } };";
const deploy = (service_id: string) => ({ service_id, code: COUNTER });

describe("a tenant", () => {
  test("comes into being by its first deploy, or by name; both are listed once, in order", async () => {
    const { ask } = await start();
    await ask("Deploy", deploy("a"), "zeta");
    await ask("CreateTenant", { tenant_id: "acme" });
    await ask("Deploy", deploy("a"), "acme");
    const { tenants } = await ask("ListTenants", {});
    expect(tenants.map(({ tenant_id, services }) => [tenant_id, services])).toEqual([
      ["acme", 1],
      ["zeta", 1],
    ]);
    const page = await ask("ListTenants", { limit: 1 });
    expect([page.tenants.length, page.next]).toEqual([1, "acme"]);
    expect((await ask("ListTenants", { after: "acme" })).tenants[0]?.tenant_id).toBe("zeta");
    for (const tenant_id of ["acme", "zeta"]) {
      await expect(ask("CreateTenant", { tenant_id })).rejects.toMatchObject({
        code: "already_exists",
      });
    }
    await expect(ask("GetTenant", { tenant_id: "nobody" })).rejects.toMatchObject({
      code: "not_found",
    });
    // A name that every object has.
    await expect(ask("GetTenant", { tenant_id: "toString" })).rejects.toMatchObject({
      code: "not_found",
    });
  });

  test("has limits of its own that hold at once, and are taken back with null", async () => {
    const { ask } = await start();
    const mailbox = async () =>
      (await ask("GetTenant", { tenant_id: "acme" })).limits.find(({ name }) => name === "mailbox");
    await ask("CreateTenant", { tenant_id: "acme", limits: { max_per_tenant: 1, mailbox: 7 } });
    expect(await mailbox()).toEqual({
      name: "mailbox",
      value: 7,
      own: true,
      from: "runtime update",
    });
    await ask("Deploy", deploy("a"), "acme");
    await expect(ask("Deploy", deploy("b"), "acme")).rejects.toMatchObject({
      code: "limit_exceeded",
    });
    await ask("SetTenantLimits", {
      tenant_id: "acme",
      limits: { max_per_tenant: 2, mailbox: null },
    });
    await ask("Deploy", deploy("b"), "acme");
    expect(await mailbox()).toMatchObject({ value: 1000, own: false, from: "default" });
    const { limits } = await ask("GetTenant", { tenant_id: "acme" });
    expect(limits.filter(({ value }) => value === null)).toEqual([]);
  });

  test("cannot be given what the configuration would refuse; nothing of it is kept", async () => {
    const { ask } = await start();
    await ask("CreateTenant", { tenant_id: "acme" });
    for (const limits of [
      { mailbox: -1 },
      { mailbox: "many" },
      { max_per_tenant: 5, mailbx: 1 },
      { tenant_memory_mb: 256 },
      { tenant_memory_mb: null },
      { __proto__: { mailbox: 1 }, "x.y": 1 },
    ]) {
      await expect(
        ask("SetTenantLimits", { tenant_id: "acme", limits }),
        JSON.stringify(limits),
      ).rejects.toMatchObject({ code: "config_invalid" });
    }
    await expect(
      ask("CreateTenant", { tenant_id: "other", limits: { mailbox: 0 } }),
    ).rejects.toMatchObject({ code: "config_invalid" });
    const { tenants } = await ask("ListTenants", {});
    expect(
      tenants.map(({ tenant_id, limits }) => [tenant_id, limits.some(({ own }) => own)]),
    ).toEqual([["acme", false]]);
  });

  test("is deleted with its secrets only by force; who has its name next finds none", async () => {
    const { ask } = await start();
    await ask("StoreSecret", { name: "key", value: "of the first" }, "acme");
    await expect(ask("DeleteTenant", { tenant_id: "acme" })).rejects.toMatchObject({
      code: "conflict",
    });
    expect(await ask("DeleteTenant", { tenant_id: "acme", force: true })).toMatchObject({
      services_killed: 0,
      secrets_revoked: 1,
    });
    await ask("CreateTenant", { tenant_id: "acme" });
    await expect(ask("RetrieveSecret", { name: "key" }, "acme")).rejects.toMatchObject({
      code: "not_found",
    });
    await expect(ask("DeleteTenant", { tenant_id: "nobody" })).rejects.toMatchObject({
      code: "not_found",
    });
  });

  test("is deleted with its limits and capabilities; with services only by force", async () => {
    const { ask, kernel } = await start();
    await ask("CreateTenant", { tenant_id: "acme", limits: { mailbox: 7 } });
    await ask("Deploy", deploy("a"), "acme");
    await expect(ask("DeleteTenant", { tenant_id: "acme" })).rejects.toMatchObject({
      code: "conflict",
    });
    expect(await ask("DeleteTenant", { tenant_id: "acme", force: true })).toMatchObject({
      tenant_id: "acme",
      services_killed: 1,
    });
    expect((await ask("ListTenants", {})).tenants).toEqual([]);
    expect(
      (await ask("GetConfig", {})).settings.some(({ from }) => from === "runtime update"),
    ).toBe(false);
    const { events } = await ask("ListEvents", { event_type: "tenant_created,tenant_deleted" });
    expect(events.map(({ event_type, tenant_id }) => [event_type, tenant_id])).toEqual([
      ["tenant_created", "acme"],
      ["tenant_deleted", "acme"],
    ]);
    expect(kernel.tenants.total).toBe(0);
  });

  test("counts towards max_tenants once, and is refused a first deploy where tenants are not open", async () => {
    const { ask } = await start({ env: { SOLO_MAX_TENANTS: "2" } });
    await ask("CreateTenant", { tenant_id: "a" });
    await ask("Deploy", deploy("x"), "a");
    await ask("Deploy", deploy("x"), "b");
    for (const refused of [
      ask("CreateTenant", { tenant_id: "c" }),
      ask("Deploy", deploy("x"), "c"),
    ]) {
      await expect(refused).rejects.toMatchObject({ code: "limit_exceeded" });
    }
    await ask("SetConfig", { key: "solo.max_tenants", value: 3 });
    await ask("SetConfig", { key: "solo.open_tenants", value: false });
    await expect(ask("Deploy", deploy("x"), "c")).rejects.toMatchObject({ code: "not_found" });
    await ask("CreateTenant", { tenant_id: "c" });
    await ask("Deploy", deploy("x"), "c");
    await ask("Deploy", deploy("y"), "b");
  });
});

describe("a setting", () => {
  test("is changed, recorded and taken back; others say why not", async () => {
    const { ask } = await start();
    const changed = await ask("SetConfig", { key: "limits.max_total", value: 5 });
    expect(changed).toEqual({
      key: "limits.max_total",
      value: 5,
      from: "runtime update",
      runtime: true,
    });
    expect((await ask("GetConfig", { key: "limits.max_total" })).settings).toEqual([changed]);
    expect(await ask("SetConfig", { key: "limits.max_total" })).toMatchObject({
      value: 1000,
      from: "default",
    });
    const { events } = await ask("ListEvents", { event_type: "config_changed" });
    expect(events.map(({ subject, payload }) => [subject, payload])).toEqual([
      ["limits.max_total", { key: "limits.max_total", from: 1000, to: 5 }],
      ["limits.max_total", { key: "limits.max_total", from: 5, to: 1000 }],
    ]);
    for (const [key, value] of [
      ["solo.http_port", 1],
      ["solo.http_port", null],
      ["limits.max_totl", 1],
      ["limits.max_total", "many"],
      ["limits", {}],
      ["__proto__.x", 1],
      ["tenants.toString.mailbx", 1],
    ] as const) {
      await expect(ask("SetConfig", { key, value }), key).rejects.toMatchObject({
        code: "config_invalid",
      });
    }
    expect(Reflect.get(Object.prototype.toString, "mailbox")).toBeUndefined();
    await ask("SetConfig", { key: "tenants.toString.mailbox", value: 3 });
    expect(Reflect.get(Object.prototype.toString, "mailbox")).toBeUndefined();
    await expect(ask("GetConfig", { key: "nothing" })).rejects.toMatchObject({ code: "not_found" });
  });

  test("holds the last of many changes at the same time", async () => {
    const { ask } = await start();
    const values = Array.from({ length: 20 }, (_, index) => index + 1);
    await Promise.all(values.map((value) => ask("SetConfig", { key: "limits.mailbox", value })));
    expect((await ask("GetConfig", { key: "limits.mailbox" })).settings[0]?.value).toBe(20);
    const { events } = await ask("ListEvents", { event_type: "config_changed" });
    expect(events.map(({ payload }) => payload["to"])).toEqual(values);
  });
});
