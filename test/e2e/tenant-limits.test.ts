/** What a tenant's processes use together is bounded, however many there are. */
import { afterAll, describe, expect, test } from "vitest";
import { startInProcess } from "../support/kernel-in-process.ts";
import { startKernel, until, type Body, type TestTenant } from "../support/kernel.ts";
import { tenantGroups } from "../support/tenant-group.ts";

const MIB = 1024 * 1024;
const MEMORY_MB = 256;

const kernel = await startKernel({
  config: `[tenants.crowd]
tenant_memory_mb = ${MEMORY_MB}

[tenants.bomber]
tenant_memory_mb = ${MEMORY_MB}

[tenants.busy]
tenant_cpu_percent = 5
`,
});
afterAll(() => kernel[Symbol.asyncDispose]());

const code = `const held = []; export default { init: () => ({ n: 0 }), calls: {
  hold(solo, mb) { for (let i = 0; i < mb; i += 1) held.push(new Uint8Array(1024 * 1024).fill(1)); return held.length; },
  bomb(solo, kind) { for (;;) held.push(BOMBS[kind]()); },
  next: (solo) => (solo.state.n += 1),
  spin() { const end = Date.now() + 100; while (Date.now() < end); },
} };
const MB = 1024 * 1024;
const BOMBS = {
  buffers: () => new Uint8Array(32 * MB).fill(1),
  resizable() { const buffer = new ArrayBuffer(MB, { maxByteLength: 64 * MB }); buffer.resize(64 * MB); return new Uint8Array(buffer).fill(1); },
  wasm() { const memory = new WebAssembly.Memory({ initial: 512 }); new Uint8Array(memory.buffer).fill(1); return memory; },
  heap: () => Array.from({ length: 100_000 }, (_, i) => ({ i })),
};`;

const BOMB_KINDS = ["buffers", "resizable", "wasm", "heap"];

const violations = async (tenant: TestTenant, what: string): Promise<Body[]> =>
  (await tenant.events({ event_type: "resource_violation" }))
    .map(({ payload, subject }) => ({ ...(payload as Body), subject }))
    .filter((each: Body) => each["what"] === what);

const exceeded = (tenant: TestTenant, what: string): Promise<Body> =>
  until(
    async () => (await violations(tenant, what)).find(({ level }) => level === "exceeded"),
    `${what} to be exceeded`,
    30_000,
  );

const crashOf = (tenant: TestTenant, service: string): Promise<Body> =>
  until(
    async () =>
      (await tenant.events({ service_id: service, event_type: "service_crashed" })).at(-1),
    `${service} to crash`,
  );

describe("memory of a tenant's processes together", () => {
  const services = ["one", "two", "three"];

  test("is held below its limit: one of them ends, is named, and the others go on", async () => {
    const tenant = kernel.tenant("crowd");
    const other = kernel.tenant("beside-crowd");
    await tenant.deploy({ service_id: "quiet", code });
    await other.deploy({ service_id: "calm", code });
    for (const service_id of services) {
      await tenant.deploy({ service_id, code, isolation: "dedicated" });
    }
    expect(await tenant.call("quiet", "next")).toBe(1);
    await Promise.all(services.map((id) => tenant.ask(id, "hold", [70])));
    // Not of the answers: who ends may have given its own before.
    const ended = await until(async () => {
      const crashes = await tenant.events({ event_type: "service_crashed" });
      return crashes.length > 0 && [...new Set(crashes.map(({ subject }) => subject as string))];
    }, "one of them to end");
    expect(ended.length).toBeLessThan(services.length);
    expect(await exceeded(tenant, "tenant_memory")).toMatchObject({
      subject: null,
      limit: MEMORY_MB * MIB,
      action: "kill",
    });
    for (const id of ended) expect((await crashOf(tenant, id))["payload"].reason).toBe("memory");
    expect(await tenant.call("quiet", "next")).toBe(2);
    expect(await other.call("calm", "next")).toBe(1);
  });

  test("is bounded where only the kernel looks: the largest process ends", async () => {
    await using plain = await startInProcess({
      env: { SOLO_LIMITS_TENANT_MEMORY_MB: "300" },
    });
    const limits = { memory_mb: 1024 };
    for (const service_id of ["small", "large", "idle"]) {
      await plain.ask("Deploy", { service_id, code, isolation: "dedicated", limits }, "t");
    }
    expect(await plain.call("t", "small", "hold", 20)).toBe(20);
    const seen = async (event_type: string) => {
      const { events } = await plain.ask("ListEvents", { event_type }, "t");
      return events.length > 0 ? events : undefined;
    };
    const told = (event_type: string) => until(() => seen(event_type), event_type);
    // How much a process holds by itself, the machine decides.
    const crashes = await until(async () => {
      const ended = await seen("service_crashed");
      if (ended === undefined) await plain.call("t", "large", "hold", 20).catch(() => {});
      return ended;
    }, "the largest to end");
    expect(crashes).toMatchObject([{ subject: "large", payload: { reason: "memory" } }]);
    const excess = (await told("resource_violation")).filter(({ payload }) =>
      JSON.stringify(payload).includes("exceeded"),
    );
    expect(excess).toMatchObject([
      { subject: null, payload: { what: "tenant_memory", action: "kill", count: 1 } },
    ]);
    expect(await plain.call("t", "small", "next")).toBe(1);
  });
});

describe("a memory bomb", () => {
  test.each(BOMB_KINDS)(
    "of %s ends alone and never takes its tenant beyond its limit",
    async (kind) => {
      const tenant = kernel.tenant("bomber");
      if (kind === "buffers") await tenant.deploy({ service_id: "quiet", code });
      await tenant.deploy({
        service_id: kind,
        code,
        isolation: "dedicated",
        limits: { memory_mb: 4096 },
      });
      const { status, body } = await tenant.ask(kind, "bomb", [kind]);
      expect([status, body.code]).toEqual([502, "service_crashed"]);
      expect((await crashOf(tenant, kind))["payload"].reason).toMatch(/memory|exception/);
      expect((await tenant.ask("quiet", "next")).status).toBe(200);
    },
  );

  test("of any kind is ended by the kernel's own look where nothing else holds it", async () => {
    await using plain = await startInProcess({
      env: { SOLO_LIMITS_TENANT_MEMORY_MB: String(MEMORY_MB) },
    });
    const limits = { memory_mb: 4096 };
    for (const kind of BOMB_KINDS) {
      await plain.ask("Deploy", { service_id: kind, code, isolation: "dedicated", limits }, kind);
      await expect(plain.call(kind, kind, "bomb", kind)).rejects.toMatchObject({
        code: "service_crashed",
      });
      const [crash] = await until(async () => {
        const { events } = await plain.ask("ListEvents", { event_type: "service_crashed" }, kind);
        return events.length > 0 ? events : undefined;
      }, `${kind} to crash`);
      expect(crash).toMatchObject({ subject: kind, payload: { reason: "memory" } });
      expect(JSON.stringify(crash)).toContain("it passed its memory limit");
    }
  });

  test("takes no tenant's control group beyond its limit, as Linux itself recorded", ({ skip }) => {
    const groups = tenantGroups(kernel.pid).filter(({ limit }) => limit <= MEMORY_MB * MIB);
    if (groups.length === 0) return skip("no groups of tenants here");
    expect(groups).toHaveLength(2);
    for (const { peak, limit } of groups) {
      expect(peak).toBeGreaterThan(0.9 * limit);
      expect(peak).toBeLessThanOrEqual(MEMORY_MB * MIB);
    }
  });
});

describe("CPU time of a tenant's processes together", () => {
  test("is held to its share: told, refused, and nobody else notices", async () => {
    const tenant = kernel.tenant("busy");
    const other = kernel.tenant("beside-busy");
    await other.deploy({ service_id: "calm", code });
    for (const service_id of ["one", "two"]) {
      await tenant.deploy({ service_id, code, isolation: "dedicated" });
    }
    // However little of a busy machine they get in 100 ms; and nothing waits behind it.
    const told = await until(async () => {
      await Promise.all(["one", "two"].map((id) => tenant.ask(id, "spin")));
      return (await violations(tenant, "tenant_cpu")).find(({ level }) => level === "exceeded");
    }, "their share to be exceeded");
    expect(told).toMatchObject({ subject: null, limit: 5, action: "throttle" });
    const refused = await until(async () => {
      const answer = await tenant.ask("one", "next");
      return answer.status === 429 && answer;
    }, "a refusal");
    expect(refused.body).toMatchObject({ code: "limit_exceeded" });
    expect(refused.body.detail).toContain("5% of a core");
    expect(await other.call("calm", "next")).toBe(1);
    expect((await tenant.status("two"))["usage"]).toContainEqual(
      expect.objectContaining({ what: "tenant_cpu", limit: 5, level: "exceeded" }),
    );
    await until(
      async () => (await tenant.ask("one", "next")).status === 200,
      "its share again",
      60_000,
    );
    expect(await tenant.events({ event_type: "service_crashed" })).toEqual([]);
  });
});
