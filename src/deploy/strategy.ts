/**
 * How a new revision takes over: at once, or slot by slot, share by share (H3).
 *
 * 1. State belongs to slots: a slot that keeps state moves between revisions by hot swap only.
 * 2. A strategy becomes a list of steps when it is accepted; nothing is decided later.
 */
import { SoloError, type FieldError } from "#base/errors.ts";

export const STRATEGIES = ["hot_swap", "rolling", "canary", "blue_green"] as const;
export type StrategyKind = (typeof STRATEGIES)[number];
export const SPLITS = ["weight", "key"] as const;
export type Split = (typeof SPLITS)[number];

/** A state of the rollout in which it rests and is watched. */
export interface Step {
  /** So many slots run the new revision. */
  readonly slots: number;
  /** So much of the traffic goes to them, in per cent; undefined: as the slots come. */
  readonly percent: number | undefined;
  /** How long it is watched before the next; null: until somebody promotes. */
  readonly pauseMs: number | null;
}

export interface Strategy {
  readonly kind: Exclude<StrategyKind, "hot_swap">;
  readonly steps: readonly Step[];
  readonly split: Split;
  /** The new revision gets slots of its own beside the old ones, until it is promoted. */
  readonly beside: boolean;
  /** A step is not left before the new revision has been sent so many messages in it. */
  readonly minRequests: number;
}

/** The field `strategy` of an update; see src/api/rollouts.ts. */
export interface StrategyInput {
  readonly type: StrategyKind;
  readonly max_surge?: number | undefined;
  readonly max_unavailable?: number | undefined;
  readonly steps?:
    | readonly { readonly percent: number; readonly pause_ms?: number | undefined }[]
    | undefined;
  readonly pause_ms?: number | undefined;
  readonly keep_ms?: number | undefined;
  readonly split?: Split | undefined;
  readonly manual?: boolean | undefined;
  readonly min_requests?: number | undefined;
}

const ROLLING_PAUSE_MS = 1000;
const CANARY_PAUSE_MS = 30_000;
const CANARY_PERCENTS = [10, 50];
const KEEP_MS = 60_000;

/** Which fields go with which type; others are refused by name. */
const FIELDS: Readonly<Record<StrategyKind, readonly string[]>> = {
  hot_swap: ["type"],
  rolling: ["type", "max_surge", "max_unavailable", "pause_ms", "min_requests"],
  canary: ["type", "steps", "pause_ms", "split", "manual", "min_requests"],
  blue_green: ["type", "keep_ms", "manual", "min_requests"],
};

/** What a strategy has to know of the service. */
export interface Ground {
  readonly instances: number;
  readonly keepsState: boolean;
}

/** The steps of the strategy; undefined for a hot swap, which has none. */
export function resolveStrategy(input: StrategyInput, ground: Ground): Strategy | undefined {
  const problems: FieldError[] = [];
  const refuse = (field: string, message: string) =>
    void problems.push({ field: `strategy.${field}`, message });
  for (const [field, value] of Object.entries(input)) {
    if (value !== undefined && !FIELDS[input.type].includes(field)) {
      refuse(field, `does not go with ${input.type}`);
    }
  }
  const strategy = input.type === "hot_swap" ? undefined : MAKE[input.type](input, ground, refuse);
  if (problems.length > 0) {
    const named = problems.map(({ field, message }) => `${field} ${message}`).join("; ");
    throw new SoloError("invalid_argument", `The strategy cannot be accepted: ${named}.`, {
      fields: problems,
      hint: "docs/upgrades.md says what each strategy takes.",
    });
  }
  return strategy;
}

type Refuse = (field: string, message: string) => void;
type Make = (input: StrategyInput, ground: Ground, refuse: Refuse) => Strategy;

const rolling: Make = (input, { instances }, refuse) => {
  const { max_surge = 1, max_unavailable = 0, pause_ms = ROLLING_PAUSE_MS } = input;
  if (max_surge + max_unavailable === 0) {
    refuse("max_surge", "and max_unavailable are both 0: nothing could move");
  }
  const batch = Math.max(1, max_surge + max_unavailable);
  const steps = Array.from({ length: Math.ceil(instances / batch) }, (_, at) => ({
    slots: Math.min((at + 1) * batch, instances),
    percent: undefined,
    pauseMs: pause_ms,
  }));
  return {
    kind: "rolling",
    steps,
    split: "weight",
    beside: false,
    minRequests: input.min_requests ?? 0,
  };
};

const canary: Make = (input, { instances, keepsState }, refuse) => {
  const { pause_ms = CANARY_PAUSE_MS, split = "weight", manual = false } = input;
  const percents: NonNullable<StrategyInput["steps"]> =
    input.steps ?? CANARY_PERCENTS.map((percent) => ({ percent }));
  if (percents.length === 0) refuse("steps", "is empty");
  for (const [at, { percent }] of percents.entries()) {
    const before = percents[at - 1]?.percent ?? 0;
    if (percent <= before || percent >= 100) {
      refuse(`steps.${at}.percent`, "must be more than the step's before it, and less than 100");
    }
  }
  if (keepsState && instances === 1) {
    refuse(
      "type",
      "canary would split one state in two: this service keeps its state in one slot. Use hot_swap or blue_green, or first give it more instances with an update without a strategy",
    );
  }
  const beside = instances === 1;
  const steps = percents.map(({ percent, pause_ms: own = pause_ms }) => ({
    slots: beside
      ? 1
      : Math.min(instances - 1, Math.max(1, Math.round((percent / 100) * instances))),
    percent,
    pauseMs: manual ? null : own,
  }));
  return { kind: "canary", steps, split, beside, minRequests: input.min_requests ?? 0 };
};

const blueGreen: Make = (input, { instances }) => ({
  kind: "blue_green",
  steps: [
    {
      slots: instances,
      percent: undefined,
      pauseMs: input.manual === true ? null : (input.keep_ms ?? KEEP_MS),
    },
  ],
  split: "weight",
  beside: false,
  minRequests: input.min_requests ?? 0,
});

const MAKE: Readonly<Record<Strategy["kind"], Make>> = {
  rolling,
  canary,
  blue_green: blueGreen,
};
