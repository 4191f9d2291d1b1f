/**
 * A rollout as a state machine: what comes next, whatever happened (H3). Pure.
 *
 * 1. `slots` is what is on disk; a move is asked for again until it says that it is done, so
 *    a kernel that dies at any point goes on where it was.
 * 2. Any failure, and any regression, leads back to the old revision.
 * 3. What has been promoted or rolled back stays so.
 */
import { SoloError } from "#base/errors.ts";
import type { RevisionId } from "#base/ids.ts";
import type { Strategy } from "#deploy/strategy.ts";

export const ROLLOUT_PHASES = [
  "moving", // slots go to the step's revision
  "observing", // the step is watched
  "paused", // somebody said so
  "promoting", // every slot goes to the new revision
  "rolling_back", // every slot goes back to the old one
  "promoted",
  "rolled_back",
] as const;
export type RolloutPhase = (typeof ROLLOUT_PHASES)[number];

/** What leads back: somebody asked for it, the new revision did worse, or could not go on. */
export type Setback = "aborted" | "regression" | "failure";

export interface Rollout {
  readonly id: string;
  readonly strategy: Strategy;
  readonly from: RevisionId;
  readonly to: RevisionId;
  /** Of the service, without those beside. */
  readonly instances: number;
  readonly startedAtMs: number;
  readonly step: number;
  readonly phase: RolloutPhase;
  /** Wall clock: it must mean something after a restart. */
  readonly phaseSinceMs: number;
  /** Slots that run the new revision. */
  readonly slots: readonly number[];
  /** Why it is paused or went back. */
  readonly reason: string | undefined;
  readonly setback: Setback | undefined;
}

export type Command = "pause" | "resume" | "promote" | "abort";

export type RolloutInput =
  /** The slots that were asked for are on their revision. */
  | { readonly kind: "moved"; readonly slots: readonly number[] }
  | { readonly kind: "move_failed"; readonly why: string }
  /** `worse`: what has regressed; `enough`: the new revision was sent enough to judge it. */
  | { readonly kind: "looked"; readonly worse: readonly string[]; readonly enough: boolean }
  | { readonly kind: "command"; readonly command: Command };

export const isOver = ({ phase }: Rollout): boolean =>
  phase === "promoted" || phase === "rolled_back";

/** The slots that are to run the new revision now. */
export function targetSlots(rollout: Rollout): number[] {
  const { phase, strategy, step, instances } = rollout;
  if (phase === "rolling_back" || phase === "rolled_back") return [];
  const all = range(0, instances);
  if (phase === "promoting" || phase === "promoted") return all;
  const { slots } = strategy.steps[step]!;
  return strategy.beside ? range(instances, instances + slots) : all.slice(0, slots);
}

/** How much of the traffic goes to the new revision, in per cent; undefined: as slots come. */
export function shareOf(rollout: Rollout): number | undefined {
  const { phase, strategy, step, slots } = rollout;
  if (phase === "rolling_back" || phase === "rolled_back") return 0;
  // Until its last slots have moved the new revision keeps its share, so that no key comes and goes.
  if (slots.length === 0 || phase === "promoted") return undefined;
  return strategy.steps[step]!.percent;
}

/** What the rollout is after the input; the same object when nothing changes. */
export function decideRollout(rollout: Rollout, input: RolloutInput, nowMs: number): Rollout {
  if (isOver(rollout)) {
    if (input.kind === "command") throw over(rollout);
    return rollout;
  }
  const enter = (phase: RolloutPhase, more: Partial<Rollout> = {}): Rollout => ({
    ...rollout,
    ...more,
    phase,
    phaseSinceMs: nowMs,
  });
  switch (input.kind) {
    case "moved":
      return afterMove(rollout, input.slots, enter);
    case "move_failed":
      return rollout.phase === "moving" || rollout.phase === "promoting"
        ? enter("rolling_back", { reason: input.why, setback: "failure" })
        : rollout;
    case "looked": {
      if (rollout.phase !== "observing" && rollout.phase !== "paused") return rollout;
      if (input.worse.length > 0) {
        return enter("rolling_back", { reason: input.worse.join("; "), setback: "regression" });
      }
      if (rollout.phase === "paused" || !input.enough) return rollout;
      const { pauseMs } = rollout.strategy.steps[rollout.step]!;
      if (pauseMs === null || nowMs - rollout.phaseSinceMs < pauseMs) return rollout;
      return next(rollout, enter);
    }
    case "command":
      return obey(rollout, input.command, enter);
  }
}

type Enter = (phase: RolloutPhase, more?: Partial<Rollout>) => Rollout;

function afterMove(rollout: Rollout, slots: readonly number[], enter: Enter): Rollout {
  // What was asked for has changed meanwhile: this much is done, and the rest comes.
  if (!isSame(slots, targetSlots(rollout))) return { ...rollout, slots };
  switch (rollout.phase) {
    case "moving":
      return enter("observing", { slots });
    case "promoting":
      return enter("promoted", { slots });
    case "rolling_back":
      return enter("rolled_back", { slots });
    default:
      return rollout;
  }
}

/** After a step that held: the next one, or the end. */
function next(rollout: Rollout, enter: Enter): Rollout {
  const { strategy, step } = rollout;
  if (step + 1 < strategy.steps.length) return enter("moving", { step: step + 1 });
  return enter("promoting");
}

function obey(rollout: Rollout, command: Command, enter: Enter): Rollout {
  const { phase } = rollout;
  const rests = phase === "observing" || phase === "paused";
  switch (command) {
    case "abort":
      if (phase === "rolling_back") return rollout;
      return enter("rolling_back", { reason: "aborted", setback: "aborted" });
    case "pause":
      if (phase === "paused") return rollout;
      if (!rests) throw notNow(rollout, command);
      return enter("paused", { reason: "paused" });
    case "resume":
      if (!rests) throw notNow(rollout, command);
      if (phase === "paused") return enter("observing", { reason: undefined });
      return waitsForSomebody(rollout) ? next(rollout, enter) : rollout;
    case "promote":
      if (phase === "promoting") return rollout;
      if (!rests) throw notNow(rollout, command);
      return enter("promoting", { reason: undefined });
  }
}

const waitsForSomebody = ({ strategy, step }: Rollout): boolean =>
  strategy.steps[step]!.pauseMs === null;

const isSame = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((slot, at) => slot === b[at]);

const over = ({ id, phase }: Rollout): SoloError =>
  new SoloError("conflict", `Rollout ${id} is over: ${phase}.`, {
    hint: "Start another with an update, or go back with a rollback.",
  });

const notNow = ({ id, phase }: Rollout, command: Command): SoloError =>
  new SoloError("conflict", `Rollout ${id} is ${phase}; it cannot ${command} just now.`, {
    hint: "Try again in a moment, or abort it.",
    retryAfterMs: 500,
  });

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at);
