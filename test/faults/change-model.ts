/**
 * One service, callers that never rest, and everything that may happen to it at once: changes of
 * its code, kills, sleep, faults and delays at every step, restarts of the kernel. A seed says
 * what happens; when exactly is the machine's.
 *
 * 1. What was acknowledged is in the state at the end, once; a hybrid service may lose what it had
 *    not stored when something of it was killed.
 * 2. What the callers hold against it (change-callers.ts).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { prepareCellPrograms } from "#bin/cell-host.ts";
import { SoloError } from "#base/errors.ts";
import { launchPlain, type Launcher } from "#kernel/cells/launcher.ts";
import { SAVE_STEPS, SLEEP_STEPS, SWAP_STEPS, WAKE_STEPS, type FaultStep } from "#kernel/faults.ts";
import type { Replica } from "#kernel/services/replica/replica.ts";
import { startInProcess, type InProcessKernel } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";
import { Callers, type Added } from "./change-callers.ts";

const TENANT = "model";
const ID = { service_id: "changing" };
const MOST_INSTANCES = 3;
/** Steps that may fail: before what they lead to is on disk. */
const FAILING: readonly FaultStep[] = [
  ...(["warmed", "held", "told", "adopted", "decided"] as const),
  ...(["saving", "flushing", "drowsy", "idle_told", "rousing"] as const),
];
const SLOW: readonly FaultStep[] = [
  ...SWAP_STEPS,
  ...SAVE_STEPS,
  ...SLEEP_STEPS,
  ...WAKE_STEPS,
  "decided",
  "replaced",
];
const STRATEGIES = [
  { type: "rolling", pause_ms: 1 },
  { type: "canary", manual: true, steps: [{ percent: 34 }, { percent: 67 }] },
  { type: "blue_green", manual: true },
];
/** A busy machine is no regression; a crash is. */
const WATCHDOG = {
  window_ms: 2000,
  max_latency_factor: 1e6,
  max_error_rate_increase: 1,
  max_memory_factor: 1e6,
};

/** Adds to a state that knows who added last; from its `bad`th call on it throws. */
const source = (version: number, bad = Infinity, slowMs = 0): string => `
let calls = 0;
export default { version: "${version}",
  init: () => ({ n: 0, id: crypto.randomUUID(), seen: {} }),
  codeChange: (old) => ({ ...old, by: ${version} }),
  downgrade: (state) => ({ ...state, by: "downgrade" }),
  checkState: (state) => Number.isInteger(state.n) && typeof state.id === "string",
  calls: {
    async add(solo, caller, at) {
      if ((calls += 1) > ${bad}) throw new Error("bad");
      if (${slowMs} > 0) await solo.sleep(${slowMs});
      const { state } = solo;
      const before = state.seen[caller] ?? 0;
      state.seen[caller] = at;
      return { id: state.id, n: (state.n += 1), before };
    },
  } };`;

export interface ModelOptions {
  readonly seed: number;
  readonly operations: number;
  /** Hears what is done, and what came of it. */
  readonly say?: (text: string) => void;
}

/** Runs the model once; returns what was wrong. */
export async function runModel(options: ModelOptions): Promise<readonly string[]> {
  const dataDir = mkdtempSync(join(tmpdir(), "solo-change-model-"));
  try {
    return await new Model(options, dataDir).run();
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

class Model {
  readonly #options: ModelOptions;
  readonly #dataDir: string;
  readonly #random: () => number;
  #solo!: InProcessKernel;
  #callers!: Callers;
  #version = 1;
  /** Each happens once. */
  #faults: FaultStep[] = [];
  /** How likely a step is to take a while. */
  #slowness = 0;
  /** Something has ended that may not have stored all of its state. */
  #wasKilled = false;
  readonly #problems: string[] = [];

  constructor(options: ModelOptions, dataDir: string) {
    this.#options = options;
    this.#dataDir = dataDir;
    this.#random = randomOf(options.seed);
  }

  async run(): Promise<readonly string[]> {
    await this.#start();
    try {
      return await this.#run();
    } finally {
      await this.#solo[Symbol.asyncDispose]();
    }
  }

  async #run(): Promise<readonly string[]> {
    const { operations } = this.#options;
    const persistence = this.#one(["durable", "durable", "hybrid"]);
    const state_on_rollback = this.#one(["keep_new", "downgrade"]);
    const isHybrid = persistence === "hybrid";
    await this.#ask("Deploy", {
      code: source(1),
      instances: this.#one([1, MOST_INSTANCES]),
      routing: "key",
      persistence,
      restart_limits: { max_restarts: 1000, max_seconds: 1 },
      watchdog: { ...WATCHDOG, state_on_rollback },
      ...(this.#random() < 0.4 && { hibernation: { after_idle_ms: 100 } }),
    });
    this.#say(`${persistence}, ${state_on_rollback}`);
    this.#callers = new Callers({
      mayGoBack: isHybrid,
      add: async (caller, at) => {
        const asked = { name: "add", key: caller, args: [caller, at] };
        const { reply } = await this.#ask("Call", asked);
        return reply as unknown as Added;
      },
    });
    for (let at = 0; at < operations; at += 1) {
      const together = [this.#operation()];
      if (this.#random() < 0.3) together.push(this.#operation());
      await Promise.all(together);
      await sleep(this.#below(40));
    }
    this.#faults = [];
    this.#slowness = 0;
    try {
      await this.#settle();
    } finally {
      await this.#callers.end();
    }
    await this.#count(isHybrid && this.#wasKilled);
    return [...this.#problems, ...this.#callers.problems];
  }

  async #start(): Promise<void> {
    this.#solo = await startInProcess({
      dataDir: this.#dataDir,
      launch: await launchAsIfHeld(),
      faults: async (step) => {
        if (this.#faults.includes(step)) {
          this.#faults = this.#faults.toSpliced(this.#faults.indexOf(step), 1);
          this.#say(`fault at ${step}`);
          throw new SoloError("unavailable", "A fault.");
        }
        if (Math.random() < this.#slowness && SLOW.includes(step)) await sleep(Math.random() * 30);
      },
    });
  }

  /** Some of what may happen, by how often it does. */
  #operation(): Promise<void> {
    return this.#pick<() => Promise<void>>([
      [18, () => this.#try("Update", { code: this.#next() })],
      [6, () => this.#try("Update", { code: this.#next(Infinity, 60) })],
      [10, () => this.#killing(() => this.#try("Update", { code: this.#next(this.#below(6)) }))],
      [10, () => this.#try("Update", { code: this.#next(), strategy: this.#one(STRATEGIES) })],
      [2, () => this.#killing(() => this.#badRollout())],
      [3, () => this.#try("Update", { instances: 1 + this.#below(MOST_INSTANCES) })],
      [6, () => this.#try("Rollback")],
      [10, () => this.#try(`${this.#one(["Pause", "Resume", "Promote", "Abort"])}Rollout`)],
      [4, () => this.#try("Restart")],
      [8, () => this.#killing(async () => this.#one(this.#replicas).instance?.kill())],
      [6, () => this.#killing(async () => this.#killCell())],
      [4, () => this.#carry(this.#one(this.#replicas).slot)],
      [6, () => this.#killing(async () => void this.#faults.push(this.#one(FAILING)))],
      [4, async () => void (this.#slowness = this.#one([0, 0.1, 0.5]))],
      [2, () => this.#callers.resting(() => sleep(400))],
      [2, () => this.#restartKernel()],
    ])();
  }

  async #killing(act: () => Promise<unknown>): Promise<void> {
    this.#wasKilled = true;
    await act();
  }

  #badRollout(): Promise<void> {
    return this.#try("Update", { code: this.#next(5), strategy: this.#one(STRATEGIES) });
  }

  /** The kernel does not know of it: as if somebody outside had done it. */
  #killCell(): void {
    const cell = this.#one(this.#replicas).instance?.cell.process;
    this.#say(`cell ${cell?.pid} dies`);
    cell?.kill();
  }

  /** A state goes out and comes back as it was. */
  async #carry(slot: number): Promise<void> {
    await this.#callers.resting(async () => {
      try {
        const { document } = await this.#ask("ExportState", { slot });
        await this.#try("ImportState", { slot, document });
      } catch (error) {
        this.#heard("ExportState", error);
      }
    });
  }

  /** In an orderly way; nobody calls meanwhile. */
  async #restartKernel(): Promise<void> {
    this.#say("kernel restarts");
    await this.#callers.resting(async () => {
      await this.#solo[Symbol.asyncDispose]();
      await this.#start();
    });
  }

  /** No rollout, no probation, all of it up, as many slots as there ever were. */
  async #settle(): Promise<void> {
    await until(async () => {
      const { phase } = await this.#ask("GetRollout").catch(() => ({ phase: "promoted" }));
      if (["paused", "observing"].includes(phase)) await this.#ask("PromoteRollout");
      return ["promoted", "rolled_back"].includes(phase);
    }, "the end of the rollout");
    const isTrusted = async () => (await this.#ask("Status")).probation_ms === undefined;
    await until(isTrusted, "the end of the probation");
    const last = { instances: MOST_INSTANCES, watchdog: { enabled: false } };
    await until(() => this.#ask("Update", { ...last, code: this.#next() }), "a last update");
  }

  async #count(mayLose: boolean): Promise<void> {
    const { acknowledged, unknown } = this.#callers;
    let sum = 0;
    for (let slot = 0; slot < MOST_INSTANCES; slot += 1) {
      const { state } = await this.#ask("GetState", { slot });
      sum += (state as { n: number }).n;
    }
    this.#say(`${sum} counted, ${acknowledged} acknowledged, ${unknown} unknown`);
    if (sum > acknowledged + unknown) this.#problems.push(`${sum - acknowledged} counted twice`);
    if (sum < acknowledged && !mayLose) this.#problems.push(`${acknowledged - sum} are lost`);
  }

  /** What is asked for may be refused, never fail in a way that nobody foresaw. */
  async #try(name: string, more: object = {}): Promise<void> {
    this.#say(name);
    await this.#ask(name as "Update", more).catch((error: unknown) => this.#heard(name, error));
  }

  #heard(name: string, error: unknown): void {
    const { code, message, options } = error as SoloError;
    this.#say(`${name}: ${code} ${message}`);
    if (code !== undefined && code !== "internal") return;
    this.#problems.push(`${name}: ${String(options?.cause ?? error)}`);
  }

  #ask<N extends Parameters<InProcessKernel["ask"]>[0]>(name: N, more: object = {}) {
    return this.#solo.ask(name, { ...ID, ...more }, TENANT);
  }

  #next(bad?: number, slowMs?: number): string {
    return source((this.#version += 1), bad, slowMs);
  }

  get #replicas(): readonly Replica[] {
    return this.#solo.replicas(TENANT, ID.service_id);
  }

  #below(most: number): number {
    return Math.floor(this.#random() * most);
  }

  #one<T>(of: readonly T[]): T {
    return of[this.#below(of.length)]!;
  }

  #pick<T>(of: readonly (readonly [number, T])[]): T {
    return this.#one(of.flatMap(([weight, each]) => Array<T>(weight).fill(each)));
  }

  #say(text: string): void {
    this.#options.say?.(`${performance.now().toFixed(0)} ${text}`);
  }
}

/** A process that somebody kills is taken for killed from outside, as behind walls. */
async function launchAsIfHeld(): Promise<Launcher> {
  const launch = launchPlain({ node: process.execPath, programs: await prepareCellPrograms() });
  return (options) => ({ ...launch(options), holdsMemoryLimit: true });
}

/** Numbers from 0 to 1 that a seed makes (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
