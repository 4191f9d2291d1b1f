/**
 * One input object from the places HTTP puts it in (pure).
 *
 * 1. A field comes from the path, then from the query (GET, DELETE) or the JSON body
 *    (POST, PUT); a field given twice with different values is refused.
 * 2. Query text becomes what the schema wants: true/false/1/0, numbers. Everything else
 *    about the input is checked behind the kernel's port.
 * 3. Every refusal names the parameter; all of them are reported at once.
 */
import type { z } from "zod";
import { SoloError, type FieldError } from "#base/errors.ts";
import type { BoundOperation } from "#gateway/rest/routes.ts";

export interface Received {
  readonly params: Readonly<Record<string, string>>;
  /** What follows `?`, undecoded. */
  readonly query: string;
  readonly body: unknown;
  readonly lastEventId: string | undefined;
}

type Shape = Readonly<Record<string, z.ZodType>>;

/** The field that `Last-Event-ID` fills. */
const RESUME_FIELD = "since_id";

export function inputOf(
  { operation }: BoundOperation,
  received: Received,
): Record<string, unknown> {
  const { method } = operation.http;
  const inBody = method === "POST" || method === "PUT";
  const errors: FieldError[] = [];
  const input: Record<string, unknown> = inBody
    ? bodyFields(received.body)
    : queryFields(operation.input.shape, received.query, errors);
  if (inBody && received.query !== "") errors.push(...unexpectedQuery(received.query));
  if (!inBody && received.body !== undefined) {
    errors.push({
      field: "body",
      message: `${method} takes its input from the query, not from a body`,
    });
  }
  for (const [field, value] of Object.entries(received.params)) {
    if (input[field] !== undefined && input[field] !== value) {
      errors.push({ field, message: "differs from the one in the path" });
    }
    input[field] = value;
  }
  if (operation.streaming && RESUME_FIELD in operation.input.shape) resume(input, received, errors);
  if (errors.length === 0) return input;
  throw new SoloError("invalid_argument", summary(errors), {
    fields: errors,
    hint: `${described(operation.input.shape, errors)}See /docs for what this operation takes.`,
  });
}

/** What the catalogue says of the first field that is wrong. */
function described(shape: Shape, [first]: readonly FieldError[]): string {
  const field = first?.field ?? "";
  const description = Object.hasOwn(shape, field) ? shape[field]!.description : undefined;
  return description === undefined ? "" : `${field}: ${description} `;
}

function bodyFields(body: unknown): Record<string, unknown> {
  if (body === undefined) return {};
  if (typeof body === "object" && body !== null && !Array.isArray(body)) return { ...body };
  throw new SoloError("invalid_argument", "The body must be a JSON object.", {
    fields: [{ field: "body", message: "must be a JSON object" }],
    hint: 'Put what the operation takes into an object, as in {"args": [1, 2]} for a call.',
  });
}

function queryFields(shape: Shape, query: string, errors: FieldError[]): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  if (query === "") return input;
  for (const [field, text] of new URLSearchParams(query)) {
    if (!Object.hasOwn(shape, field)) errors.push({ field, message: unknownParameter(shape) });
    else if (Object.hasOwn(input, field))
      errors.push({ field, message: "is given more than once" });
    else input[field] = typed(shape[field]!, text, field, errors);
  }
  return input;
}

const unknownParameter = (shape: Shape): string =>
  `is not a parameter of this operation (${Object.keys(shape).join(", ") || "it has none"})`;

const unexpectedQuery = (query: string): FieldError[] =>
  [...new Set(new URLSearchParams(query).keys())].map((field) => ({
    field,
    message: "stands in the query; this operation takes it in the JSON body",
  }));

const BOOLEANS: Readonly<Record<string, boolean>> = {
  true: true,
  "1": true,
  false: false,
  "0": false,
};
const INTEGER = /^-?\d{1,16}$/;
const NUMBER = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

function typed(schema: z.ZodType, text: string, field: string, errors: FieldError[]): unknown {
  const { type, format } = core(schema);
  if (type === "boolean") {
    if (Object.hasOwn(BOOLEANS, text)) return BOOLEANS[text];
    errors.push({ field, message: 'must be "true" or "false" (or 1, 0)' });
  } else if (type === "number") {
    const whole = format !== undefined && !format.startsWith("float");
    if ((whole ? INTEGER : NUMBER).test(text)) return Number(text);
    errors.push({ field, message: whole ? "must be an integer" : "must be a number" });
  }
  return text;
}

interface Definition {
  readonly type: string;
  readonly format?: string;
  readonly innerType?: z.ZodType;
}

/** The type below `optional`, `nullable` and `default`. */
function core(schema: z.ZodType): Definition {
  let def: Definition = schema.def;
  while (def.innerType !== undefined) def = def.innerType.def;
  return def;
}

/** A client that reconnects knows better than the URL it started with. */
function resume(input: Record<string, unknown>, received: Received, errors: FieldError[]): void {
  const { lastEventId } = received;
  if (lastEventId === undefined || lastEventId === "") return;
  if (INTEGER.test(lastEventId)) input[RESUME_FIELD] = Number(lastEventId);
  else errors.push({ field: "Last-Event-ID", message: "must be the id of an event" });
}

function summary(errors: readonly FieldError[]): string {
  const [first, ...more] = errors as readonly [FieldError, ...FieldError[]];
  const rest = more.length > 0 ? ` (and ${more.length} more)` : "";
  return `${first.field} ${first.message}${rest}.`;
}
