/**
 * A service of which only some handlers may be reached, with some arguments (SPEC C4).
 *
 * 1. What no rule allows is refused; a rule's constraints all hold.
 * 2. A constraint looks at plain JSON data by own properties only, and never backtracks.
 */
import type { FieldError } from "#base/errors.ts";
import {
  MAX_CALL_RULES,
  MAX_CALLS_CHARS,
  MAX_CHOICE_CHARS,
  MAX_CHOICES,
  MAX_CONSTRAINTS,
  MAX_FIELD_DEPTH,
} from "#capability/limits.ts";

export type Scalar = string | number | boolean | null;

/** One of the tests holds for the argument at `index`, or for the field of it that `path` names. */
export interface Constraint {
  readonly index: number;
  readonly path?: readonly string[] | undefined;
  readonly equals?: Scalar | undefined;
  readonly one_of?: readonly Scalar[] | undefined;
  /** A number from `min` to `max`, both included. */
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  /** A text that starts so. */
  readonly prefix?: string | undefined;
}

export interface CallRule {
  /** `calls.<name>`, `casts.<name>` or `fetch.<METHOD>` (whose argument 0 is the path); `*` may stand for the name. */
  readonly handler: string;
  readonly args?: readonly Constraint[] | undefined;
  /** More arguments than this are refused. */
  readonly max_args?: number | undefined;
}

export interface Call {
  /** `calls.increment`, `fetch.GET`. */
  readonly handler: string;
  readonly args: readonly unknown[];
}

export type CallRefusal =
  | { readonly why: "handler"; readonly allowed: readonly string[] }
  | { readonly why: "max_args"; readonly rule: CallRule }
  | { readonly why: "argument"; readonly rule: CallRule; readonly constraint: Constraint };

/** Why the call is not allowed, or undefined when it is. */
export function refuseCall(rules: readonly CallRule[], call: Call): CallRefusal | undefined {
  let refusal: CallRefusal | undefined;
  for (const rule of rules) {
    if (!namesHandler(rule.handler, call.handler)) continue;
    const broken = breaks(rule, call.args);
    if (broken === undefined) return undefined;
    refusal ??= broken;
  }
  return refusal ?? { why: "handler", allowed: rules.map(({ handler }) => handler) };
}

const HANDLER = /^(?:(?:calls|casts)\.(?:\*|[A-Za-z_$][\w$]{0,127})|fetch\.(?:\*|[A-Z]{1,20}))$/;

/** What is wrong with the rules, field by field. */
export function checkRules(rules: readonly CallRule[]): FieldError[] {
  if (rules.length > MAX_CALL_RULES) {
    return [{ field: "calls", message: `has ${rules.length} rules; at most ${MAX_CALL_RULES}` }];
  }
  const chars = JSON.stringify(rules).length;
  if (chars > MAX_CALLS_CHARS) {
    const message = `has ${chars} characters as JSON; at most ${MAX_CALLS_CHARS}`;
    return [{ field: "calls", message }];
  }
  return rules.flatMap(({ handler, args = [], max_args }, i) => {
    const errors: FieldError[] = [];
    const refuse = (at: string, message: string) =>
      void errors.push({ field: `calls.${i}.${at}`, message });
    if (!HANDLER.test(handler)) {
      refuse("handler", "must be calls.<name>, casts.<name>, fetch.<METHOD>, or * for the name");
    }
    if (max_args !== undefined && !isCount(max_args)) refuse("max_args", "must be a whole number");
    if (args.length > MAX_CONSTRAINTS) refuse("args", `has more than ${MAX_CONSTRAINTS}`);
    else
      args.forEach((each, n) => checkConstraint(each, (message) => refuse(`args.${n}`, message)));
    return errors;
  });
}

/** Whether each handler that `inner` names is also named by `outer`; constraints add up. */
export const holdsHandlers = (outer: readonly CallRule[], inner: readonly CallRule[]): boolean =>
  inner.every(({ handler }) => outer.some((rule) => namesHandler(rule.handler, handler)));

const namesHandler = (named: string, handler: string): boolean =>
  named === handler || (named.endsWith(".*") && handler.startsWith(named.slice(0, -1)));

function breaks(rule: CallRule, args: readonly unknown[]): CallRefusal | undefined {
  if (rule.max_args !== undefined && args.length > rule.max_args) return { why: "max_args", rule };
  const constraint = rule.args?.find((each) => !holds(each, args));
  return constraint && { why: "argument", rule, constraint };
}

function holds(constraint: Constraint, args: readonly unknown[]): boolean {
  const { index, path = [], equals, one_of, min, max, prefix } = constraint;
  let value = args[index];
  for (const name of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return false;
    value = (value as Record<string, unknown>)[name];
  }
  if (equals !== undefined) return value === equals;
  if (one_of !== undefined) return one_of.includes(value as Scalar);
  if (prefix !== undefined) return typeof value === "string" && value.startsWith(prefix);
  return typeof value === "number" && value >= (min ?? -Infinity) && value <= (max ?? Infinity);
}

function checkConstraint(constraint: Constraint, refuse: (message: string) => void): void {
  const { index, path = [], equals, one_of, min, max, prefix } = constraint;
  if (!isCount(index)) refuse("index must be a whole number from 0");
  if (path.length > MAX_FIELD_DEPTH) refuse(`path has more than ${MAX_FIELD_DEPTH} names`);
  const tests = [equals, one_of, min ?? max, prefix].filter((test) => test !== undefined);
  if (tests.length !== 1) refuse("needs exactly one of equals, one_of, min/max, prefix");
  const choices = one_of ?? (equals === undefined ? [] : [equals]);
  if (choices.length > MAX_CHOICES) refuse(`one_of has more than ${MAX_CHOICES} values`);
  if (!choices.every(isScalar)) refuse("values must be text, numbers, true, false or null");
  if (choices.some((each) => typeof each === "string" && each.length > MAX_CHOICE_CHARS)) {
    refuse(`a text has more than ${MAX_CHOICE_CHARS} characters`);
  }
  if (prefix !== undefined && (typeof prefix !== "string" || prefix.length > MAX_CHOICE_CHARS)) {
    refuse(`prefix must be a text of at most ${MAX_CHOICE_CHARS} characters`);
  }
  for (const bound of [min, max]) {
    if (bound !== undefined && !Number.isFinite(bound)) refuse("min and max must be numbers");
  }
}

const isCount = (value: number): boolean => Number.isInteger(value) && value >= 0 && value < 1_000;
const isScalar = (value: unknown): boolean =>
  value === null ||
  typeof value === "string" ||
  typeof value === "boolean" ||
  Number.isFinite(value);
