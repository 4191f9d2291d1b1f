/** An operation's input as an HTTP request: pure, and the only place that knows the mapping. */
import { SoloError } from "#base/errors.ts";
import { DEFAULT_TIMEOUT_MS, TIMEOUT_MARGIN_MS } from "#client/limits.ts";
import type { OperationRow } from "#client/operations.ts";

export type RequestInput = Readonly<Record<string, unknown>>;

export interface WireRequest {
  readonly method: string;
  /** Path and query, from the root of the kernel's address. */
  readonly target: string;
  readonly body?: string;
}

const refuse = (field: string, message: string): SoloError =>
  new SoloError("invalid_argument", `${field} ${message}.`, { fields: [{ field, message }] });

/** A dot segment would be resolved away and reach another resource, so it is refused here. */
function pathSegment(field: string, value: unknown): string {
  if (typeof value !== "string" || value === "") throw refuse(field, "is required");
  if (value === "." || value === "..") throw refuse(field, `cannot be "${value}"`);
  try {
    return encodeURIComponent(value);
  } catch {
    throw refuse(field, "is not valid Unicode");
  }
}

const queryText = (value: unknown): string =>
  typeof value === "string" ? value : JSON.stringify(value);

function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw new SoloError("invalid_argument", "The input cannot be written as JSON.", {
      hint: "Send plain values: no cycles, no BigInt.",
      cause,
    });
  }
}

export function wireRequest(row: OperationRow, input: RequestInput): WireRequest {
  const { method, path } = row.http;
  const rest = new Map(Object.entries(input).filter(([, value]) => value !== undefined));
  const target = path.replace(/\{(\w+)\}/g, (_, field: string) => {
    const segment = pathSegment(field, rest.get(field));
    rest.delete(field);
    return segment;
  });
  if (method === "POST" || method === "PUT") {
    return { method, target, body: jsonText(Object.fromEntries(rest)) };
  }
  const pairs = [...rest].map(([field, value]) => [field, queryText(value)]);
  const query = new URLSearchParams(pairs).toString();
  return { method, target: query === "" ? target : `${target}?${query}` };
}

const numberAt = (value: unknown, field: string): number => {
  const found = typeof value === "object" && value !== null ? Reflect.get(value, field) : 0;
  return typeof found === "number" ? found : 0;
};

/** How long to wait for the answer: as asked, else longer than what the input lets the kernel take. */
export function deadlineMs(input: RequestInput, asked: number | undefined): number {
  if (asked !== undefined) return asked;
  const granted =
    numberAt(input, "timeout_ms") + numberAt(input["restart_limits"], "startup_timeout_ms");
  return Math.max(DEFAULT_TIMEOUT_MS, granted + TIMEOUT_MARGIN_MS);
}
