/**
 * What one reading of a resource means. Pure.
 *
 * 1. A value above the limit has the limit's action, each time; telling of it is another
 *    matter: an excess is told at most once in TELL_EVERY_MS, with the number of times.
 * 2. Nothing is lost: what was told and what is still owed add up to what happened.
 * 3. An approach is told when it begins, never while it lasts or after an excess.
 */
import type { Level, Limit, LimitAction, Resource, Violation } from "#limits/limit.ts";

/** Shares of the limit: where an approach begins, where it ends, and where an excess ends. */
export const APPROACH_AT = 0.8;
export const APPROACH_ENDS_BELOW = 0.7;
const EXCESS_ENDS_BELOW = 0.9;
export const TELL_EVERY_MS = 10_000;

export interface Past {
  readonly level: Level;
  readonly toldApproachAt: number;
  readonly toldExcessAt: number;
  /** Times the limit was passed since that was last told, and the highest value then. */
  readonly untold: number;
  readonly worst: number;
}

export const NO_PAST: Past = {
  level: "ok",
  toldApproachAt: -Infinity,
  toldExcessAt: -Infinity,
  untold: 0,
  worst: 0,
};

export interface Reading extends Limit {
  readonly what: Resource;
  readonly value: number;
  /** Monotonic ms. */
  readonly now: number;
  /** Whoever enforces the limit says that it was passed, whatever the value. */
  readonly passed?: boolean;
}

export interface Decision {
  readonly past: Past;
  /** What to do about this reading; undefined when it is within the limit. */
  readonly act: LimitAction | undefined;
  readonly tell: Violation | undefined;
}

export function decide(past: Past, reading: Reading): Decision {
  const { value, limit, action, now } = reading;
  const level = levelOf(past.level, value, limit);
  if (value > limit || reading.passed === true) {
    const excess = {
      ...past,
      level: "exceeded" as const,
      untold: past.untold + 1,
      worst: Math.max(past.worst, value),
    };
    return { act: action, ...owed(excess, reading) };
  }
  const begins = level === "approach" && past.level === "ok";
  if (!begins || now - past.toldApproachAt < TELL_EVERY_MS) {
    return { past: { ...past, level }, act: undefined, tell: undefined };
  }
  const { what } = reading;
  const tell: Violation = { what, level: "approach", value, limit, action, count: 0 };
  return { past: { ...past, level, toldApproachAt: now }, act: undefined, tell };
}

/** Tells of an excess whose time has come, also when nothing is read any more. */
export function owed(
  past: Past,
  { what, limit, action, now }: Omit<Reading, "value">,
): Pick<Decision, "past" | "tell"> {
  if (past.untold === 0 || now - past.toldExcessAt < TELL_EVERY_MS) {
    return { past, tell: undefined };
  }
  const { worst: value, untold: count } = past;
  const tell: Violation = { what, level: "exceeded", value, limit, action, count };
  return { past: { ...past, toldExcessAt: now, untold: 0, worst: 0 }, tell };
}

function levelOf(before: Level, value: number, limit: number): Level {
  if (value > limit) return "exceeded";
  if (before === "exceeded" && value >= limit * EXCESS_ENDS_BELOW) return "exceeded";
  const nearFrom = before === "ok" ? APPROACH_AT : APPROACH_ENDS_BELOW;
  return value >= limit * nearFrom && value > 0 ? "approach" : "ok";
}
