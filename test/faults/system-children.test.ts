/** A part of the kernel that fails is started again with those after it (K2), while services
 *  go on running and stay reachable. */
import { prepareCellPrograms } from "#bin/cell-host.ts";
import { Server } from "node:net";
import type { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { silentLogger } from "#base/log.ts";
import type { OperationName, OutputOf } from "#api/catalogue.ts";
import type { SoloError } from "#base/errors.ts";
import { RestGateway } from "#gateway/rest/gateway.ts";
import { launchPlain, type CellProcess, type Launcher } from "#kernel/cells/launcher.ts";
import type { GatewayPart } from "#kernel/parts.ts";
import { world } from "../egress/support.ts";
import { startInProcess, type InProcessKernel } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";
import { meanwhile } from "./meanwhile.ts";

const COUNTER = `export default {
  init: () => ({ count: 0 }),
  calls: { increment: (solo) => (solo.state.count += 1), get: (solo) => solo.state.count },
};`;

const FETCHES = `export default { calls: { drain: async (solo, url) => {
  try { for await (const _ of (await fetch(url)).body); return "its end"; }
  catch (error) { return (error.cause ?? error).code; }
} } };`;

type Granted = OutputOf<"GrantCapability">;

let solo: InProcessKernel;
let port = 0;
const threads: Worker[] = [];
const noteThread = (worker: Worker) => void threads.push(worker);
let compiler: CellProcess | undefined;

const plain = launchPlain({ node: process.execPath, programs: await prepareCellPrograms() });
const launch: Launcher = (options) => {
  const launched = plain(options);
  if (options.program === "compiler") compiler = launched;
  return launched;
};
const rest: GatewayPart = {
  id: "rest",
  async start(kernel) {
    const gateway = await RestGateway.start({
      kernel,
      host: "127.0.0.1",
      port,
      log: silentLogger,
      version: "0",
      readPage: async () => "",
    });
    port = gateway.address.port;
    return gateway;
  },
};

beforeAll(async () => {
  process.on("worker", noteThread);
  solo = await startInProcess({
    launch,
    gateways: [rest],
    env: { SOLO_SECURITY_EGRESS_PRIVATE_HOSTS: "127.0.0.1" },
  });
  await solo.ask("Deploy", { service_id: "steady", code: COUNTER });
  await solo.ask("Deploy", { service_id: "durable", code: COUNTER, persistence: "durable" });
  await solo.ask("Deploy", { service_id: "hybrid", code: COUNTER, persistence: "hybrid" });
});
afterAll(async () => {
  await solo[Symbol.asyncDispose]();
  process.off("worker", noteThread);
});

const presented = ({ token }: Granted) => ({
  credentials: { token: token! },
  signal: new AbortController().signal,
});
const as = <N extends OperationName>(by: Granted, name: N, input: object) =>
  solo.kernel.port.call(name, input, presented(by));
/** What a stream of the capability's ends with. */
const watch = async (by: Granted): Promise<unknown> => {
  try {
    for await (const _ of solo.kernel.port.stream("Watch", {}, presented(by)));
    return "its end";
  } catch (error) {
    return error;
  }
};
const connectTo = ({ port: at }: { readonly port: number }) => [
  { resources: [`net:127.0.0.1:${at}`] },
];
const thread = (name: string) => threads.findLast((worker) => worker.threadName === name)!;
const healthy = async () => (await fetch(`http://127.0.0.1:${port}/health`)).status === 200;
const happened = async (type: string, child: string, sinceId: number) => {
  const events = await solo.kernel.events.read({ eventTypes: [type], sinceId });
  return events.some(({ payload }) => (payload as { child?: string }).child === child);
};
const restarted = async (children: string[], sinceId: number) => {
  for (const child of children) {
    await until(
      () => happened("system_child_restarted", `system/${child}`, sinceId),
      `${child} to run again`,
    );
  }
};
/** Calls all the while: none may fail, and the instance stays the same. */
const undisturbed = async (work: () => Promise<void>) => {
  const before = await solo.ask("Status", { service_id: "steady" });
  const call = async () => {
    await solo.call("default", "steady", "increment");
    await new Promise((resolve) => setImmediate(resolve));
  };
  await meanwhile(call, work);
  const after = await solo.ask("Status", { service_id: "steady" });
  expect(after.instance_id).toBe(before.instance_id);
};

describe("when the storage thread dies", () => {
  test("the vault is open again on the new one, and an exchange of its key that was cut short ends", async () => {
    const names = Array.from({ length: 450 }, (_, n) => `k${n}`);
    await Promise.all(names.map((name) => solo.ask("StoreSecret", { name, value: `of ${name}` })));
    const since = solo.kernel.events.head();
    const rotation = solo.ask("RotateMasterKey", {}).then(
      () => "done",
      (error: SoloError) => error.code,
    );
    await thread("solo-storage").terminate();
    expect(["done", "unavailable"]).toContain(await rotation);
    await restarted(["vault"], since);
    await until(async () => !(await solo.ask("VaultStatus", {})).rotating, "the exchange to end");
    for (const name of names)
      expect((await solo.ask("RetrieveSecret", { name })).value).toBe(`of ${name}`);
    expect(await solo.ask("VaultStatus", {})).toMatchObject({ ok: true, damaged: [] });
  });

  test("it and what comes after it run again, on the same port, and services do not notice", () =>
    undisturbed(async () => {
      const since = solo.kernel.events.head();
      await thread("solo-storage").terminate();
      await restarted(["event_store", "compiler", "upkeep", "rest"], since);
      expect(await happened("system_child_exited", "system/event_store", since)).toBe(true);
      await until(healthy, "REST to answer again");
      expect(await solo.ask("VerifyEvents", {})).toMatchObject({ ok: true });
      await solo.ask("Deploy", { service_id: "later", code: COUNTER });
      expect(await solo.call("default", "later", "increment")).toBe(1);
    }));

  test("capabilities go on: old ones work, new ones are made, an end ends streams and requests under way", async () => {
    await using outside = await world((_, response) => void response.write("drop"));
    const drips = async (made: Granted, service_id: string) => {
      await as(made, "Deploy", { service_id, code: FETCHES, capabilities: connectTo(outside) });
      const before = outside.seen.length;
      const call = { service_id, name: "drain", args: [outside.url] };
      const ends = solo.ask("Call", call).then(({ reply }) => reply);
      await until(() => outside.seen.length > before, "the request to be under way");
      return { ends };
    };
    const terms = { permissions: ["read", "deploy", "connect"], resources: ["*"] };
    const early = await solo.ask("GrantCapability", terms);
    const under = await as(early, "AttenuateCapability", { id: "self", max_uses: 3 });
    await as(under, "List", {});
    const watched = watch(early);
    const drained = await drips(early, "drips-early");

    const since = solo.kernel.events.head();
    await thread("solo-storage").terminate();
    await restarted(["event_store", "rest"], since);

    const late = await solo.ask("GrantCapability", terms);
    const lateDrained = await drips(late, "drips-late");
    for (let use = 0; use < 2; use += 1) await as(under, "List", {});
    await expect(as(under, "List", {})).rejects.toMatchObject({ code: "permission_denied" });
    const lateWatched = watch(late);
    for (const { capability } of [early, late])
      await solo.ask("RevokeCapability", { id: capability.id });
    expect(await Promise.all([drained.ends, lateDrained.ends])).toEqual([
      "permission_denied",
      "permission_denied",
    ]);
    for (const stream of [watched, lateWatched])
      expect(await stream).toMatchObject({ code: "permission_denied" });
    await expect(as(late, "List", {})).rejects.toMatchObject({ code: "permission_denied" });
  });

  test("a durable service loses no reply that it gave, and works again", () =>
    undisturbed(async () => {
      const since = solo.kernel.events.head();
      let acknowledged = (await solo.call("default", "durable", "get")) as number;
      const refused = new Set<string>();
      const increment = async () => {
        try {
          const reply = (await solo.call("default", "durable", "increment")) as number;
          acknowledged = Math.max(acknowledged, reply);
        } catch (error) {
          refused.add((error as SoloError).code);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      };
      const kills = async () => {
        for (let round = 0; round < 2; round += 1) {
          const dying = thread("solo-storage");
          await dying.terminate();
          await until(() => thread("solo-storage") !== dying && healthy(), "storage to be back");
        }
        const before = acknowledged;
        await until(() => acknowledged > before, "a durable call to be answered again");
      };
      await meanwhile(
        async () => void (await Promise.all([increment(), increment(), increment()])),
        kills,
      );
      expect([...refused].filter((code) => code !== "unavailable")).toEqual([]);
      expect(await solo.call("default", "durable", "get")).toBeGreaterThanOrEqual(acknowledged);
      await solo.ask("Restart", { service_id: "durable" });
      expect(await solo.call("default", "durable", "get")).toBeGreaterThanOrEqual(acknowledged);
      await restarted(["event_store"], since);
    }));

  test("deploys under way are acknowledged and there, or refused and not there", async () => {
    const names = Array.from({ length: 24 }, (_, index) => `racer-${index}`);
    const outcomes = await Promise.all([
      ...names.map(async (service_id, index) => {
        const code = `${COUNTER}\n// ${index}`;
        const error = await solo.ask("Deploy", { service_id, code }).then(
          () => undefined,
          (thrown: SoloError) => thrown,
        );
        return { service_id, code: error?.code ?? "deployed" };
      }),
      (async () => {
        await until(
          async () =>
            (await solo.ask("List", {})).services.some(({ service_id }) =>
              service_id.startsWith("racer"),
            ),
          "a first deploy",
        );
        await thread("solo-storage").terminate();
      })(),
    ]);
    await until(healthy, "REST to answer again");
    const listed = new Set(
      (await solo.ask("List", { limit: 1000 })).services.map(({ service_id }) => service_id),
    );
    for (const outcome of outcomes) {
      if (outcome === undefined) continue;
      expect(["deployed", "unavailable"], outcome.service_id).toContain(outcome.code);
      expect(listed.has(outcome.service_id), outcome.service_id).toBe(outcome.code === "deployed");
      if (outcome.code === "deployed")
        await solo.ask("Kill", { service_id: outcome.service_id, force: true });
      else await solo.ask("Deploy", { service_id: outcome.service_id, code: COUNTER });
    }
  });
});

test("when a reading thread dies, the next query is answered", async () => {
  await solo.kernel.events.read({ limit: 1 });
  await thread("solo-reader").terminate();
  await until(() => solo.kernel.events.read({ limit: 1 }), "a query to be answered");
});

test("when a gateway's socket closes, it listens on the same port again", () =>
  undisturbed(async () => {
    const since = solo.kernel.events.head();
    const before = port;
    const handles = (process as unknown as { _getActiveHandles(): unknown[] })._getActiveHandles();
    const server = handles.find(
      (handle): handle is Server =>
        handle instanceof Server && (handle.address() as { port?: number } | null)?.port === port,
    )!;
    server.close();
    (server as unknown as { closeAllConnections(): void }).closeAllConnections();
    await restarted(["rest"], since);
    await until(healthy, "REST to answer again");
    expect(port).toBe(before);
    expect(await happened("system_child_restarted", "system/event_store", since)).toBe(false);
  }));

test("when the upkeep loop throws, it runs again", () =>
  undisturbed(async () => {
    const since = solo.kernel.events.head();
    const { tenants } = solo.kernel;
    const thrown = Promise.withResolvers<void>();
    Object.defineProperty(tenants, "all", {
      configurable: true,
      value() {
        Reflect.deleteProperty(tenants, "all");
        thrown.resolve();
        throw new Error("a bug");
      },
    });
    await thrown.promise;
    await restarted(["upkeep"], since);
  }));

describe("when the compiler is killed", () => {
  test("at rest, the next deploy is compiled by another", async () => {
    const dying = compiler!;
    dying.kill();
    await dying.exited;
    await solo.ask("Deploy", { service_id: "after-compiler", code: `${COUNTER} // 1` });
    expect(compiler).not.toBe(dying);
  });

  test("by a source nested 200 000 deep, that deploy alone fails", async () => {
    const bomb = `export default { calls: { a: () => ${"(".repeat(200_000)}1${")".repeat(200_000)} } };`;
    const outcomes = await Promise.all([
      solo.ask("Deploy", { service_id: "before", code: `${COUNTER} // 2` }).then(() => "ok"),
      solo
        .ask("Deploy", { service_id: "bomb", code: bomb })
        .catch((error: SoloError) => error.code),
      solo.ask("Deploy", { service_id: "behind", code: `${COUNTER} // 3` }).then(() => "ok"),
      solo
        .ask("Deploy", { service_id: "behind-too", code: `${COUNTER} // 4` }, "other")
        .then(() => "ok"),
    ]);
    expect(outcomes).toEqual(["ok", "compile_failed", "ok", "ok"]);
    await expect(solo.ask("Status", { service_id: "bomb" })).rejects.toMatchObject({
      code: "service_not_found",
    });
  });
});
