/**
 * What a supervisor does when a child has exited, or could not be restarted. Pure.
 *
 * 1. `permanent` children are restarted after any exit, `transient` ones after a failure
 *    (not after `normal` or `shutdown`), `temporary` ones never: their spec is forgotten.
 * 2. A restart concerns the child alone (`one_for_one`), it and those started after it
 *    (`rest_for_one`), or all (`one_for_all`). Those that live are stopped in reverse
 *    start order; then all are started in start order, also those that had been stopped
 *    before. Temporary children are stopped and forgotten.
 * 3. More than `maxRestarts` restarts within `maxSeconds` mean: give up.
 * 4. A failed start counts like any other failure.
 */
import { SoloError } from "#base/errors.ts";
import { restartDelayMs, type Backoff, type Intensity } from "#supervisor/backoff.ts";
import { isOrderly, type ExitReason, type RestartKind } from "#supervisor/child.ts";

export type Strategy = "one_for_one" | "rest_for_one" | "one_for_all";

export interface RestartRules extends Intensity {
  readonly strategy: Strategy;
  readonly backoff?: Backoff | undefined;
}

export interface ChildFacts {
  readonly restart: RestartKind;
  /** Something runs that would have to be stopped. */
  readonly alive: boolean;
}

export interface Failure {
  readonly id: string;
  /** Monotonic milliseconds. */
  readonly at: number;
}

export interface SupervisorFacts {
  readonly rules: RestartRules;
  /** In start order. */
  readonly children: ReadonlyMap<string, ChildFacts>;
  /** The failures that led to restarts within the window, oldest first. */
  readonly failures: readonly Failure[];
}

export interface Exit {
  readonly id: string;
  readonly reason: ExitReason;
  /** Monotonic milliseconds. */
  readonly now: number;
}

export interface RestartDecision {
  readonly kind: "restart";
  /** To stop, in this order. */
  readonly stop: readonly string[];
  /** Of those, the ones that do not come back. */
  readonly forget: readonly string[];
  /** To start, in this order, `delayMs` from now. */
  readonly start: readonly string[];
  readonly delayMs: number;
  /** The how-manieth failure of this child within the window; counts from 1. */
  readonly attempt: number;
  readonly failures: readonly Failure[];
}

export type Decision =
  /** The child stays down and its spec is kept. */
  | { readonly kind: "leave" }
  /** The child stays down and its spec goes. */
  | { readonly kind: "forget" }
  | RestartDecision
  /** Too many restarts: stop everything and exit, so that the parent decides. */
  | { readonly kind: "give_up"; readonly failures: readonly Failure[] };

export function decideExit(facts: SupervisorFacts, exit: Exit): Decision {
  const { rules, children } = facts;
  const { id, reason, now } = exit;
  const child = children.get(id);
  if (child === undefined) throw new SoloError("internal", `No child ${id} could have exited.`);
  if (child.restart === "temporary") return { kind: "forget" };
  if (child.restart === "transient" && isOrderly(reason)) return { kind: "leave" };

  const failures = [...withinWindow(facts, now), { id, at: now }];
  if (failures.length > rules.maxRestarts) return { kind: "give_up", failures };
  const attempt = failures.filter((failure) => failure.id === id).length;
  const affected = affectedBy(facts, id);
  const others = affected.filter((other) => other !== id);
  const isTemporary = (other: string) => children.get(other)?.restart === "temporary";
  return {
    kind: "restart",
    stop: others.filter((other) => children.get(other)?.alive).reverse(),
    forget: others.filter(isTemporary),
    start: affected.filter((other) => !isTemporary(other)),
    delayMs: restartDelayMs({ ...rules, attempt }),
    attempt,
    failures,
  };
}

const withinWindow = ({ rules, failures }: SupervisorFacts, now: number) =>
  failures.filter((failure) => now - failure.at <= rules.maxSeconds * 1000);

/** In start order. */
function affectedBy({ rules, children }: SupervisorFacts, id: string): string[] {
  switch (rules.strategy) {
    case "one_for_one":
      return [id];
    case "rest_for_one": {
      const ids = [...children.keys()];
      return ids.slice(ids.indexOf(id));
    }
    case "one_for_all":
      return [...children.keys()];
  }
}
