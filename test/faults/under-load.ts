/**
 * Clients of every kind on one kernel that is killed under them, and what they were told.
 *
 * 1. Only what was acknowledged counts: an answer that the kernel's death cut off may or may
 *    not have taken effect, but wholly.
 */
import { expect } from "vitest";
import { until, type TestKernel } from "../support/kernel.ts";

/** So many acknowledgements of each kind, then the kernel dies. */
const ENOUGH = 4;
const ENOUGH_CALLS = 24;
const PAGE = 10_000;

export const COUNTER = `export default {
  init: () => ({ count: 0 }),
  calls: { increment: (solo) => (solo.state.count += 1), get: (solo) => solo.state.count },
};`;
const STORE = `export default { calls: {
  async put(solo, key, value) { await solo.kv.put(key, value); return true; },
  get: (solo, key) => solo.kv.get(key),
} };`;
const ONE_OF_MANY = (name: string) =>
  `export default { calls: { name: () => ${JSON.stringify(name)} } };`;

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
export const CONFIG = "[tenants.many]\nmax_per_tenant = 10000";

async function prepare(kernel: TestKernel): Promise<void> {
  await kernel.deploy({ service_id: "durable", code: COUNTER, persistence: "durable" });
  await kernel.deploy({ service_id: "hybrid", code: COUNTER, persistence: "hybrid" });
  await kernel.deploy({ service_id: "stateless", code: COUNTER });
  await kernel.deploy({ service_id: "store", code: STORE });
}

function load(kernel: TestKernel, told: Told, round: number) {
  const seen = { durable: 0, keys: 0, deployed: 0, killed: 0, events: 0 };
  const gone = new AbortController();
  const forever = async (step: (count: number) => Promise<void>) => {
    for (let count = 0; !gone.signal.aborted; count += 1) {
      try {
        await step(count);
      } catch {
        // The kernel dies under its clients; what they had not been told does not count.
        if (!gone.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 5));
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
    forever(
      async () =>
        void (await Promise.all([
          kernel.call("hybrid", "increment"),
          kernel.call("stateless", "increment"),
        ])),
    ),
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
      for (const event of await kernel.events({ limit: 200, newest_first: true }))
        told.events.set(event["id"], JSON.stringify(event));
      seen.events += 1;
    }),
  ];
  return {
    enough: () =>
      Object.values(seen).every((count) => count >= ENOUGH) && seen.durable >= ENOUGH_CALLS,
    async over() {
      gone.abort();
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
  for (let since_id = 0; ;) {
    const page = await (tenant === undefined ? kernel : kernel.tenant(tenant)).events({
      since_id,
      limit: PAGE,
    });
    for (const event of page) all.set(event["id"], JSON.stringify(event));
    if (page.length < PAGE) return all;
    since_id = page.at(-1)!["id"];
  }
}

/** So often: load, kill -9, start again, and everything that was acknowledged is there. */
export async function killRepeatedly(kernel: TestKernel, rounds: number): Promise<void> {
  await prepare(kernel);
  const told: Told = {
    durable: 0,
    keys: new Set(),
    deployed: new Set(),
    killed: new Set(),
    killing: new Set(),
    attempted: new Set(),
    events: new Map(),
  };
  for (let round = 0; round < rounds; round += 1) {
    const clients = load(kernel, told, round);
    await until(clients.enough, "every kind of client to be answered a few times");
    await kernel.kill9();
    await clients.over();
    await kernel.restart();
    expect(kernel.stdout).not.toContain(" not: ");
    await check(kernel, told);
  }
  await checkEvents(kernel, told);
}

async function checkEvents(kernel: TestKernel, told: Told): Promise<void> {
  const events = await allEvents(kernel);
  for (const [id, text] of told.events) expect(events.get(id)).toBe(text);
  const { last_id } = (await kernel.request("GET", "/events?limit=1")).body;
  const both = new Set([...events.keys(), ...(await allEvents(kernel, "many")).keys()]);
  const missing = Array.from({ length: last_id }, (_, index) => index + 1).filter(
    (id) => !both.has(id),
  );
  expect(missing).toEqual([]);
}
