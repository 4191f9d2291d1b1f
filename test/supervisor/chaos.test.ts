/**
 * Random commands, crashes, failing and slow starts, slow and refused stops, in random
 * interleavings. Whatever happens: no two of one id live together, the supervisor ends
 * when told to, and then nothing lives, starts or waits.
 */
import fc from "fast-check";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { systemClock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import type { ChildSpec, ExitReason, RestartKind, ShutdownKind } from "#supervisor/child.ts";
import type { Strategy } from "#supervisor/decide.ts";
import { Supervisor } from "#supervisor/supervisor.ts";
import { until } from "../support/until.ts";
import { settle } from "./cast.ts";

interface Manner {
  readonly startTurns: number;
  readonly start: "up" | "fails" | "dies young" | "ignores its signal";
  readonly stopTurns: number;
  readonly stop: "polite" | "refuses" | "ends normal";
}

const TAME: Manner = { startTurns: 1, start: "up", stopTurns: 1, stop: "polite" };

const anyManner: fc.Arbitrary<Manner> = fc.record({
  startTurns: fc.nat({ max: 3 }),
  start: fc.constantFrom("up", "up", "up", "fails", "dies young", "ignores its signal"),
  stopTurns: fc.nat({ max: 3 }),
  stop: fc.constantFrom("polite", "polite", "refuses", "ends normal"),
});

const ids = ["a", "b", "c", "d"] as const;
const anyStep = fc.record({
  what: fc.constantFrom("crash", "end", "start", "terminate", "restart", "delete", "turn", "turn"),
  id: fc.constantFrom(...ids),
});

class World {
  readonly living = new Map<string, (reason: ExitReason) => void>();
  readonly doubled: string[] = [];
  coming = 0;
  /** Until then every child comes up as it should. */
  wild = false;
  readonly #manners: readonly Manner[];
  #next = 0;

  constructor(manners: readonly Manner[]) {
    this.#manners = manners;
  }

  spec(id: string, restart: RestartKind, shutdown: ShutdownKind): ChildSpec {
    return { id, restart, shutdown, type: "worker", start: (signal) => this.#start(id, signal) };
  }

  async #start(id: string, signal: AbortSignal) {
    const manner = this.wild ? this.#manners[this.#next++ % this.#manners.length]! : TAME;
    this.coming += 1;
    try {
      for (let i = 0; i < manner.startTurns; i += 1) {
        await turn();
        if (signal.aborted && manner.start !== "ignores its signal") throw new Error("cancelled");
      }
      if (manner.start === "fails") throw new Error("will not start");
    } finally {
      this.coming -= 1;
    }
    // One whose start was given up may meet its successor while it is taken down.
    const key = signal.aborted ? `late ${id}` : id;
    if (this.living.has(id) && key === id) this.doubled.push(id);
    const { promise: exited, resolve } = Promise.withResolvers<ExitReason>();
    const end = (reason: ExitReason) => {
      if (this.living.get(key) === end) this.living.delete(key);
      resolve(reason);
    };
    this.living.set(key, end);
    if (manner.start === "dies young")
      queueMicrotask(() => end({ kind: "crashed", error: "young" }));
    return {
      exited,
      stop: async () => {
        for (let i = 0; i < manner.stopTurns; i += 1) await turn();
        if (manner.stop === "refuses") throw new Error("refused");
        end({ kind: manner.stop === "polite" ? "shutdown" : "normal" });
      },
      kill: () => end({ kind: "killed" }),
    };
  }
}

const anyKind = fc.constantFrom<RestartKind>("permanent", "transient", "temporary");
const anyScene = fc.record({
  strategy: fc.constantFrom<Strategy>("one_for_one", "rest_for_one", "one_for_all"),
  maxRestarts: fc.integer({ min: 0, max: 8 }),
  backoff: fc.option(fc.constant({ baseMs: 1, factor: 1, maxMs: 1 }), { nil: undefined }),
  kinds: fc.array(anyKind, { minLength: 4, maxLength: 4 }),
  shutdowns: fc.array(fc.constantFrom<ShutdownKind>("infinity", 1000, 1000, "brutal_kill"), {
    minLength: 4,
    maxLength: 4,
  }),
  manners: fc.array(anyManner, { minLength: 1, maxLength: 12 }),
  initial: fc.nat({ max: 4 }),
  steps: fc.array(anyStep, { maxLength: 25 }),
  ending: fc.constantFrom("stop", "kill", "stop then kill"),
});

test("whatever happens to its children, a supervisor loses and doubles none", async () => {
  await fc.assert(
    fc.asyncProperty(anyScene, async (scene) => {
      const world = new World(scene.manners);
      const spec = (id: string) => {
        const at = ids.indexOf(id as "a");
        return world.spec(id, scene.kinds[at]!, scene.shutdowns[at]!);
      };
      const supervisor = await Supervisor.start({
        id: "top",
        clock: systemClock,
        strategy: scene.strategy,
        maxRestarts: scene.maxRestarts,
        ...(scene.backoff !== undefined && { backoff: scene.backoff }),
        children: ids.slice(0, scene.initial).map(spec),
      });
      world.wild = true;
      const refusals: unknown[] = [];
      const ask = (command: Promise<unknown>) =>
        command.catch((error: unknown) => refusals.push(error));
      for (const { what, id } of scene.steps) {
        if (what === "crash") world.living.get(id)?.({ kind: "crashed", error: "chaos" });
        if (what === "end") world.living.get(id)?.({ kind: "normal" });
        if (what === "start") void ask(supervisor.startChild(spec(id)));
        if (what === "terminate") void ask(supervisor.terminateChild(id));
        if (what === "restart") void ask(supervisor.restartChild(id));
        if (what === "delete") void ask(supervisor.deleteChild(id));
        if (what === "turn") await turn();
      }
      const stopping =
        scene.ending === "kill" ? undefined : supervisor.stop({ timeoutMs: "infinity" });
      if (scene.ending === "stop then kill") await turn();
      if (scene.ending !== "stop") supervisor.kill();
      await stopping;
      await supervisor.exited;
      // A child that is killed at once has no time to notice that its start is given up.
      const patient = !scene.shutdowns.includes("brutal_kill");
      if (scene.ending === "stop" && patient)
        expect([world.coming, world.living.size]).toEqual([0, 0]);
      expect(supervisor.whichChildren().every(({ state }) => state === "stopped")).toBe(true);
      await settle();
      await settle();
      expect([...world.living.keys()]).toEqual([]);
      expect(world.doubled).toEqual([]);
      expect(world.coming).toBe(0);
      const internal = refusals.filter(
        (error) => error instanceof SoloError && error.code === "internal",
      );
      expect(internal).toEqual([]);
    }),
    { numRuns: 1000 },
  );
});

test("after any crashes, left alone, a supervisor has every child up again", async () => {
  await fc.assert(
    fc.asyncProperty(
      anyScene.filter(({ steps }) => steps.length > 0),
      async (scene) => {
        const world = new World([TAME]);
        const kinds = scene.kinds.map((kind) => (kind === "temporary" ? "transient" : kind));
        await using supervisor = await Supervisor.start({
          id: "top",
          clock: systemClock,
          strategy: scene.strategy,
          maxRestarts: 1000,
          children: ids.map((id, at) => world.spec(id, kinds[at]!, scene.shutdowns[at]!)),
        });
        for (const { what, id } of scene.steps) {
          if (what === "turn") await turn();
          else world.living.get(id)?.({ kind: "crashed", error: "chaos" });
        }
        const allRun = () =>
          world.living.size === ids.length && supervisor.countChildren().active === ids.length;
        await until(allRun, "all children to run again");
        expect(supervisor.whichChildren().map(({ id, state }) => `${id} ${state}`)).toEqual(
          ids.map((id) => `${id} running`),
        );
      },
    ),
    { numRuns: 300 },
  );
});
