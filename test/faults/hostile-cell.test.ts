/** A cell that was taken over loses its own process; its tenant's service comes back in a
 *  new one, and nobody else notices. */
import { prepareCellPrograms } from "#bin/cell-host.ts";
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import {
  asCellProcess,
  launchPlain,
  type CellProcess,
  type Launcher,
} from "#kernel/cells/launcher.ts";
import { startInProcess, type InProcessKernel } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";
import { meanwhile } from "./meanwhile.ts";

const HOSTILE = fileURLToPath(new URL("./hostile-cell.mjs", import.meta.url));
const CODE = `export default { init: () => ({ count: 0 }), calls: { get: (solo) => (solo.state.count += 1) } };`;
/** Well below the service's own 30 s: the kernel must not need that deadline. */
const PROMPTLY_MS = 25_000;

let solo: InProcessKernel;
/** What the next cell does; a real one when undefined. */
let next: string | undefined;
let hostile: { process: CellProcess; gone: boolean } | undefined;
/** Those of the present test. */
let realCells: CellProcess[] = [];
const plain = launchPlain({ node: process.execPath, programs: await prepareCellPrograms() });

const launch: Launcher = (options) => {
  if (options.program !== "cell" || next === undefined) {
    const real = plain(options);
    if (options.program === "cell") realCells.push(real);
    return real;
  }
  const child = spawn(process.execPath, [HOSTILE, next], {
    env: {},
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  });
  next = undefined;
  const entry = { process: asCellProcess(child, options.onStderr), gone: false };
  void entry.process.exited.then(() => (entry.gone = true));
  hostile = entry;
  return entry.process;
};

beforeAll(async () => {
  solo = await startInProcess({ launch });
  await solo.ask("Deploy", { service_id: "witness", code: CODE }, "neighbour");
});
afterAll(() => solo[Symbol.asyncDispose]());

let tenant = "";
let count = 0;
beforeEach(() => {
  next = undefined;
  hostile = undefined;
  realCells = [];
  tenant = `mallory-${(count += 1)}`;
});

/** The pool would keep each tenant's cell for a while. */
afterEach(async () => {
  await solo.ask("Kill", { service_id: "svc", force: true }, tenant).catch(() => {});
  for (const cell of [hostile?.process, ...realCells]) cell?.kill();
});

const promptly = async <T>(work: Promise<T>): Promise<T> => {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("It did not end promptly.")), PROMPTLY_MS);
  return Promise.race([work, promise]).finally(() => clearTimeout(timer));
};
const refusal = async (work: Promise<unknown>): Promise<string> => {
  const answer = await promptly(work.catch((error: unknown) => error));
  expect(answer).toBeInstanceOf(SoloError);
  return (answer as SoloError).code;
};
/** Calls of somebody else while `work` runs: every one must succeed, on the same instance. */
const undisturbed = async (work: () => Promise<void>) => {
  const before = await solo.ask("Status", { service_id: "witness" }, "neighbour");
  let last = (await solo.call("neighbour", "witness", "get")) as number;
  const call = async () => {
    const reply = (await promptly(solo.call("neighbour", "witness", "get"))) as number;
    expect(reply).toBe(last + 1);
    last = reply;
    await new Promise((resolve) => setTimeout(resolve, 20));
  };
  await meanwhile(call, work);
  const after = await solo.ask("Status", { service_id: "witness" }, "neighbour");
  expect(after.instance_id).toBe(before.instance_id);
};
const deployHostile = (behaviour: string) => {
  next = behaviour;
  return solo.ask("Deploy", { service_id: "svc", code: CODE }, tenant);
};

describe("a cell that answers a call with", () => {
  test.for([
    "a frame of four gigabytes",
    "a frame of no length",
    "random bytes",
    "a kind that is not there",
    "a request that is no JSON",
    "a log line that is null",
    "a heartbeat that is null",
    "state beyond every limit",
    "an end that is null",
    "an end with nonsense in it",
    "a request of ten million brackets",
    "a log line of thirty megabytes",
    "a heartbeat of two million instances",
    "a heartbeat of endless numbers",
    "an end of half a million messages",
    "a start of three hundred kilobytes",
    "a second start",
    "two requests under one id",
  ])("%s is killed, and its service comes back elsewhere", (behaviour) =>
    undisturbed(async () => {
      await deployHostile(behaviour);
      expect(await refusal(solo.call(tenant, "svc", "get"))).toBe("outcome_unknown");
      await until(() => hostile?.gone, "the hostile cell to be gone");
      expect(await promptly(solo.call(tenant, "svc", "get"))).toBe(1);
      const { restarts } = await solo.ask("Status", { service_id: "svc" }, tenant);
      expect(restarts).toBe(1);
    }),
  );

  test.for(["more requests than its window", "requests of more than its window"])(
    "%s is killed; what it asked for in time is done",
    (behaviour) =>
      undisturbed(async () => {
        await deployHostile(behaviour);
        expect(await refusal(solo.call(tenant, "svc", "get"))).toBe("outcome_unknown");
        await until(() => hostile?.gone, "the hostile cell to be gone");
        expect(await promptly(solo.call(tenant, "svc", "get"))).toBeGreaterThan(1);
      }),
  );

  test("a reply that is no JSON has answered with an error of its own", () =>
    undisturbed(async () => {
      await deployHostile("a reply that is no JSON");
      expect(await refusal(solo.call(tenant, "svc", "get"))).toBe("service_error");
    }));

  test.for([
    ["a reply nested four million deep", "payload_too_large"],
    ["an error nested four million deep", "service_error"],
  ] as const)("%s has answered with %s", ([behaviour, code]) =>
    undisturbed(async () => {
      await deployHostile(behaviour);
      expect(await refusal(solo.call(tenant, "svc", "get"))).toBe(code);
    }),
  );

  test("replies for everybody settles only its own calls", () =>
    undisturbed(async () => {
      await deployHostile("replies for everybody");
      expect(await promptly(solo.call(tenant, "svc", "get"))).toMatch(/^(forged|mine)$/);
    }));

  test.for(["a flood of log lines", "a flood of requests"])(
    "%s does not keep others waiting",
    (behaviour) =>
      undisturbed(async () => {
        await deployHostile(behaviour);
        const answer = await solo
          .call(tenant, "svc", "get")
          .catch((error: SoloError) => error.code);
        expect(["mine", "outcome_unknown", "service_crashed"]).toContain(answer);
      }),
  );
});

describe("a cell that answers an HTTP request with", () => {
  const visit = () => solo.ingress(tenant, "svc");
  const drain = async (body: AsyncIterable<Uint8Array>) => {
    for await (const _ of body);
  };

  test.for([
    "a head that is no JSON",
    "headers that are no list",
    "headers that are no texts",
    "a status that is not there",
  ])("%s has answered with an error of its own", (behaviour) =>
    undisturbed(async () => {
      await deployHostile(behaviour);
      expect(await refusal(visit())).toBe("service_error");
    }),
  );

  test("a body of single bytes, and more after its end, has answered with that body once", () =>
    undisturbed(async () => {
      await deployHostile("a body of single bytes, and more after its end");
      const { status, body } = await visit();
      let bytes = 0;
      let pieces = 0;
      for await (const piece of body!) {
        bytes += piece.length;
        pieces += 1;
      }
      expect({ status, bytes }).toEqual({ status: 200, bytes: 100_000 });
      expect(pieces).toBeLessThan(50_000);
    }));

  test("a body beyond its window is cut off", () =>
    undisturbed(async () => {
      await deployHostile("a body beyond its window");
      const { body } = await visit();
      // Its answer to this comes after all of the body.
      await promptly(solo.call(tenant, "svc", "get"));
      expect(await refusal(drain(body!))).toBe("service_error");
    }));
});

describe("a cell that answers a start with", () => {
  test.for(["null as started", "handlers that are no list", "handlers that are no texts"])(
    "%s fails that deploy, and the name is free again",
    (behaviour) =>
      undisturbed(async () => {
        expect(await refusal(deployHostile(behaviour))).toBe("startup_failed");
        await until(() => hostile?.gone, "the hostile cell to be gone");
        await solo.ask("Deploy", { service_id: "svc", code: CODE }, tenant);
        expect(await solo.call(tenant, "svc", "get")).toBe(1);
      }),
  );
});

test("no hostile cell ever made a part of the kernel fail", async () => {
  const events = await solo.kernel.events.read({ eventTypes: ["system_child_exited"] });
  expect(events).toEqual([]);
});
