/** Processes of services that are killed or frozen from outside: who was at work hears of it
 *  at once, the tenant's others come back with their state, other tenants notice nothing. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { descendants, isAlive, processRef, type ProcessRef } from "../support/processes.ts";
import {
  startKernel,
  until,
  type Body,
  type TestKernel,
  type TestTenant,
} from "../support/kernel.ts";
import { meanwhile } from "./meanwhile.ts";

const COUNTER = `export default {
  init: () => ({ count: 0 }),
  calls: {
    increment: (solo) => (solo.state.count += 1),
    get: (solo) => solo.state.count,
    async slow(solo) { await solo.sleep(25_000); },
  },
};`;
const CHECKS = { max_restarts: 0, max_seconds: 3600 };

let kernel: TestKernel;
let beta: TestTenant;

beforeAll(async () => {
  // Without spares every new process belongs to the tenant whose deploy made it.
  kernel = await startKernel({ env: { SOLO_LIMITS_SPARE_CELLS: "0" } });
  beta = kernel.tenant("beta");
  await beta.deploy({ service_id: "witness", code: COUNTER });
});
afterAll(() => kernel[Symbol.asyncDispose]());

/** The words of a process's command; none of one that has just ended. */
function commandOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}

/** Also the walls around it, whose command ends in the cell's. */
const isOfCell = (pid: number): boolean =>
  commandOf(pid).some((word) => /\/cell-[0-9a-f]+\.cjs$/.test(word));

/** Runs `deploy`, and answers with the processes that came with it: the cell, and its walls. */
async function cellOf(deploy: () => Promise<unknown>): Promise<ProcessRef[]> {
  const before = new Set(descendants(kernel.pid).map(({ pid }) => pid));
  await deploy();
  const fresh = descendants(kernel.pid).filter((ref) => !before.has(ref.pid) && isOfCell(ref.pid));
  expect(fresh.length).toBeGreaterThan(0);
  return fresh;
}

function send(signal: NodeJS.Signals, refs: ProcessRef[]): void {
  for (const ref of refs) if (isAlive(ref)) process.kill(ref.pid, signal);
}

/** Another tenant's calls while `work` runs: not one may fail or be lost. */
async function unnoticed(work: () => Promise<void>): Promise<void> {
  const { instance_id } = await beta.status("witness");
  let last = await beta.call("witness", "get");
  const call = async () => {
    const reply = await beta.call("witness", "increment");
    expect(reply).toBe(last + 1);
    last = reply;
  };
  await meanwhile(call, work);
  expect((await beta.status("witness"))["instance_id"]).toBe(instance_id);
}

/** How a call in flight ended: by itself it would be "ok", by the service's own limit
 *  "deadline_exceeded". */
async function outcomeOf(call: Promise<{ status: number; body: Body }>): Promise<string> {
  const { status, body } = await call;
  return status === 200 ? "ok" : (body["code"] as string);
}

const atWork = (tenant: TestTenant, service: string) =>
  until(
    async () => (await tenant.status(service))["mailbox_length"] > 0,
    `${service} to be at work`,
  );

/** The first event of its type, once it is recorded. */
const eventOf = (tenant: TestTenant, service_id: string, event_type: string) =>
  until(
    async () => (await tenant.events({ service_id, event_type }))[0],
    `${event_type} of ${service_id}`,
  );
const crashOf = (tenant: TestTenant, service: string) =>
  eventOf(tenant, service, "service_crashed");

describe("a tenant's cell that is killed", () => {
  test("ends the call in flight at once, and everybody comes back with their state", () =>
    unnoticed(async () => {
      const alpha = kernel.tenant("alpha");
      const cell = await cellOf(() =>
        alpha.deploy({
          service_id: "idle",
          code: COUNTER,
          persistence: "durable",
          restart_limits: CHECKS,
        }),
      );
      await alpha.deploy({
        service_id: "busy",
        code: COUNTER,
        persistence: "durable",
        restart_limits: CHECKS,
      });
      await alpha.call("idle", "increment");
      await alpha.call("busy", "increment");
      const slow = alpha.ask("busy", "slow");
      await atWork(alpha, "busy");
      send("SIGKILL", cell);
      expect(await outcomeOf(slow)).toBe("outcome_unknown");
      expect(await alpha.call("busy", "get")).toBe(1);
      expect(await alpha.call("idle", "get")).toBe(1);

      // None of them killed it: a limit of no restarts at all quarantines nobody.
      const atHand = await crashOf(alpha, "busy");
      expect(atHand["payload"]).toMatchObject({
        reason: "cell",
        innocent: true,
        last_messages: ["calls.slow"],
        message: expect.stringContaining("somebody outside Solo killed it"),
      });
      const idle = await crashOf(alpha, "idle");
      expect(idle["payload"]).toMatchObject({ reason: "cell", innocent: true });
      for (const [service, crash] of [
        ["busy", atHand],
        ["idle", idle],
      ] as const) {
        const restart = await eventOf(alpha, service, "service_restarted");
        expect(restart["causation_id"]).toBe(crash["id"]);
        expect(await alpha.status(service)).toMatchObject({
          restarts: 1,
          last_crash: {
            reason: "cell",
            innocent: true,
            message: expect.stringContaining("somebody outside Solo killed it"),
            last_messages: service === "busy" ? ["calls.slow"] : [],
            event_id: crash["id"],
          },
        });
      }
    }));

  test("that dies by itself with several at work is held against none of them, and each comes back in a cell of its own", () =>
    unnoticed(async () => {
      const tenant = kernel.tenant("suspects");
      const deploy = (service_id: string) => () =>
        tenant.deploy({
          service_id,
          code: COUNTER,
          persistence: "durable",
          restart_limits: CHECKS,
        });
      const shared = await cellOf(deploy("one"));
      await deploy("two")();
      const before = new Set(kernel.cellPids());
      const slow = ["one", "two"].map((service) => tenant.ask(service, "slow"));
      for (const service of ["one", "two"]) await atWork(tenant, service);
      send("SIGSEGV", shared);
      for (const call of slow) expect(await outcomeOf(call)).toBe("outcome_unknown");
      for (const service of ["one", "two"]) {
        expect(await tenant.call(service, "get")).toBe(0);
        const crash = await crashOf(tenant, service);
        expect(crash["payload"]).toMatchObject({
          innocent: true,
          suspect: true,
          last_messages: ["calls.slow"],
        });
        expect((await tenant.status(service))["last_crash"]).toMatchObject({
          reason: "cell",
          message: expect.stringContaining("SIGSEGV"),
          innocent: true,
          suspect: true,
          last_messages: ["calls.slow"],
        });
      }
      // One of the two new cells, whichever it is, ends one of the two services alone.
      const [own] = kernel.cellPids().filter((pid) => !before.has(pid) && isOfCell(pid));
      const instances = () =>
        Promise.all(["one", "two"].map(async (each) => (await tenant.status(each))["instance_id"]));
      const [one, two] = await instances();
      send("SIGKILL", [processRef(own!)!]);
      await until(
        async () => (await instances()).some((id, at) => id !== [one, two][at]),
        "an end",
      );
      const after = await instances();
      expect(after.filter((id, at) => id === [one, two][at])).toHaveLength(1);
    }));

  test("again and again while nobody is at work, is held against nobody", () =>
    unnoticed(async () => {
      const tenant = kernel.tenant("patient");
      let cell = await cellOf(() =>
        tenant.deploy({
          service_id: "idle",
          code: COUNTER,
          persistence: "durable",
          restart_limits: CHECKS,
        }),
      );
      for (let round = 1; round <= 3; round += 1) {
        expect(await tenant.call("idle", "increment")).toBe(round);
        const dying = cell;
        cell = await cellOf(async () => {
          send("SIGKILL", dying);
          await until(async () => {
            const { restarts, state } = await tenant.status("idle");
            return restarts === round && state === "running";
          }, "the service to be back");
        });
      }
      expect(await tenant.status("idle")).toMatchObject({ state: "running", restarts: 3 });
    }));

  test("under load, every call ends with an answer or a reason", () =>
    unnoticed(async () => {
      const tenant = kernel.tenant("loaded");
      const names = ["a", "b", "c", "d"];
      const cell = await cellOf(async () => {
        for (const name of names)
          await tenant.deploy({ service_id: name, code: COUNTER, persistence: "durable" });
      });
      const highest = new Map(names.map((name) => [name, 0]));
      const outcomes = new Map<string, number>();
      const increment = async (name: string) => {
        const { status, body } = await tenant.ask(name, "increment");
        const outcome = status === 200 ? "ok" : body.code;
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        if (status === 200) highest.set(name, Math.max(highest.get(name)!, body.reply));
      };
      const answered = () => outcomes.get("ok") ?? 0;
      const clients = [...names, ...names, ...names];
      await meanwhile(
        async () => void (await Promise.all(clients.map(increment))),
        async () => {
          await until(() => answered() > 50, "some load");
          send("SIGKILL", cell);
          const before = answered();
          const isBack = async () => (await tenant.list()).every(({ restarts }) => restarts === 1);
          await until(async () => (await isBack()) && answered() > before + 50, "load again");
        },
      );
      // They are together again at once, and not each in a cell of its own.
      const ends = await Promise.all(names.map((name) => crashOf(tenant, name)));
      expect(ends.map(({ payload }) => payload["suspect"] ?? false)).toEqual(
        names.map(() => false),
      );
      expect(
        [...outcomes.keys()].filter((code) => code !== "ok" && code !== "outcome_unknown"),
      ).toEqual([]);
      for (const name of names)
        expect(await tenant.call(name, "get")).toBeGreaterThanOrEqual(highest.get(name)!);
    }));
});

test("a dedicated cell that is killed takes its own service with it and no other", () =>
  unnoticed(async () => {
    const tenant = kernel.tenant("gamma");
    await tenant.deploy({ service_id: "shared", code: COUNTER });
    const { instance_id } = await tenant.status("shared");
    const cell = await cellOf(() =>
      tenant.deploy({
        service_id: "alone",
        code: COUNTER,
        persistence: "durable",
        isolation: "dedicated",
      }),
    );
    await tenant.call("alone", "increment");
    const slow = tenant.ask("alone", "slow");
    await atWork(tenant, "alone");
    send("SIGKILL", cell);
    expect(await outcomeOf(slow)).toBe("outcome_unknown");
    expect(await tenant.call("alone", "get")).toBe(1);
    expect((await tenant.status("shared"))["instance_id"]).toBe(instance_id);
  }));

test("a cell that is frozen is found out by its silence and replaced", () =>
  unnoticed(async () => {
    const tenant = kernel.tenant("frozen");
    const cell = await cellOf(() =>
      tenant.deploy({ service_id: "svc", code: COUNTER, persistence: "durable" }),
    );
    await tenant.call("svc", "increment");
    send("SIGSTOP", cell);
    expect(await outcomeOf(tenant.ask("svc", "get"))).toBe("outcome_unknown");
    expect(await tenant.call("svc", "get")).toBe(1);
    expect(cell.some(isAlive)).toBe(false);
    expect((await crashOf(tenant, "svc"))["payload"]).toMatchObject({
      message: expect.stringContaining("it stopped answering"),
    });
  }));

test("spare cells that were killed are not given to anybody", async () => {
  await using spared = await startKernel({ env: { SOLO_LIMITS_SPARE_CELLS: "2" } });
  const spares = await until(() => {
    const found = descendants(spared.pid).filter(({ pid }) => isOfCell(pid));
    return found.filter(({ pid }) => commandOf(pid)[0]?.endsWith("node")).length === 2
      ? found
      : undefined;
  }, "two spares");
  send("SIGKILL", spares);
  const deploys = ["x", "y", "z"].map((name) =>
    spared.tenant(name).request("POST", "/services", { service_id: "svc", code: COUNTER }),
  );
  const codes = (await Promise.all(deploys)).map(({ status, body }) =>
    status === 201 ? "ok" : body.code,
  );
  expect(codes).toEqual(["ok", "ok", "ok"]);
});
