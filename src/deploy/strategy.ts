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

/** What the new revision may do worse than the old one before the rollout is undone. */
export interface Gates {
  /** Errors per request, beyond the old revision's, in per cent. */
  readonly maxErrorPercent: number;
  readonly maxCrashes: number;
  /** Times the old revision's 95th percentile; 0 does not look. */
  readonly maxLatencyRatio: number;
  /** A step is not left before the new revision has answered so many. */
  readonly minRequests: number;
}

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
  readonly gates: Gates;
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
  readonly gates?:
    | {
        readonly max_error_percent?: number | undefined;
        readonly max_crashes?: number | undefined;
        readonly max_latency_ratio?: number | undefined;
        readonly min_requests?: number | undefined;
      }
    | undefined;
}

export const DEFAULT_GATES: Gates = {
  maxErrorPercent: 5,
  maxCrashes: 0,
  maxLatencyRatio: 0,
  minRequests: 0,
};
const ROLLING_PAUSE_MS = 1000;
const CANARY_PAUSE_MS = 30_000;
const CANARY_PERCENTS = [10, 50];
const KEEP_MS = 60_000;

/** Which fields go with which type; others are refused by name. */
const FIELDS: Readonly<Record<StrategyKind, readonly string[]>> = {
  hot_swap: ["type"],
  rolling: ["type", "max_surge", "max_unavailable", "pause_ms", "gates"],
  canary: ["type", "steps", "pause_ms", "split", "manual", "gates"],
  blue_green: ["type", "keep_ms", "manual", "gates"],
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
  return { kind: "rolling", steps, split: "weight", beside: false, gates: gatesOf(input) };
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
      "canary would split one state in two: this service keeps its state in one slot. Use hot_swap or blue_green, or give it more instances",
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
  return { kind: "canary", steps, split, beside, gates: gatesOf(input) };
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
  gates: gatesOf(input),
});

const MAKE: Readonly<Record<Strategy["kind"], Make>> = {
  rolling,
  canary,
  blue_green: blueGreen,
};

function gatesOf({ gates }: StrategyInput): Gates {
  return {
    maxErrorPercent: gates?.max_error_percent ?? DEFAULT_GATES.maxErrorPercent,
    maxCrashes: gates?.max_crashes ?? DEFAULT_GATES.maxCrashes,
    maxLatencyRatio: gates?.max_latency_ratio ?? DEFAULT_GATES.maxLatencyRatio,
    minRequests: gates?.min_requests ?? DEFAULT_GATES.minRequests,
  };
}
