/** kill -9 of the kernel while everything goes on at once. What was acknowledged is there
 *  after the next start, nothing is there by half, and nothing runs in between. */
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { startKernel, until, type TestKernel } from "../support/kernel.ts";

const ROUNDS = 5;
/** So many acknowledgements of each kind, then the kernel dies. */
const ENOUGH = 8;

const COUNTER = `export default {
  init: () => ({ count: 0 }),
  calls: { increment: (solo) => (solo.state.count += 1), get: (solo) => solo.state.count },
};`;
const STORE = `export default { calls: {
  async put(solo, key, value) { await solo.kv.put(key, value); return true; },
  get: (solo, key) => solo.kv.get(key),
} };`;
const ONE_OF_MANY = (name: string) => `export default { calls: { name: () => ${JSON.stringify(name)} } };`;

interface Told {
  /** The highest count that a reply of the durable service held. */
  durable: number;
  readonly keys: Set<string>;
  /** Services whose deploy was acknowledged, whose kill was, and those in between. */
  readonly deployed: Set<string>;
  readonly killed: Set<string>;
  readonly killing: Set<string>;
  readonly attempted: Set<string>;
  readonly events: Map<number, string>;
}

/** Clients of every kind, until the kernel is gone; what they were told is kept in `told`. */
function load(kernel: TestKernel, told: Told, round: number) {
  const seen = { durable: 0, keys: 0, deployed: 0, killed: 0, events: 0 };
  let gone = false;
  const forever = async (step: (count: number) => Promise<void>) => {
    for (let count = 0; !gone; count += 1) {
      try {
        await step(count);
      } catch {
        // The kernel dies under its clients; what they had not been told does not count.
        if (!gone) await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  };
  const increment = async () => {
    const reply = (await kernel.call("durable", "increment")) as number;
    told.durable = Math.max(told.durable, reply);
    seen.durable += 1;
  };
  const clients = [
    forever(increment),
    forever(increment),
    forever(async (count) => {
      const key = `${round}-${count}`;
      await kernel.call("store", "put", key, key);
      told.keys.add(key);
      seen.keys += 1;
    }),
    forever(async () => void (await Promise.all([kernel.call("hybrid", "increment"), kernel.call("stateless", "increment")]))),
    forever(async (count) => {
      const name = `many-${round}-${count}`;
      told.attempted.add(name);
      await kernel.tenant("many").deploy({ service_id: name, code: ONE_OF_MANY(name) });
      told.deployed.add(name);
      seen.deployed += 1;
      if (count % 2 === 1) return;
      told.killing.add(name);
      await kernel.tenant("many").kill(name);
      told.killed.add(name);
      seen.killed += 1;
    }),
    forever(async () => {
      for (const event of await kernel.events({ limit: 200, newest_first: true })) told.events.set(event["id"], JSON.stringify(event));
      seen.events += 1;
    }),
  ];
  return {
    enough: () => Object.values(seen).every((count) => count >= ENOUGH / 2) && seen.durable >= ENOUGH * 3,
    async over() {
      gone = true;
      await Promise.all(clients);
    },
  };
}

async function check(kernel: TestKernel, told: Told): Promise<void> {
  expect(await kernel.call("durable", "get")).toBeGreaterThanOrEqual(told.durable);
  expect(await kernel.call("stateless", "get")).toBe(0);
  for (const key of told.keys) expect(await kernel.call("store", "get", key)).toBe(key);

  const many = kernel.tenant("many");
  const listed = await many.list();
  const names = new Set(listed.map((service) => service["service_id"] as string));
  for (const name of told.deployed) {
    if (!told.killing.has(name)) expect(names.has(name), `${name} was acknowledged`).toBe(true);
  }
  for (const name of told.killed) expect(names.has(name), `${name} was killed`).toBe(false);
  for (const { service_id: name, state } of listed as { service_id: string; state: string }[]) {
    expect(told.attempted.has(name), name).toBe(true);
    expect(state, name).toBe("running");
    expect(await many.call(name, "name")).toBe(name);
  }
  expect((await kernel.request("POST", "/events/verify", {})).body).toMatchObject({ ok: true });
}

async function allEvents(kernel: TestKernel, tenant?: string): Promise<Map<number, string>> {
  const all = new Map<number, string>();
  for (let since_id = 0; ; ) {
    const page = await (tenant === undefined ? kernel : kernel.tenant(tenant)).events({ since_id, limit: 10_000 });
    for (const event of page) all.set(event["id"], JSON.stringify(event));
    if (page.length < 10_000) return all;
    since_id = page.at(-1)!["id"];
  }
}

test(`${ROUNDS} kills under load lose nothing that was acknowledged`, { timeout: 60_000 }, async () => {
  await using kernel = await startKernel({ config: "[tenants.many]\nmax_per_tenant = 10000" });
  await kernel.deploy({ service_id: "durable", code: COUNTER, persistence: "durable" });
  await kernel.deploy({ service_id: "hybrid", code: COUNTER, persistence: "hybrid" });
  await kernel.deploy({ service_id: "stateless", code: COUNTER });
  await kernel.deploy({ service_id: "store", code: STORE });
  const told: Told = {
    durable: 0,
    keys: new Set(),
    deployed: new Set(),
    killed: new Set(),
    killing: new Set(),
    attempted: new Set(),
    events: new Map(),
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    const clients = load(kernel, told, round);
    await until(clients.enough, "every kind of client to be answered a few times");
    await kernel.kill9();
    await clients.over();
    await kernel.restart();
    expect(kernel.stdout).not.toContain(" not: ");
    await check(kernel, told);
  }
  const events = await allEvents(kernel);
  for (const [id, text] of told.events) expect(events.get(id)).toBe(text);
  const { last_id } = (await kernel.request("GET", "/events?limit=1")).body;
  const both = new Set([...events.keys(), ...(await allEvents(kernel, "many")).keys()]);
  const missing = Array.from({ length: last_id }, (_, index) => index + 1).filter((id) => !both.has(id));
  expect(missing).toEqual([]);
});

describe("hybrid state after a kill -9", () => {
  test("is as of the last flush, and after an orderly stop it is whole", { timeout: 40_000 }, async () => {
    await using kernel = await startKernel();
    await kernel.deploy({ service_id: "hybrid", code: COUNTER, persistence: "hybrid" });
    for (let count = 0; count < 7; count += 1) await kernel.call("hybrid", "increment");
    await until(() => flushed(kernel.dataDir, "count"), "a flush", 15_000);
    await kernel.call("hybrid", "increment");
    await kernel.kill9();
    await kernel.restart();
    const count = (await kernel.call("hybrid", "get")) as number;
    expect([7, 8]).toContain(count);
    await kernel.call("hybrid", "increment");
    await kernel.restart();
    expect(await kernel.call("hybrid", "get")).toBe(count + 1);
  });
});

/** Looks into the store from outside, reading only. */
function flushed(dataDir: string, text: string): boolean {
  const db = new DatabaseSync(join(dataDir, "state.db"), { readOnly: true });
  try {
    return db.prepare("SELECT value FROM kv WHERE ns = 'state'").all().some(({ value }) => Buffer.from(value as Uint8Array).includes(text));
  } finally {
    db.close();
  }
}

describe("nothing outlives a kernel that is killed", () => {
  test("not even cells that loop, and compilers at work", async () => {
    await using kernel = await startKernel();
    const loop = `export default { calls: { spin: () => { for (;;); } } };`;
    await kernel.deploy({ service_id: "spin", code: loop, limits: { call_timeout_ms: 60_000 } });
    await kernel.tenant("other").deploy({ service_id: "spin", code: loop, limits: { call_timeout_ms: 60_000 } });
    const spinning = [kernel, kernel.tenant("other")].map((tenant) => tenant.ask("spin", "spin").catch(() => {}));
    await until(async () => (await kernel.status("spin"))["mailbox_length"] === 1, "the call to be at work");
    expect(kernel.cellPids().length).toBeGreaterThanOrEqual(3);
    // Resolves when the kernel and every process that was ever seen under it are gone.
    await kernel.kill9();
    await Promise.all(spinning);
  });
});

describe("a hundred services", () => {
  test("come back after a kill -9; one that no longer starts is reported and stops nobody", { timeout: 40_000 }, async () => {
    await using kernel = await startKernel();
    const tenants = ["a", "b", "c", "d"].map((name) => kernel.tenant(name));
    await Promise.all(
      tenants.map(async (tenant) => {
        for (let at = 0; at < 25; at += 1) {
          await tenant.deploy({ service_id: `s-${at}`, code: COUNTER, persistence: at % 5 === 0 ? "durable" : "stateless" });
        }
        await tenant.call("s-0", "increment");
      }),
    );
    const fragile = `export default {
      async init(solo) { if (await solo.kv.get("poison")) throw new Error("no longer"); },
      calls: { async poison(solo) { await solo.kv.put("poison", true); } },
    };`;
    await kernel.deploy({ service_id: "fragile", code: fragile });
    await kernel.call("fragile", "poison");
    await kernel.kill9();
    await kernel.restart();
    expect(kernel.stdout).toContain("services 100 back, 1 not: default/fragile");
    for (const tenant of tenants) {
      const states = (await tenant.list()).map((service) => service["state"]);
      expect(states).toEqual(Array.from({ length: 25 }, () => "running"));
      expect(await tenant.call("s-0", "get")).toBe(1);
    }
    const failures = await kernel.events({ event_type: "service_deployment_failed" });
    expect(failures.at(-1)).toMatchObject({ subject: "fragile", payload: { detail: expect.stringContaining("no longer") } });
    const { state, last_crash } = await kernel.status("fragile");
    expect(state).toBe("quarantined");
    expect(last_crash["message"]).toContain("no longer");
    expect((await kernel.ask("fragile", "poison")).body).toMatchObject({ code: "service_quarantined" });
    expect((await kernel.request("POST", "/services/fragile/restart")).body).toMatchObject({ code: "startup_failed" });
    await kernel.kill("fragile");
    await kernel.deploy({ service_id: "fragile", code: fragile });
  });
});
