/** Specs and options are checked whole before anything starts; every bad field is named. */
import { SoloError, type FieldError } from "#base/errors.ts";
import type { ChildSpec } from "#supervisor/child.ts";
import type { Backoff } from "#supervisor/backoff.ts";
import type { RestartRules } from "#supervisor/decide.ts";
import {
  MAX_CHILDREN,
  MAX_CHILD_ID_LENGTH,
  MAX_RESTARTS,
  MAX_SECONDS,
  MAX_SHUTDOWN_MS,
} from "#supervisor/limits.ts";

export interface Checked {
  readonly id: string;
  readonly rules: RestartRules;
  readonly dynamic: boolean;
  readonly children: readonly ChildSpec[];
}

export function checkSupervisor({ id, rules, dynamic, children }: Checked): void {
  const bad = new Findings();
  bad.unless(isId(id), "id", ID_RULE);
  checkRules(rules, bad);
  bad.unless(
    !dynamic || rules.strategy === "one_for_one",
    "dynamic",
    "must come with the strategy one_for_one: the others depend on the order of the children",
  );
  bad.unless(children.length <= MAX_CHILDREN, "children", `must be at most ${MAX_CHILDREN}`);
  const ids = new Set<string>();
  for (const [at, spec] of children.entries()) {
    checkSpec(spec, `children[${at}].`, bad);
    bad.unless(
      !ids.has(spec.id),
      `children[${at}].id`,
      `must be unique, but ${spec.id} comes twice`,
    );
    ids.add(spec.id);
  }
  bad.refuse(`The supervisor ${id} cannot be started as described.`);
}

export function checkChild(spec: ChildSpec): void {
  const bad = new Findings();
  checkSpec(spec, "", bad);
  bad.refuse(`The child ${spec.id} cannot be started as described.`);
}

function checkSpec(spec: ChildSpec, path: string, bad: Findings): void {
  const { id, start, restart, shutdown, type } = spec;
  bad.unless(isId(id), `${path}id`, ID_RULE);
  bad.unless(typeof start === "function", `${path}start`, "must be a function");
  bad.unless(RESTARTS.has(restart), `${path}restart`, "must be permanent, transient or temporary");
  bad.unless(TYPES.has(type), `${path}type`, "must be worker or supervisor");
  bad.unless(
    shutdown === "brutal_kill" || shutdown === "infinity" || isWhole(shutdown, MAX_SHUTDOWN_MS),
    `${path}shutdown`,
    `must be brutal_kill, infinity or whole milliseconds from 0 to ${MAX_SHUTDOWN_MS}`,
  );
}

function checkRules({ strategy, maxRestarts, maxSeconds, backoff }: RestartRules, bad: Findings) {
  bad.unless(
    STRATEGIES.has(strategy),
    "strategy",
    "must be one_for_one, rest_for_one or one_for_all",
  );
  bad.unless(
    isWhole(maxRestarts, MAX_RESTARTS),
    "maxRestarts",
    `must be a whole number from 0 to ${MAX_RESTARTS}`,
  );
  bad.unless(
    maxSeconds > 0 && maxSeconds <= MAX_SECONDS,
    "maxSeconds",
    `must be above 0 and at most ${MAX_SECONDS}`,
  );
  if (backoff !== undefined) checkBackoff(backoff, bad);
}

function checkBackoff({ baseMs, factor, maxMs }: Backoff, bad: Findings): void {
  bad.unless(baseMs >= 0, "backoff.baseMs", "must be 0 or more");
  bad.unless(factor >= 1 && Number.isFinite(factor), "backoff.factor", "must be 1 or more");
  bad.unless(maxMs >= baseMs, "backoff.maxMs", "must be at least backoff.baseMs");
}

const RESTARTS: ReadonlySet<unknown> = new Set(["permanent", "transient", "temporary"]);
const TYPES: ReadonlySet<unknown> = new Set(["worker", "supervisor"]);
const STRATEGIES: ReadonlySet<unknown> = new Set(["one_for_one", "rest_for_one", "one_for_all"]);
const ID_RULE = `must be text of 1 to ${MAX_CHILD_ID_LENGTH} characters`;

const isId = (value: unknown): boolean =>
  typeof value === "string" && value.length > 0 && value.length <= MAX_CHILD_ID_LENGTH;
const isWhole = (value: unknown, max: number): boolean =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max;

class Findings {
  readonly #fields: FieldError[] = [];

  unless(holds: boolean, field: string, message: string): void {
    if (!holds) this.#fields.push({ field, message });
  }

  refuse(detail: string): void {
    if (this.#fields.length === 0) return;
    const named = this.#fields.map(({ field, message }) => `${field} ${message}`).join("; ");
    throw new SoloError("invalid_argument", `${detail} ${named}.`, { fields: this.#fields });
  }
}
