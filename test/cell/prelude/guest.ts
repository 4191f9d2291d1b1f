/**
 * A guest with a prelude and a host that a test drives: requests are answered in a
 * later turn and timers fire by a clock of the test's, as over the real bridge.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createContext, Script } from "node:vm";
import ivm from "isolated-vm";
import { loadPrelude, type Prelude } from "#cell/prelude/build.ts";
import { SEGMENT_NAMES, type SegmentName } from "#cell/prelude/segments.ts";

async function build(): Promise<Prelude> {
  const cacheDir = await mkdtemp(join(tmpdir(), "solo-prelude-"));
  try {
    return await loadPrelude({ cacheDir });
  } finally {
    await rm(cacheDir, { recursive: true });
  }
}

let loading: Promise<Prelude> | undefined;
/** Built once for the test files of one worker. */
export const prelude = (): Promise<Prelude> => (loading ??= build());

const MAX_TURNS = 10_000;

/** Runs inside the guest: the host object, and what the test reads and answers with. */
const HOST = `(() => {
  const timers = new Map(), waiting = new Map(), requests = [], log = [];
  let ids = 0, clock = 0, random = 1;
  const host = {
    send() {},
    request(method, args) {
      const id = ++ids;
      requests.push([id, method, args]);
      return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
    },
    setTimer(delay, repeat, run) {
      timers.set(++ids, { due: clock + delay, delay, repeat, run });
      return ids;
    },
    clearTimer(id) { timers.delete(id); },
    log(level, text) { log.push([level, text]); },
    entropy(bytes) {
      for (let at = 0; at < bytes.length; at++) {
        random = (Math.imul(random, 1103515245) + 12345) >>> 0;
        bytes[at] = random >>> 16;
      }
    },
    now: () => clock,
  };
  const stringify = JSON.stringify, parse = JSON.parse;
  const driver = {
    takeRequests: () => stringify(requests.splice(0)),
    answer(id, ok, json) {
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      if (!ok) return reject(new Error(json));
      const value = parse(json);
      // The bridge hands a body over as a stream; tests give its text.
      if (typeof value?.body === "string") value.body = new Response(value.body).body;
      resolve(value);
    },
    fire() {
      const [next] = [...timers].sort(([a, x], [b, y]) => x.due - y.due || a - b);
      if (next === undefined) return false;
      const [id, timer] = next;
      clock = Math.max(clock, timer.due);
      if (timer.repeat) timer.due = clock + Math.max(timer.delay, 1); else timers.delete(id);
      timer.run();
      return true;
    },
    takeLog: () => stringify(log.splice(0)),
  };
  return { host, driver };
})()`;

/** The settled outcome of a snippet, as JSON; errors keep their name. */
const body = (snippet: string): string => `
  (async () => { ${snippet} })().then(
    (value) => { globalThis.__outcome = JSON.stringify({ value }) ?? "{}"; },
    (error) => { globalThis.__outcome = JSON.stringify({ error: error?.name ?? String(error), message: String(error?.message) }); },
  ); undefined`;

export interface Outcome {
  readonly value?: unknown;
  readonly error?: string;
  readonly message?: string;
}

export type Answerer = (method: string, args: unknown) => unknown;

interface Engine {
  evaluate(code: string): unknown;
  close(): void;
}

function start(
  open: (name: SegmentName) => unknown,
  engine: { call(core: unknown, segments: Map<string, unknown>): void },
): void {
  const segments = new Map(
    SEGMENT_NAMES.filter((name) => name !== "core").map((name) => [name, open(name)]),
  );
  engine.call(open("core"), segments);
}

function openIsolate(ready: Prelude, compiled: readonly SegmentName[]): Engine {
  const isolate = new ivm.Isolate({ memoryLimit: 128 });
  const context = isolate.createContextSync();
  const evaluate = (code: string): unknown =>
    isolate.compileScriptSync(code).runSync(context, { timeout: 10_000 });
  const reference = (code: string, options = {}): ivm.Reference =>
    isolate.compileScriptSync(code, options).runSync(context, { reference: true });
  reference(`globalThis.__host = ${HOST}`);
  const host = reference("__host.host");
  start(
    (name) => {
      const { code, filename, cachedData } = ready[name];
      if (name !== "core" && !compiled.includes(name)) return new ivm.ExternalCopy(code).copyInto();
      const data = new Uint8Array(cachedData).buffer;
      return reference(code, { filename, cachedData: new ivm.ExternalCopy(data) }).derefInto();
    },
    {
      call(core, segments) {
        const object = reference("({})");
        for (const [name, segment] of segments) object.setSync(name, segment);
        const run = reference("(core, host, segments) => core(host, segments)");
        run.applySync(undefined, [core as never, host.derefInto(), object.derefInto()]);
      },
    },
  );
  evaluate("globalThis.__driver = __host.driver; delete globalThis.__host; undefined");
  return { evaluate, close: () => isolate.dispose() };
}

function openContext(ready: Prelude): Engine {
  const context = createContext({});
  const evaluate = (code: string): unknown => new Script(code).runInContext(context);
  const { host, driver } = evaluate(HOST) as { host: unknown; driver: unknown };
  start((name) => evaluate(ready[name].code), {
    call: (core, segments) =>
      (core as (host: unknown, segments: object) => void)(host, Object.fromEntries(segments)),
  });
  (evaluate("(driver) => { globalThis.__driver = driver; }") as (driver: unknown) => void)(driver);
  return { evaluate, close: () => {} };
}

export interface GuestOptions {
  readonly engine?: "isolate" | "context";
  /** Segments compiled beforehand; the others are evaluated from their text. */
  readonly compiled?: readonly SegmentName[];
  readonly answer?: Answerer;
}

export class Guest implements Disposable {
  readonly #engine: Engine;
  readonly #answer: Answerer;

  constructor(engine: Engine, answer: Answerer) {
    this.#engine = engine;
    this.#answer = answer;
  }

  static async open(options: GuestOptions = {}): Promise<Guest> {
    const { engine = "isolate", compiled = ["web", "compat", "inspect"], answer } = options;
    const ready = await prelude();
    const refuse: Answerer = (method) => {
      throw new Error(`The host refuses ${method}`);
    };
    return new Guest(
      engine === "isolate" ? openIsolate(ready, compiled) : openContext(ready),
      answer ?? refuse,
    );
  }

  evaluate(code: string): unknown {
    return this.#engine.evaluate(code);
  }

  /** Runs an async function's body; fires timers and answers requests until it settles. */
  async run(snippet: string): Promise<Outcome> {
    this.evaluate("globalThis.__outcome = undefined");
    this.evaluate(body(snippet));
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      // A context shares this thread's microtasks: they run before the next turn.
      await new Promise((resolve) => setImmediate(resolve));
      const outcome = this.evaluate("__outcome") as string | undefined;
      if (outcome !== undefined) return JSON.parse(outcome) as Outcome;
      const requests = JSON.parse(this.evaluate("__driver.takeRequests()") as string) as [
        number,
        string,
        unknown,
      ][];
      for (const [id, method, args] of requests) await this.#reply(id, method, args);
      if (requests.length === 0 && this.evaluate("__driver.fire()") === false) {
        throw new Error(`Nothing will settle: ${snippet}`);
      }
    }
    throw new Error(`Still not settled: ${snippet}`);
  }

  /** The value, or a failure of the test when the snippet throws. */
  async value(snippet: string): Promise<unknown> {
    const outcome = await this.run(snippet);
    if (outcome.error !== undefined)
      throw new Error(`${outcome.error}: ${outcome.message} in ${snippet}`);
    return outcome.value;
  }

  takeLog(): [string, string][] {
    return JSON.parse(this.evaluate("__driver.takeLog()") as string) as [string, string][];
  }

  async #reply(id: number, method: string, args: unknown): Promise<void> {
    let ok = true;
    let text: string;
    try {
      text = JSON.stringify(await this.#answer(method, args));
    } catch (error) {
      ok = false;
      text = (error as Error).message;
    }
    this.evaluate(`__driver.answer(${id}, ${ok}, ${JSON.stringify(text)})`);
  }

  [Symbol.dispose](): void {
    this.#engine.close();
  }
}
