/** Processes of services that end in the middle of something: whoever waits hears of it, the
 *  service is there with its state, and nothing stays half done. */
import { AsyncLocalStorage } from "node:async_hooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import { prepareCellPrograms } from "#bin/cell-host.ts";
import { launchPlain, type CellProcess, type Launcher } from "#kernel/cells/launcher.ts";
import { SLEEP_STEPS, SWAP_STEPS, WAKE_STEPS, type FaultStep } from "#kernel/faults.ts";
import { startInProcess, type InProcessKernel } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";

/** From outside, by its own fault, and frozen. */
const SIGNALS = ["SIGKILL", "SIGSEGV", "SIGSTOP"] as const;
type Signal = (typeof SIGNALS)[number];
/** The others at some steps only: it takes seconds until a frozen one is found out. */
const EXAMPLES: ReadonlySet<string> = new Set(["held", "recorded", "drowsy", "woken", "saving"]);
const stepsOf = <S extends string>(signal: Signal, steps: readonly S[]): S[] =>
  steps.filter((step) => signal === "SIGKILL" || EXAMPLES.has(step));
/** Well below every deadline of a service's own. */
const PROMPTLY_MS = 25_000;

const counter = (version: number) => `export default { version: "${version}",
  init: () => ({ n: 0 }),
  codeChange: (old) => ({ ...old }),
  calls: { add: (solo) => (solo.state.n += 1), look: (solo) => [solo.state.n, ${version}] },
};`;

/** Of each tenant, the processes that it has had. */
const cells = new Map<string, CellProcess[]>();
function end(tenant: string, signal: Signal): void {
  for (const { pid } of cells.get(tenant) ?? []) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

/** As behind walls: a SIGKILL that the kernel did not send came from outside. */
const plain = launchPlain({ node: process.execPath, programs: await prepareCellPrograms() });
const launch: Launcher = (options) => {
  const real = plain(options);
  if (options.program !== "cell") return real;
  return {
    ...real,
    holdsMemoryLimit: true,
    async belongTo(tenant) {
      const its = cells.get(tenant) ?? [];
      cells.set(tenant, [...its, real]);
      void real.exited.then(() => {
        const left = cells.get(tenant)!.filter((each) => each !== real);
        cells.set(tenant, left);
      });
    },
  };
};

/** What a test has planned for a step that it takes itself, or that its service takes. */
interface Plan {
  readonly step: FaultStep;
  readonly act: () => void;
}
const own = new AsyncLocalStorage<Plan>();
const ofService = new Map<string, Plan>();
let decided: (() => void) | undefined;

let solo: InProcessKernel;
beforeAll(async () => {
  solo = await startInProcess({
    launch,
    faults: (step, of) => {
      for (const plan of [own.getStore(), ofService.get(of ?? "")]) {
        if (plan?.step === step) plan.act();
      }
      if (step === "decided") decided?.();
    },
  });
});
afterAll(() => solo[Symbol.asyncDispose]());

let tenants = 0;
const newTenant = () => `acme-${(tenants += 1)}`;
const ID = { service_id: "svc" };
const SLEEPS = { hibernation: { after_idle_ms: 3_600_000 } };
const DURABLE = {
  ...ID,
  ...SLEEPS,
  persistence: "durable",
  watchdog: { enabled: false },
  restart_limits: { max_restarts: 3, max_seconds: 60 },
};
const add = (tenant: string) => solo.call(tenant, "svc", "add") as Promise<number>;
/** Its count and its version; asked again when it ends in the middle of that. */
async function look(tenant: string): Promise<[number, number]> {
  for (;;) {
    try {
      return (await promptly(solo.call(tenant, "svc", "look"))) as [number, number];
    } catch (error) {
      if ((error as SoloError).code !== "outcome_unknown") throw error;
    }
  }
}
const replicaOf = (tenant: string) => solo.replicas(tenant, "svc")[0]!;

async function promptly<T>(work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("It did not end promptly.")), PROMPTLY_MS);
  return Promise.race([work, promise]).finally(() => clearTimeout(timer));
}
/** "ok", or the code of the error. */
const outcome = async (work: Promise<unknown>): Promise<string> => {
  const error = await promptly(
    work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    ),
  );
  if (error === undefined) return "ok";
  expect(error).toBeInstanceOf(SoloError);
  return (error as SoloError).code;
};

/** Once: the first time that the step comes. */
function once(step: FaultStep, act: () => void): Plan {
  let left = 1;
  return { step, act: () => void (left-- > 0 && act()) };
}

/** A tenant with a durable counter that stands at 1. */
async function newCounter(): Promise<string> {
  const tenant = newTenant();
  await solo.ask("Deploy", { ...DURABLE, code: counter(1) }, tenant);
  expect(await add(tenant)).toBe(1);
  return tenant;
}

/** The counter's process ends when the kernel next takes this step for it. */
const endAt = (step: FaultStep, tenant: string, signal: Signal): void =>
  void ofService.set(
    `${tenant}/svc`,
    once(step, () => end(tenant, signal)),
  );

async function whole(tenant: string): Promise<void> {
  const status = await until(async () => {
    const seen = await solo.ask("Status", ID, tenant);
    if (seen.state !== "running") throw new Error(JSON.stringify(seen));
    return seen;
  }, "it to run");
  expect(status.mailbox_length).toBe(0);
  expect(new Set(status.instances.map(({ revision }) => revision))).toEqual(
    new Set([status.revision]),
  );
}

describe.concurrent.for(SIGNALS)("a process that gets %s", (signal) => {
  test("while a service starts in it: the deploy succeeds elsewhere or fails, and leaves nothing", async () => {
    const tenant = newTenant();
    // The first start lasts until its process ends; what it wrote is there for the next.
    const code = `export default { async init(solo) {
      if (await solo.kv.get("begun")) return { n: 0 };
      await solo.kv.put("begun", true);
      await solo.events.emit("begun", {});
      await new Promise(() => {});
    }, calls: { add: (solo) => (solo.state.n += 1) } };`;
    const deploy = outcome(solo.ask("Deploy", { ...DURABLE, code }, tenant));
    await until(async () => {
      const { events } = await solo.ask("ListEvents", { event_type: "service.begun" }, tenant);
      return events.length > 0;
    }, "the start");
    end(tenant, signal);
    expect(await deploy).toBe(signal === "SIGKILL" ? "ok" : "startup_failed");
    if (signal !== "SIGKILL") {
      expect((await solo.ask("List", {}, tenant)).services).toEqual([]);
      await solo.ask("Deploy", { ...DURABLE, code: counter(1) }, tenant);
    }
    expect(await add(tenant)).toBe(1);
    await whole(tenant);
  });

  test.for(stepsOf(signal, SWAP_STEPS))(
    "in a swap, after it was %s: one revision serves, with the state",
    async (step) => {
      const tenant = await newCounter();
      let adding: Promise<string> | undefined;
      const plan = once(step, () => {
        // It waits for the new revision, or is in the process when that ends.
        adding = outcome(add(tenant));
        end(tenant, signal);
      });
      const updated = await outcome(
        own.run(plan, () => solo.ask("Update", { ...ID, code: counter(2) }, tenant)),
      );
      expect(adding).toBeDefined();
      const added = await adding!;
      expect(["ok", "outcome_unknown"]).toContain(added);
      const [n, version] = await look(tenant);
      // Of one that ended as soon as it served, the answer says that its revision stays.
      const outcomes = ["ok", "service_crashed", "startup_failed", "service_not_running"];
      expect([...outcomes, "unavailable"]).toContain(updated);
      const serves = updated === "ok" || updated === "service_crashed" ? 2 : 1;
      expect({ updated, version }).toEqual({ updated, version: serves });
      expect(added === "ok" ? [2] : [1, 2]).toContain(n);
      await whole(tenant);
      expect(await outcome(solo.ask("Update", { ...ID, code: counter(3) }, tenant))).toBe("ok");
      expect(await look(tenant)).toEqual([n, 3]);
    },
  );

  test.for(stepsOf(signal, [...SLEEP_STEPS, ...WAKE_STEPS]))(
    "in a sleep that is %s: the service is there, with its state",
    async (step) => {
      const tenant = await newCounter();
      endAt(step, tenant, signal);
      const slept = await outcome(replicaOf(tenant).hibernate());
      expect(["ok", "service_not_running", "deadline_exceeded"]).toContain(slept);
      const added = await outcome(add(tenant));
      expect(["ok", "outcome_unknown"]).toContain(added);
      const [n] = await look(tenant);
      expect(added === "ok" ? [2] : [1, 2]).toContain(n);
      await whole(tenant);
    },
  );

  test.for(stepsOf(signal, ["saving", "saved"] as const))(
    "while a durable write is %s: what was answered is on disk",
    async (step) => {
      const tenant = await newCounter();
      endAt(step, tenant, signal);
      const added = await outcome(add(tenant));
      expect(["ok", "outcome_unknown"]).toContain(added);
      // The state came before its process ended: the next instance begins with it.
      expect((await look(tenant))[0]).toBe(2);
      await whole(tenant);
    },
  );

  test("while a response and an upload stream: both break off at once, with a reason", async () => {
    const tenant = newTenant();
    const code = `export default { concurrent: true, async fetch(request) {
      if (request.method === "POST") { for await (const _ of request.body); return new Response("all"); }
      return new Response(new ReadableStream({ async pull(to) {
        await new Promise((resolve) => setTimeout(resolve, 5)); to.enqueue(new Uint8Array(10));
      } }));
    } };`;
    await solo.ask("Deploy", { ...ID, code }, tenant);
    let uploaded = 0;
    let over = false;
    async function* upload() {
      try {
        for (;;) {
          yield new Uint8Array(10);
          uploaded += 1;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      } finally {
        over = true;
      }
    }
    const ask = (method: string, body: AsyncIterable<Uint8Array> | undefined) =>
      solo.kernel.port.ingress(
        { tenant, service: "svc", method, url: "http://localhost/", headers: [], body },
        { credentials: { token: solo.token, tenant }, signal: new AbortController().signal },
      );
    const posted = outcome(ask("POST", upload()));
    const { body } = await ask("GET", undefined);
    const reader = body![Symbol.asyncIterator]();
    await reader.next();
    await until(() => uploaded > 3, "the upload to flow");
    end(tenant, signal);
    const rest = (async () => {
      while ((await reader.next()).done !== true);
    })();
    expect(await outcome(rest)).toBe("service_crashed");
    expect(await posted).toBe("outcome_unknown");
    await until(() => over, "the upload to be let go of");
    const again = await ask("GET", undefined);
    expect(again.status).toBe(200);
    await again.body![Symbol.asyncIterator]().return?.(undefined);
  });
});

test.for(SIGNALS)(
  "a process that gets %s as a rollout steps: it ends, and every slot has its state",
  async (signal) => {
    const tenant = newTenant();
    const more = { ...DURABLE, instances: 2 };
    await solo.ask("Deploy", { ...more, code: counter(1) }, tenant);
    await add(tenant);
    await add(tenant);
    const plan = once("decided", () => end(tenant, signal));
    decided = plan.act;
    await promptly(
      solo.ask(
        "Update",
        { ...ID, code: counter(2), strategy: { type: "rolling", pause_ms: 1 } },
        tenant,
      ),
    );
    await until(
      async () => (await solo.ask("Status", ID, tenant)).rollout === undefined,
      "the end of the rollout",
    );
    decided = undefined;
    const { revision } = await solo.ask("Status", ID, tenant);
    const sum = (await Promise.all([look(tenant), look(tenant)])).map(([n]) => n);
    expect(sum).toEqual([1, 1]);
    expect(revision).toBeDefined();
    await whole(tenant);
  },
);
