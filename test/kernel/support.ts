/** Real kernel parts over a cell that the test plays itself: in-memory, no process. */
import { duplexPair } from "node:stream";
import { systemClock } from "#base/clock.ts";
import type { SoloError } from "#base/errors.ts";
import { newInstanceId } from "#base/ids.ts";
import { Cell } from "#kernel/cells/cell.ts";
import type { CellExit, CellProcess } from "#kernel/cells/launcher.ts";
import { Dispatch, type DispatchKind } from "#kernel/services/messages/dispatch.ts";
import { Instance, type InstanceEvents } from "#kernel/services/instance/instance.ts";
import { FrameReader, FrameWriter } from "#wire/frame.ts";
import { FROM_CELL, TO_CELL, type StartInstance } from "#wire/messages.ts";

export interface Heard {
  readonly kind: number;
  readonly slot: number;
  readonly id: number;
  readonly text: string;
}

export interface PlayedCell {
  readonly cell: Cell;
  readonly heard: Heard[];
  /** What the cell says to the kernel. */
  say(kind: number, slot: number, id: number, payload?: string): void;
  /** The process ends. */
  die(exit?: Partial<CellExit>): void;
}

/** A cell that answers `start` at once unless told otherwise, and `drop` and `stop` never. */
export function playedCell({ starts = true }: { starts?: boolean } = {}): PlayedCell {
  const [near, far] = duplexPair();
  const exit = Promise.withResolvers<CellExit>();
  const heard: Heard[] = [];
  const writer = new FrameWriter(far);
  const reader = new FrameReader(({ kind, slot, id, payload }) => {
    heard.push({ kind, slot, id, text: payload.toString() });
    if (kind === TO_CELL.start && starts) {
      writer.send(FROM_CELL.started, slot, 0, JSON.stringify({ handlers: ["calls.a"] }));
    }
  });
  far.on("data", (chunk: Buffer) => reader.push(chunk));
  const die = (how: Partial<CellExit> = {}) => {
    near.destroy();
    far.destroy();
    exit.resolve({ how: "SIGKILL", outOfMemory: false, ...how });
  };
  const process: CellProcess = {
    pid: 0,
    socket: near,
    exited: exit.promise,
    cleared: exit.promise.then(() => {}),
    holdsMemoryLimit: true,
    holdsTenantMemory: true,
    memoryBytes: () => undefined,
    cpuMs: () => undefined,
    mainThread: () => undefined,
    limitMemory: async () => {},
    belongTo: async () => {},
    kill: () => die(),
  };
  return {
    cell: new Cell({ process, clock: systemClock }),
    heard,
    say: (kind, slot, id, payload = "") => writer.send(kind, slot, id, payload),
    die,
  };
}

const START: StartInstance = {
  tenant: "t",
  service: "s",
  instance: "i",
  entry: "index.ts",
  seed: "",
  modules: [],
  env: {},
  args: null,
  state: { from: "init" },
  durable: false,
  keepState: false,
  memoryMb: 64,
  startupTimeoutMs: 5000,
  callTimeoutMs: 5000,
  stateBytes: 1000,
  excluded: [],
  fastLane: true,
};

export function startInstance(
  { cell }: PlayedCell,
  options: {
    signal?: AbortSignal;
    events?: Partial<InstanceEvents>;
    start?: Partial<StartInstance>;
  } = {},
): Promise<Instance> {
  const nothing = () => {};
  return Instance.start(
    {
      id: newInstanceId(),
      cell,
      start: { ...START, ...options.start },
      now: () => systemClock.now(),
      events: {
        request: nothing,
        log: nothing,
        state: async () => {},
        exceeded: nothing,
        room: nothing,
        settled: nothing,
        handBack: nothing,
        redact: (said) => said,
        ...options.events,
      },
    },
    options.signal ?? new AbortController().signal,
  );
}

export interface Sent {
  readonly dispatch: Dispatch;
  /** How it ended, each time it was told. */
  readonly ends: (string | SoloError)[];
}

export function message(kind: DispatchKind = "call", payload = "[]"): Sent {
  const ends: (string | SoloError)[] = [];
  const end = (how: string | SoloError) => void ends.push(how);
  const dispatch = new Dispatch({
    kind,
    handler: "calls.a",
    payload,
    outcome: { reply: end, fail: end },
  });
  return { dispatch, ends };
}
