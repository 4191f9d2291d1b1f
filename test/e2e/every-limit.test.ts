/**
 * Every limit there is, one row each: told before it is passed and when it is, acted on as it was
 * chosen, shown in the status, and settable for all, for a tenant and for a service.
 */
import { afterAll, describe, expect, test } from "vitest";
import { perTenant } from "#config/tenant-limits.ts";
import { LIMIT_ACTION_NAMES, LIMIT_NAMES } from "#deploy/limits.ts";
import { CPU_WINDOW_MS } from "#limits/cpu-share.ts";
import { SERVICE_RESOURCES, TENANT_RESOURCES, type Resource } from "#limits/limit.ts";
import { startKernel, until, type Answer, type Body, type TestTenant } from "../support/kernel.ts";

const MIB = 1024 * 1024;
/** The machine may be busy with other things. */
const PATIENCE_MS = 30_000;

type LimitName = (typeof LIMIT_NAMES)[keyof typeof LIMIT_NAMES];
type TenantSetting = Extract<keyof typeof perTenant, `tenant_${string}` | "max_per_tenant">;
type Act = "throttle" | "kill" | "warn";

interface Row {
  readonly what: Resource;
  /** Its name in a deployment, or in the configuration of a tenant. */
  readonly setting: LimitName | TenantSetting;
  readonly limit: number;
  /** Of an event and of the status, for one of the setting. */
  readonly unit?: number;
  /** What happens, or whose action may be chosen. */
  readonly action: Act | keyof typeof LIMIT_ACTION_NAMES;
  /** More than 80 % of it, and not more than all of it. */
  readonly near: (tenant: TestTenant, id: string) => Promise<unknown>;
  /** Of the service, so that no other limit comes first. */
  readonly room?: Readonly<Record<string, number>>;
  /** Of its deployment. */
  readonly persistence?: "durable";
  /** Passes it; says whether something was refused, where that can be seen. */
  readonly pass: (tenant: TestTenant, id: string) => Promise<boolean | undefined>;
}

const code = `const held = []; let x = 1; const work = (solo, turns) => { for (let i = 0; i < turns; i += 1) x = (Math.imul(x, 31) + i) | 0; return x; }; const K = "k".repeat(1000); export default { concurrent: true, init: () => ({ n: 0 }), calls: {
  ok: () => 1,
  work,
  hold(solo, mb) { for (let i = 0; i < mb; i += 1) held.push(new Uint8Array(1024 * 1024).fill(1)); return held.length; },
  bomb() { for (;;) held.push(Array.from({ length: 10_000 }, (_, i) => ({ i }))); },
  hang: (solo) => new Promise((resolve) => solo.signal.addEventListener("abort", resolve)),
  echo: (solo, text) => text.length,
  async timers(solo, count) { for (let i = 0; i < count; i += 1) { try { await solo.after(60_000, 1); } catch (error) { return error.code; } } },
  log(solo, count) { for (let i = 0; i < count; i += 1) solo.log.info("line"); },
  say(solo, size, times = 1) { for (let i = 0; i < times; i += 1) solo.log.info("x".repeat(size)); },
  keep: (solo, size) => void (solo.state.kept = "x".repeat(size)),
  async put(solo, from, to, size) { for (let i = from; i < to; i += 1) { try { await solo.kv.put("k" + i, "x".repeat(size)); } catch (error) { return error.code; } } },
  async ask(solo, count) { await Promise.all(Array.from({ length: count }, () => solo.kv.get("none"))); },
}, casts: {
  spin(solo, ms) { const end = Date.now() + ms; while (Date.now() < end); },
  wait: (solo, ms) => solo.sleep(ms),
} };`;

const violations = async (tenant: TestTenant, what: Resource): Promise<Body[]> =>
  (await tenant.events({ event_type: "resource_violation" }))
    .map(({ payload, subject }) => ({ ...(payload as Body), subject }))
    .filter((each: Body) => each["what"] === what);

const told = (tenant: TestTenant, what: Resource, level: string): Promise<Body> =>
  until(
    async () => (await violations(tenant, what)).find((each) => each["level"] === level),
    `${what} to be told of (${level})`,
    PATIENCE_MS,
  );

const usageOf = async (tenant: TestTenant, id: string, what: Resource): Promise<Body> =>
  (await tenant.status(id))["usage"].find((each: Body) => each["what"] === what);

/** Takes a small step and looks again, until the limit is near. */
const approach = (
  tenant: TestTenant,
  id: string,
  { what, step }: { what: Resource; step: () => Promise<unknown> },
) =>
  until(
    async () => {
      if ((await usageOf(tenant, id, what))["level"] !== "ok") return true;
      await step();
      return false;
    },
    `${what} to come near`,
    PATIENCE_MS,
  );

/** A refusal by a limit, however it is told. */
const REFUSALS = ["limit_exceeded", "payload_too_large", "mailbox_full"];
const isRefusal = ({ body }: Answer): boolean =>
  REFUSALS.includes(String(body["reply"] ?? body["code"]));
const hang = (tenant: TestTenant, id: string, count: number): Promise<Answer>[] =>
  Array.from({ length: count }, () => tenant.ask(id, "hang", [], { timeout_ms: 3000 }));
const spin = (tenant: TestTenant, id: string, ms: number) =>
  tenant.request("POST", `/services/${id}/casts/spin`, { args: [ms] });
/** Most of what is missing at each step, and a little more each time: many small ones would have
 *  left the window before the last of them. Counted work, since time on the clock says little on
 *  a busy machine; how much that is shows with each step. A step too far is waited out. */
function spend(tenant: TestTenant, id: string, what: Resource): Promise<unknown> {
  let turns = 4_000_000;
  let share = 0.8;
  const step = async () => {
    const { cpu_ms: before } = await tenant.status(id);
    if ((await tenant.ask(id, "work", [turns])).status !== 200) return;
    const used = await cpuSince(tenant, id, before);
    const { value, limit } = await usageOf(tenant, id, what);
    const missingMs = ((0.9 * limit - value) / 100) * CPU_WINDOW_MS;
    turns *= used === 0 ? 4 : Math.min(4, Math.max(0.1, (share * missingMs) / used));
    share += 0.1;
  };
  return until(async () => {
    if ((await violations(tenant, what)).some(({ level }) => level === "approach")) return true;
    if ((await usageOf(tenant, id, what))["level"] === "ok") await step();
    return false;
  }, `${what} to come near`);
}

/** The kernel counts twice a second what cells tell of four times a second. */
const COUNTED_MS = 800;

/** The CPU time that a service has used since, ms: when it has not changed for a while. */
async function cpuSince(tenant: TestTenant, id: string, before: number): Promise<number> {
  let last = { ms: before, at: performance.now() };
  await until(async () => {
    const { cpu_ms: ms } = await tenant.status(id);
    if (ms !== last.ms) last = { ms, at: performance.now() };
    return performance.now() - last.at > COUNTED_MS;
  }, "the work to be counted");
  return last.ms - before;
}

/** The kernel looks twice a second: each step is seen before the next. */
async function holdSeen(tenant: TestTenant, id: string, mib: number): Promise<void> {
  const { value: before } = await usageOf(tenant, id, "tenant_memory");
  await tenant.call(id, "hold", mib);
  await until(
    async () => (await usageOf(tenant, id, "tenant_memory"))["value"] > before + (mib * MIB) / 2,
    "what is held to be seen",
    PATIENCE_MS,
  );
}

/** However little of a busy machine it gets. */
const overspend = (tenant: TestTenant, id: string, what: Resource) =>
  until(
    async () => {
      await spin(tenant, id, 50);
      return (await violations(tenant, what)).some(({ level }) => level === "exceeded");
    },
    `${what} to be passed`,
    PATIENCE_MS,
  );
/** Near by a call with these arguments, passed by one with those. */
const called = (name: string, near: unknown[], past: unknown[]): Pick<Row, "near" | "pass"> => ({
  near: (tenant, id) => tenant.call(id, name, ...near),
  pass: async (tenant, id) => isRefusal(await tenant.ask(id, name, past)),
});
const spent = (what: Resource): Pick<Row, "near" | "pass"> => ({
  near: (tenant, id) => spend(tenant, id, what),
  async pass(tenant, id) {
    await overspend(tenant, id, what);
    return isRefusal(await tenant.ask(id, "ok"));
  },
});
const hung: Pick<Row, "near" | "pass"> = {
  near: (tenant, id) => Promise.all(hang(tenant, id, 9)),
  pass: async (tenant, id) => (await Promise.all(hang(tenant, id, 14))).some(isRefusal),
};
const wait = (tenant: TestTenant, id: string, chars: number) =>
  tenant.request("POST", `/services/${id}/casts/wait`, { args: [60_000, "x".repeat(chars)] });

const ROWS: readonly Row[] = [
  {
    what: "memory",
    setting: "memory_mb",
    limit: 40,
    unit: MIB,
    action: "kill",
    near: (tenant, id) => tenant.call(id, "hold", 34),
    async pass(tenant, id) {
      await tenant.ask(id, "bomb");
      return undefined;
    },
  },
  {
    what: "cpu",
    setting: "cpu_percent",
    limit: 4,
    action: "cpu",
    ...spent("cpu"),
  },
  {
    what: "call_time",
    setting: "call_timeout_ms",
    // Long enough that the kernel looks several times between near and passed.
    limit: 8000,
    action: "kill",
    near: (tenant, id) => spin(tenant, id, 60_000),
    // The same loop does.
    pass: () => Promise.resolve(undefined),
  },
  {
    what: "mailbox",
    setting: "mailbox",
    limit: 10,
    action: "throttle",
    near: async (tenant, id) => {
      for (let i = 0; i < 9; i += 1) await wait(tenant, id, 1);
    },
    async pass(tenant, id) {
      const answers = [];
      for (let i = 0; i < 3; i += 1) answers.push(await wait(tenant, id, 1));
      return answers.some(isRefusal);
    },
  },
  {
    what: "open_requests",
    setting: "open_requests",
    limit: 10,
    action: "openRequests",
    ...hung,
  },
  {
    what: "timers",
    setting: "timers",
    limit: 10,
    action: "timers",
    ...called("timers", [9], [3]),
  },
  {
    what: "log_lines",
    setting: "log_lines_per_second",
    limit: 50,
    action: "logs",
    near: (tenant, id) => tenant.call(id, "log", 45),
    async pass(tenant, id) {
      await tenant.ask(id, "log", [100]);
      const dropped = async () => (await tenant.logs(id)).some(({ text }) => /dropped/.test(text));
      return until(dropped, "the line about dropped ones", 3000).catch(() => false);
    },
  },
  {
    what: "log_line",
    setting: "log_line_bytes",
    limit: 1000,
    action: "throttle",
    near: (tenant, id) => tenant.call(id, "say", 900),
    async pass(tenant, id) {
      await tenant.ask(id, "say", [1100]);
      const cut = async () => (await tenant.logs(id)).find(({ text }) => text.endsWith("…"));
      return (await until(cut, "the line that was cut", PATIENCE_MS))["text"].length === 1000;
    },
  },
  {
    what: "log",
    setting: "log_bytes",
    limit: 100_000,
    action: "throttle",
    near: (tenant, id) => tenant.call(id, "say", 5000, 18),
    async pass(tenant, id) {
      await tenant.ask(id, "say", [5000, 4]);
      const chars = async () =>
        (await tenant.logs(id)).reduce((sum, { text }) => sum + text.length, 0);
      await until(async () => (await chars()) < 100_000, "the oldest lines to go", PATIENCE_MS);
      return true;
    },
  },
  {
    what: "state",
    setting: "state_bytes",
    limit: 2000,
    action: "kill",
    persistence: "durable",
    near: (tenant, id) => tenant.call(id, "keep", 1700),
    async pass(tenant, id) {
      const { body } = await tenant.ask(id, "keep", [3000]);
      expect(body["detail"]).toContain("limits.state_bytes allows 2000");
      return undefined;
    },
  },
  {
    what: "message",
    setting: "message_bytes",
    limit: 2000,
    action: "throttle",
    ...called("echo", ["x".repeat(1800)], ["x".repeat(3000)]),
  },
  {
    what: "storage",
    setting: "storage_bytes",
    limit: 10_000,
    action: "storage",
    ...called("put", [0, 9, 1000], [9, 20, 1000]),
  },
  {
    what: "kv_keys",
    setting: "kv_keys",
    limit: 10,
    action: "storage",
    ...called("put", [0, 9, 1], [9, 12, 1]),
  },
  {
    what: "kv_value",
    setting: "kv_value_bytes",
    limit: 1000,
    action: "throttle",
    ...called("put", [0, 1, 900], [0, 1, 1100]),
  },
  {
    what: "host_requests",
    setting: "host_requests_per_second",
    limit: 100,
    action: "hostRequests",
    near: (tenant, id) => tenant.call(id, "ask", 90),
    async pass(tenant, id) {
      await tenant.ask(id, "ask", [150]);
      // What is held back is answered in the next second.
      return undefined;
    },
  },
];

const TENANT_ROWS: readonly Row[] = [
  {
    what: "tenant_memory",
    setting: "tenant_memory_mb",
    limit: 256,
    unit: MIB,
    action: "kill",
    room: { memory_mb: 250 },
    near: (tenant, id) =>
      approach(tenant, id, { what: "tenant_memory", step: () => holdSeen(tenant, id, 10) }),
    async pass(tenant, id) {
      await tenant.ask(id, "hold", [300]);
      return undefined;
    },
  },
  {
    what: "tenant_cpu",
    setting: "tenant_cpu_percent",
    limit: 6,
    action: "throttle",
    ...spent("tenant_cpu"),
  },
  {
    what: "tenant_open_requests",
    setting: "tenant_open_requests",
    limit: 10,
    action: "throttle",
    ...hung,
  },
  {
    what: "tenant_waiting",
    setting: "tenant_waiting_mb",
    limit: 1,
    unit: MIB,
    action: "throttle",
    async near(tenant, id) {
      for (let i = 0; i < 9; i += 1) await wait(tenant, id, 100_000);
    },
    pass: async (tenant, id) => isRefusal(await wait(tenant, id, 200_000)),
  },
  {
    what: "tenant_storage",
    setting: "tenant_storage_mb",
    limit: 1,
    unit: MIB,
    action: "throttle",
    ...called("put", [0, 9, 100_000], [9, 12, 100_000]),
  },
  {
    what: "tenant_services",
    setting: "max_per_tenant",
    limit: 5,
    action: "throttle",
    async near(tenant) {
      for (const service_id of ["b", "c", "d"]) await tenant.deploy({ service_id, code });
    },
    async pass(tenant) {
      await tenant.deploy({ service_id: "e", code });
      return isRefusal(await tenant.request("POST", "/services", { service_id: "f", code }));
    },
  },
];

/** Each action that a row may have. */
const CHOICES = ROWS.flatMap((row): { row: Row; act: Act }[] => {
  if (!(row.action in LIMIT_ACTION_NAMES)) return [{ row, act: row.action as Act }];
  const name = LIMIT_ACTION_NAMES[row.action as keyof typeof LIMIT_ACTION_NAMES];
  const { meta } = perTenant[`${name}_action`] as unknown as { meta(): { expected: string } };
  const acts = ["throttle", "warn", "kill"] as const;
  return acts.filter((act) => meta().expected.includes(act)).map((act) => ({ row, act }));
});

const tenantOf = ({ what }: Row, act = "own"): string => `${what.replaceAll("_", "-")}-${act}`;

/** Of those that a deployment can set: what is set for all, for one tenant, and by a deployment. */
const levelsOf = ({ setting }: Row) => {
  const { min, usual } = rangeOf(setting);
  return usual > min + 3
    ? { all: usual - 1, tenant: usual - 2, service: usual - 3 }
    : { all: min + 80, tenant: min + 70, service: min + 60 };
};

function rangeOf(setting: string): { min: number; usual: number } {
  const schema = perTenant[setting as keyof typeof perTenant];
  const usual = schema.parse(undefined) as number;
  return { min: usual === 0 ? 0 : 1, usual };
}

const settings = (level: "all" | "tenant"): string =>
  ROWS.map((row) => `${row.setting} = ${levelsOf(row)[level]}`).join("\n");

const kernel = await startKernel({
  config: `[limits]
drain_ms = 1000
${settings("all")}

[tenants.precedence]
${settings("tenant")}
${Object.values(LIMIT_ACTION_NAMES)
  .map((name) => `${name}_action = "kill"`)
  .join("\n")}

${TENANT_ROWS.map((row) => `[tenants.${tenantOf(row)}]\n${row.setting} = ${row.limit}`).join("\n\n")}
`,
});
afterAll(() => kernel[Symbol.asyncDispose]());

const crashOf = (tenant: TestTenant): Promise<Body> =>
  until(
    async () => (await tenant.events({ event_type: "service_crashed", service_id: "a" })).at(-1),
    "the crash",
    PATIENCE_MS,
  );

/** Comes near the limit, passes it, and sees what is told and done. */
async function provoke(row: Row, act: Act, subject: string | null): Promise<void> {
  const { what, limit, unit = 1 } = row;
  const tenant = kernel.tenant(tenantOf(row, subject === null ? "own" : act));
  const { room, persistence } = row;
  const input: Body = { service_id: "a", code, persistence, ...(room && { limits: room }) };
  if (subject !== null) {
    const actions = row.action in LIMIT_ACTION_NAMES && {
      actions: {
        [LIMIT_ACTION_NAMES[row.action as keyof typeof LIMIT_ACTION_NAMES]]: act,
      },
    };
    input["limits"] = { [row.setting]: limit, ...actions };
  }
  await tenant.deploy(input);
  const shown = { what, limit: limit * unit, action: act };
  expect(await usageOf(tenant, "a", what)).toMatchObject({ ...shown, level: "ok" });

  await row.near(tenant, "a");
  const near = await told(tenant, what, "approach");
  expect(near).toMatchObject({ ...shown, subject, count: 0 });
  expect(near["value"]).toBeGreaterThanOrEqual(limit * unit * 0.8);
  expect(near["value"]).toBeLessThanOrEqual(limit * unit);

  const wasRefused = await row.pass(tenant, "a");
  const excess = await told(tenant, what, "exceeded");
  expect(excess).toMatchObject({ ...shown, subject });
  expect(excess["value"]).toBeGreaterThanOrEqual(limit * unit);
  expect(excess["count"]).toBeGreaterThan(0);
  if (act === "kill") {
    expect((await crashOf(tenant))["payload"]).toMatchObject({
      reason: expect.stringMatching(persistence ? /^exception$/ : /^(limit|memory|timeout)$/),
    });
  } else {
    if (wasRefused !== undefined) expect(wasRefused).toBe(act === "throttle");
    expect(await tenant.events({ event_type: "service_crashed" })).toEqual([]);
  }
}

describe("every limit", () => {
  test("has a row here", () => {
    const rows = [...ROWS, ...TENANT_ROWS];
    expect(rows.map(({ what }) => what).toSorted()).toEqual(
      [...SERVICE_RESOURCES, ...TENANT_RESOURCES].toSorted(),
    );
    expect(ROWS.map(({ setting }) => setting).toSorted()).toEqual(
      Object.values(LIMIT_NAMES).toSorted(),
    );
    const ofTenants = Object.keys(perTenant).filter(
      (key) => key.startsWith("tenant_") || key === "max_per_tenant",
    );
    expect(TENANT_ROWS.map(({ setting }) => setting).toSorted()).toEqual(ofTenants.toSorted());
  });

  test.each(ROWS)(
    "$setting is set for all, for a tenant or for a service, the nearer before the farther",
    async (row) => {
      const { all, tenant: own, service } = levelsOf(row);
      const unit = row.unit ?? 1;
      const isChosen = row.action in LIMIT_ACTION_NAMES;
      const action = isChosen ? LIMIT_ACTION_NAMES[row.action as never] : undefined;
      const limits = {
        [row.setting]: service,
        ...(action !== undefined && { actions: { [action]: "throttle" } }),
      };
      const others = kernel.tenant("usual");
      const tenant = kernel.tenant("precedence");
      const id = row.setting.replaceAll("_", "-");
      await others.deploy({ service_id: id, code });
      await tenant.deploy({ service_id: id, code });
      await tenant.deploy({ service_id: `${id}-own`, code, limits });
      const shown = async (who: TestTenant, which: string) => {
        const { limit, action: act } = await usageOf(who, which, row.what);
        return [limit / unit, ...(isChosen ? [act] : [])];
      };
      const also = (act: Act) => (isChosen ? [act] : []);
      expect(await shown(others, id)).toEqual([all, ...also("throttle")]);
      expect(await shown(tenant, id)).toEqual([own, ...also("kill")]);
      expect(await shown(tenant, `${id}-own`)).toEqual([service, ...also("throttle")]);
    },
  );
});

describe.concurrent("a service is told before it passes a limit and when it does, and what follows was chosen", () => {
  test.each(CHOICES.map(({ row, act }) => [row.setting, act, row] as const))(
    "%s: %s",
    (_, act, row) => provoke(row, act, "a"),
  );
});

describe.concurrent("a tenant is told before it passes a limit and when it does", () => {
  test.each(TENANT_ROWS.map((row) => [row.setting, row] as const))("%s", (_, row) =>
    provoke(row, row.action as Act, null),
  );
});
