/** Strategies and the rollout as a state machine (src/deploy/strategy.ts, rollout.ts). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import type { RevisionId } from "#base/ids.ts";
import {
  decideRollout,
  isOver,
  ROLLOUT_PHASES,
  shareOf,
  targetSlots,
  type Command,
  type Rollout,
  type RolloutInput,
  type RolloutPhase,
} from "#deploy/rollout.ts";
import { resolveStrategy, type Strategy, type StrategyInput } from "#deploy/strategy.ts";

const ground = (instances: number, keepsState = false) => ({ instances, keepsState });
const resolve = (input: StrategyInput, instances = 4, keepsState = false): Strategy =>
  resolveStrategy(input, ground(instances, keepsState))!;

const refusalOf = (input: StrategyInput, instances = 4, keepsState = false): SoloError => {
  try {
    resolveStrategy(input, ground(instances, keepsState));
  } catch (error) {
    return error as SoloError;
  }
  throw new Error("It was accepted.");
};

const begun = (strategy: Strategy, instances = 4): Rollout => ({
  id: "ro_1",
  strategy,
  from: "r_old" as RevisionId,
  to: "r_new" as RevisionId,
  instances,
  startedAtMs: 0,
  step: 0,
  phase: "moving",
  phaseSinceMs: 0,
  slots: [],
  reason: undefined,
  setback: undefined,
});

const moved = (rollout: Rollout): RolloutInput => ({
  kind: "moved",
  slots: targetSlots(rollout),
});
const held: RolloutInput = { kind: "looked", worse: [], enough: true };
const command = (name: Command): RolloutInput => ({ kind: "command", command: name });

describe("a strategy", () => {
  test("rolling moves max_surge + max_unavailable slots at a time until all have moved", () => {
    const { steps } = resolve({ type: "rolling", max_surge: 2, max_unavailable: 1 }, 7);
    expect(steps.map(({ slots }) => slots)).toEqual([3, 6, 7]);
  });

  test("canary of several instances moves slots, of a single one without state adds one beside", () => {
    const several = resolve({ type: "canary", steps: [{ percent: 10 }, { percent: 50 }] }, 4);
    expect(several.steps.map(({ slots, percent }) => [slots, percent])).toEqual([
      [1, 10],
      [2, 50],
    ]);
    const single = resolve({ type: "canary" }, 1);
    expect(single).toMatchObject({ beside: true });
    expect(targetSlots(begun(single, 1))).toEqual([1]);
  });

  test("canary never takes all slots before it is promoted", () => {
    const { steps } = resolve({ type: "canary", steps: [{ percent: 99 }] }, 2);
    expect(steps[0]!.slots).toBe(1);
  });

  test("canary of one slot that keeps its state is refused, and what else to do is said", () => {
    const refusal = refusalOf({ type: "canary" }, 1, true);
    expect(refusal.code).toBe("invalid_argument");
    expect(refusal.message).toContain("blue_green");
  });

  test("a hot swap has no steps", () => {
    expect(resolveStrategy({ type: "hot_swap" }, ground(1))).toBeUndefined();
  });

  test("fields of another strategy, and steps that do not rise, are refused by name", () => {
    const fields = (input: StrategyInput) =>
      refusalOf(input)
        .toBody()
        .fields?.map(({ field }) => field);
    expect(fields({ type: "rolling", keep_ms: 1 })).toEqual(["strategy.keep_ms"]);
    expect(fields({ type: "canary", steps: [{ percent: 50 }, { percent: 50 }] })).toEqual([
      "strategy.steps.1.percent",
    ]);
    expect(fields({ type: "rolling", max_surge: 0 })).toEqual(["strategy.max_surge"]);
  });
});

describe("a rollout", () => {
  const canary = resolve({
    type: "canary",
    steps: [{ percent: 10 }, { percent: 50 }],
    pause_ms: 100,
  });

  test("goes from step to step while the new revision holds, and ends with every slot on the new revision", () => {
    let rollout = begun(canary);
    const phases: string[] = [];
    for (let now = 0; !isOver(rollout); now += 50) {
      const moves = ["moving", "promoting"].includes(rollout.phase);
      rollout = decideRollout(rollout, moves ? moved(rollout) : held, now);
      if (phases.at(-1) !== rollout.phase) phases.push(rollout.phase);
    }
    expect(phases).toEqual(["observing", "moving", "observing", "promoting", "promoted"]);
    expect(rollout.slots).toEqual([0, 1, 2, 3]);
  });

  test("goes back when the new revision has regressed, with the reason", () => {
    const watched = decideRollout(begun(canary), moved(begun(canary)), 0);
    const worse: RolloutInput = { kind: "looked", worse: ["errors 40 %"], enough: true };
    const back = decideRollout(watched, worse, 1);
    expect(back).toMatchObject({
      phase: "rolling_back",
      reason: "errors 40 %",
      setback: "regression",
    });
    expect(shareOf(back)).toBe(0);
    expect(decideRollout(back, moved(back), 2)).toMatchObject({ phase: "rolled_back", slots: [] });
  });

  test("does not leave a step before there were requests enough, however long it takes", () => {
    const watched = decideRollout(begun(canary), moved(begun(canary)), 0);
    const few: RolloutInput = { kind: "looked", worse: [], enough: false };
    expect(decideRollout(watched, few, 1e9)).toBe(watched);
  });

  test("that is manual waits for somebody, and resume takes it one step on", () => {
    const manual = resolve({
      type: "canary",
      manual: true,
      steps: [{ percent: 10 }, { percent: 50 }],
    });
    const first = decideRollout(begun(manual), moved(begun(manual)), 0);
    expect(decideRollout(first, held, 1e9)).toBe(first);
    expect(decideRollout(first, command("resume"), 1)).toMatchObject({ phase: "moving", step: 1 });
    expect(decideRollout(first, command("promote"), 1)).toMatchObject({ phase: "promoting" });
  });

  test("that is paused is still watched, and stays until it is resumed", () => {
    const watched = decideRollout(begun(canary), moved(begun(canary)), 0);
    const paused = decideRollout(watched, command("pause"), 1);
    expect(decideRollout(paused, held, 1e9)).toBe(paused);
    expect(decideRollout(paused, command("resume"), 2)).toMatchObject({ phase: "observing" });
    const worse: RolloutInput = { kind: "looked", worse: ["2 crashes"], enough: false };
    expect(decideRollout(paused, worse, 3)).toMatchObject({ phase: "rolling_back" });
  });

  test("takes each command in each phase as this table says, and refuses the others with why", () => {
    const same = "same";
    const no = "conflict";
    const table: Record<RolloutPhase, Record<Command, RolloutPhase | typeof same | typeof no>> = {
      moving: { pause: no, resume: no, promote: no, abort: "rolling_back" },
      observing: { pause: "paused", resume: same, promote: "promoting", abort: "rolling_back" },
      paused: { pause: same, resume: "observing", promote: "promoting", abort: "rolling_back" },
      promoting: { pause: no, resume: no, promote: same, abort: "rolling_back" },
      rolling_back: { pause: no, resume: no, promote: no, abort: same },
      promoted: { pause: no, resume: no, promote: no, abort: no },
      rolled_back: { pause: no, resume: no, promote: no, abort: no },
    };
    for (const [phase, row] of Object.entries(table) as [RolloutPhase, (typeof table)["moving"]][])
      for (const [said, expected] of Object.entries(row) as [Command, string][]) {
        const before: Rollout = { ...begun(canary), slots: [0], phase };
        const act = () => decideRollout(before, command(said), 1);
        const where = `${said} while ${phase}`;
        if (expected === no) {
          expect(act, where).toThrow(expect.objectContaining({ code: "conflict" }) as Error);
        } else if (expected === same) expect(act(), where).toBe(before);
        else expect(act(), where).toMatchObject({ phase: expected, step: 0 });
      }
  });

  test("keeps its share until its last slots have moved, and has none from the decision to go back", () => {
    const at = (phase: RolloutPhase): Rollout => ({ ...begun(canary), slots: [0], phase });
    const shares = ROLLOUT_PHASES.map((phase) => shareOf(at(phase)));
    expect(shares).toEqual([10, 10, 10, 10, 0, undefined, 0]);
  });
});

test("whatever happens in whatever order, a rollout ends with all slots on one revision, and the old one until promotion", () => {
  const strategy = fc.constantFrom(
    resolve({ type: "canary", pause_ms: 10 }),
    resolve({ type: "rolling", pause_ms: 10 }),
    resolve({ type: "blue_green", keep_ms: 10 }),
    resolve({ type: "canary", pause_ms: 10 }, 4),
  );
  const happening = fc.oneof(
    fc.record({ kind: fc.constant("move" as const), fails: fc.boolean() }),
    fc.record({ kind: fc.constant("look" as const), worse: fc.boolean(), enough: fc.boolean() }),
    fc.record({
      kind: fc.constant("say" as const),
      command: fc.constantFrom<Command>("pause", "resume", "promote", "abort"),
    }),
  );
  fc.assert(
    fc.property(strategy, fc.array(happening, { maxLength: 60 }), (chosen, happenings) => {
      let rollout = begun(chosen);
      // A move that was begun ends later, when something else may be wanted.
      let asked: number[] | undefined;
      let now = 0;
      let wentBack = false;
      const take = (input: RolloutInput) => {
        const before = rollout;
        try {
          rollout = decideRollout(rollout, input, now);
        } catch (error) {
          expect(error).toBeInstanceOf(SoloError);
          return;
        }
        wentBack ||= rollout.phase === "rolling_back";
        if (isOver(before)) expect(rollout).toBe(before);
        if (wentBack) expect(["rolling_back", "rolled_back"]).toContain(rollout.phase);
      };
      for (const each of happenings) {
        now += 5;
        if (each.kind === "move") {
          if (asked === undefined) asked = targetSlots(rollout);
          else {
            take(
              each.fails
                ? { kind: "move_failed", why: "it failed" }
                : { kind: "moved", slots: asked },
            );
            asked = undefined;
          }
        } else if (each.kind === "look") {
          take({ kind: "looked", worse: each.worse ? ["worse"] : [], enough: each.enough });
        } else take({ kind: "command", command: each.command });
      }
      // From any point, moves that succeed and time that passes end it.
      if (rollout.phase === "paused") take(command("promote"));
      for (let rest = 0; rest < 40 && !isOver(rollout); rest += 1) {
        now += 20;
        take(moved(rollout));
        take(held);
      }
      expect(isOver(rollout)).toBe(true);
      expect(rollout.slots).toEqual(rollout.phase === "promoted" ? [0, 1, 2, 3] : []);
    }),
    { numRuns: 500 },
  );
});
