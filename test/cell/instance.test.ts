/** The host's side of one guest (src/cell/instance.ts), with a guest that only says what it is told to. */
import { afterEach, describe, expect, test } from "vitest";
import type { Guest } from "#cell/engine.ts";
import { IN } from "#cell/guest/lines.ts";
import { Instance } from "#cell/instance.ts";
import { PoolGate } from "#cell/lanes.ts";
import { FROM_CELL, type StartInstance } from "#wire/messages.ts";
import { until } from "../support/until.ts";

const START: StartInstance = {
  tenant: "t",
  service: "s",
  instance: "i",
  entry: "m.js",
  modules: [],
  seed: "",
  env: {},
  args: undefined,
  state: { from: "init" },
  durable: false,
  keepState: false,
  memoryMb: 64,
  startupTimeoutMs: 10_000,
  callTimeoutMs: 10_000,
  stateBytes: 1000,
  excluded: [],
  fastLane: true,
};
const PROOFS = 50;

let instance: Instance | undefined;
afterEach(() => instance?.drop());

/** Each turn takes 5 ms on the clock and `workMs` of the processor, and answers all its calls. */
async function started({ workMs, later }: { workMs: number; later?: () => string }) {
  const seen = { pool: 0, here: 0 };
  const said: { kind: number; id: number; text: string }[] = [];
  let ranMs = 0;
  let cpuMs = 0;
  const answers = (inbox: string): string => {
    ranMs += 5;
    cpuMs += workMs;
    const ids = inbox.split("\n").map((line) => line.split(" ")[1]!);
    return `0${ids.map((id) => `R ${id} 1`).join("\n")}`;
  };
  let beginning = true;
  const guest: Guest = {
    load: () => Promise.resolve(),
    expectRequests: () => {},
    async turn(inbox) {
      seen.pool += 1;
      return answers(inbox);
    },
    turnNow(inbox) {
      if (inbox.startsWith(IN.setup)) return "0";
      seen.here += 1;
      return answers(inbox);
    },
    drain() {
      const isFirst = beginning;
      beginning = false;
      return isFirst ? '0O 0 {"handlers":[]}' : `0${later?.() ?? ""}`;
    },
    salvage: () => Promise.resolve('{"current":0,"waiting":[]}\n0'),
    give: () => {},
    take: () => [],
    ranMs: () => ranMs,
    heapBytes: () => Promise.resolve(0),
    dispose: () => {},
  };
  instance = new Instance({
    slot: 1,
    start: START,
    guest,
    gate: new PoolGate(),
    answerLocally: () => undefined,
    send: (kind, _slot, id, payload = "") => said.push({ kind, id, text: payload.toString() }),
    cpuMs: () => cpuMs,
    threadCpuMs: () => cpuMs,
    ended: () => {},
  });
  await instance.start();
  let last = 0;
  const call = async () => {
    const id = (last += 1);
    instance!.post(IN.call, id, '["go",[]]', "calls.go");
    await until(
      () => said.some((each) => each.kind === FROM_CELL.reply && each.id === id),
      "a reply",
    );
  };
  return { seen, said, call };
}

describe("an instance", () => {
  test("earns the cell's own thread by how much it works, not by how long it waits for a core", async () => {
    const { seen, call } = await started({ workMs: 0.1 });
    for (let n = 0; n < PROOFS + 10; n += 1) await call();
    expect(seen).toEqual({ pool: PROOFS, here: 10 });
  });

  test("that works for longer stays on the pool", async () => {
    const { seen, call } = await started({ workMs: 2 });
    for (let n = 0; n < PROOFS + 10; n += 1) await call();
    expect(seen).toEqual({ pool: PROOFS + 10, here: 0 });
  });

  test("is heard to the end of each turn: also what its continuations said after it returned", async () => {
    let line = 0;
    const log = () => `l 0 {"level":"info","text":"line ${(line += 1)}"}`;
    const { said, call } = await started({ workMs: 0.1, later: log });
    await call();
    await call();
    expect(said.filter(({ kind }) => kind === FROM_CELL.log).map(({ text }) => text)).toEqual([
      '{"level":"info","text":"line 1"}',
      '{"level":"info","text":"line 2"}',
    ]);
  });
});
