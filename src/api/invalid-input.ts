/**
 * What is wrong with an operation's input, in words that lead to a right one (pure).
 *
 * 1. Every bad field is named once, with its path and what it must be.
 * 2. A field that does not exist is answered with the one that was probably meant, wherever in
 *    the request that is; the hint lists those that its object takes.
 * 3. However large the input, the answer is bounded.
 */
import type { z } from "zod";
import { SoloError, type FieldError } from "#base/errors.ts";
import { nearest } from "#base/nearest.ts";

/** So many bad fields are spelled out in the text; `errors` has them all. */
const MAX_NAMED = 10;
const MAX_PATH_CHARS = 100;
/** How deep a field that was probably meant is looked for. */
const MEANT_DEPTH = 3;
/** What a description or a list of fields may take of the hint. */
const MAX_HINT_CHARS = 600;

export function invalidInput(schema: z.ZodObject, error: z.ZodError, input: unknown): SoloError {
  const fields = new Map<string, string>();
  for (const issue of error.issues) {
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) {
        const path = [...issue.path, key].map(String).join(".");
        fields.set(path, `is not a field of this request${meant(schema, issue.path, key)}`);
      }
    } else {
      // Of two bounds that one value breaks, the narrower one comes last.
      fields.set(issue.path.map(String).join(".") || "body", messageOf(issue, input));
    }
  }
  const errors: FieldError[] = [...fields].map(([field, message]) => ({ field, message }));
  const text = errors
    .slice(0, MAX_NAMED)
    .map(({ field, message }) => `${field.slice(0, MAX_PATH_CHARS)} ${message}`)
    .join("; ");
  const end = text.endsWith("?") ? "" : ".";
  return new SoloError("invalid_argument", `The request is not right: ${text}${end}`, {
    fields: errors,
    hint: `${explained(schema, error.issues[0])}See /openapi.json for the fields and their types.`,
  });
}

function messageOf(issue: z.core.$ZodIssue, input: unknown): string {
  if (issue.code === "invalid_type") {
    const value = valueAt(input, issue.path);
    if (value === undefined) return "is missing";
    return `must be ${TYPES[issue.expected] ?? `of type ${issue.expected}`}, not ${kindOf(value)}`;
  }
  if (issue.code === "invalid_value") {
    return `must be ${issue.values.length > 1 ? "one of " : ""}${issue.values.map(String).join(", ")}`;
  }
  if (issue.code === "too_small") return bound("at least", issue.minimum, issue.origin);
  if (issue.code === "too_big") return bound("at most", issue.maximum, issue.origin);
  return issue.message;
}

const TYPES: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "number")
    return Number.isInteger(value) ? "a number" : `the number ${value}`;
  return (
    { string: "text", boolean: "true or false", object: "an object" }[typeof value as string] ??
    `a ${typeof value}`
  );
}

function bound(which: string, limit: number | bigint, origin: string): string {
  if (origin === "string") return `must have ${which} ${limit} characters`;
  if (origin === "array" || origin === "set") return `must have ${which} ${limit} entries`;
  return `must be ${which} ${limit}`;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[key];
  return value;
}

/** The fields of the object at `path`; none when there is no object of fixed fields. */
function shapeAt(schema: z.ZodType, path: readonly PropertyKey[]): Shape {
  let at: z.ZodType | undefined = inner(schema);
  for (const key of path) {
    const { type, element, shape, valueType } = (at?.def ?? {}) as Definition;
    at =
      type === "object" && Object.hasOwn(shape!, key)
        ? inner(shape![key as string]!)
        : type === "array" || type === "record"
          ? inner((element ?? valueType)!)
          : undefined;
  }
  const { type, shape } = (at?.def ?? {}) as Definition;
  return type === "object" ? shape! : {};
}

type Shape = Readonly<Record<string, z.ZodType>>;

interface Definition {
  readonly type?: string;
  readonly innerType?: z.ZodType;
  readonly element?: z.ZodType;
  readonly valueType?: z.ZodType;
  readonly shape?: Shape;
}

/** The schema below optional, nullable and default. */
function inner(schema: z.ZodType): z.ZodType {
  let at = schema;
  for (let def = at.def as Definition; def.innerType !== undefined; def = at.def as Definition) {
    at = def.innerType;
  }
  return at;
}

/** What others call it, and what it is called here. */
const ELSEWHERE: Readonly<Record<string, readonly string[]>> = {
  id: ["service_id"],
  name: ["service_id", "tenant_id"],
  source: ["code"],
  timeout_ms: ["call_timeout_ms"],
  timeout: ["timeout_ms", "call_timeout_ms"],
  ttl_seconds: ["ttl_ms"],
  expires_in: ["ttl_ms"],
  rate_limit: ["rate_per_minute"],
  percent: ["steps"],
  percentage: ["steps"],
  to: ["revision"],
};

const own = <T>(of: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(of, key) ? of[key] : undefined;

/** `; did you mean limits.memory_mb?`, or nothing. */
function meant(schema: z.ZodObject, path: readonly PropertyKey[], key: string): string {
  const here = Object.keys(shapeAt(schema, path));
  const start = path.map(String).join(".");
  const below = here.map((name) => (start === "" ? name : `${start}.${name}`));
  const all = [...below, ...fieldPaths(schema, "", 1)];
  const leaf = (field: string) => field.slice(field.lastIndexOf(".") + 1);
  const like = (field: string) => leaf(field).startsWith(`${key}_`) || leaf(field) === `${key}s`;
  const found =
    below.find(like) ??
    below.find((field) => leaf(field) === nearest(key, here)) ??
    all.find((field) => leaf(field) === key) ??
    all.find((field) => own(ELSEWHERE, key)?.includes(leaf(field))) ??
    all.find(like);
  return found === undefined ? "" : `; did you mean ${found}?`;
}

function fieldPaths(schema: z.ZodType, start: string, depth: number): string[] {
  return Object.entries(shapeAt(schema, [])).flatMap(([name, of]) => {
    const path = `${start}${name}`;
    return [path, ...(depth < MEANT_DEPTH ? fieldPaths(inner(of), `${path}.`, depth + 1) : [])];
  });
}

/** What the catalogue says of the first field that is wrong. */
function explained(schema: z.ZodObject, issue: z.core.$ZodIssue | undefined): string {
  if (issue === undefined) return "";
  if (issue.code === "unrecognized_keys") {
    const names = Object.keys(shapeAt(schema, issue.path)).join(", ");
    const where = issue.path.length === 0 ? "The request" : issue.path.map(String).join(".");
    return names === "" ? "" : `${cut(`${where.slice(0, MAX_PATH_CHARS)} takes: ${names}`)}. `;
  }
  const name = issue.path.at(-1);
  const of = typeof name === "string" ? shapeAt(schema, issue.path.slice(0, -1)) : {};
  const description = Object.hasOwn(of, name ?? "") ? of[name as string]!.description : undefined;
  return description === undefined ? "" : `${String(name)}: ${cut(description)} `;
}

const cut = (text: string): string =>
  text.length <= MAX_HINT_CHARS ? text : `${text.slice(0, MAX_HINT_CHARS)}…`;
