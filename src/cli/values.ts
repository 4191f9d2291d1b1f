/** Words of the command line as values: pure, and every refusal says what was expected. */
import { InvalidArgumentError } from "commander";
import type { Json } from "#api/operation.ts";
import { UsageError } from "#cli/usage-error.ts";

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const DAY_MS = 24 * 3_600_000;
const MAX_DURATION_MS = DAY_MS;
const MAX_DAYS = 3650;

export function integer(text: string): number {
  const value = Number(text);
  if (/^-?\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError("Expected a whole number.");
}

export function port(text: string): number {
  const value = integer(text);
  if (value >= 0 && value <= 65_535) return value;
  throw new InvalidArgumentError("Expected a port from 0 to 65535.");
}

/** `500ms`, `5s`, `2m`, `1h`; a bare number is milliseconds. */
export function duration(text: string): number {
  const [, count, unit = "ms"] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  const ms = Math.round(Number(count) * (DURATION_UNITS[unit] ?? 1));
  if (ms >= 1 && ms <= MAX_DURATION_MS) return ms;
  throw new InvalidArgumentError("Expected a duration up to 24h, such as 500ms, 5s or 2m.");
}

/** As `duration`, and `30d`: lives, not waits. */
export function longDuration(text: string): number {
  const [, days] = /^(\d{1,4})d$/.exec(text) ?? [];
  if (days === undefined) return duration(text);
  if (Number(days) >= 1 && Number(days) <= MAX_DAYS) return Number(days) * DAY_MS;
  throw new InvalidArgumentError(`Expected 1d to ${MAX_DAYS}d.`);
}

function parseJson(text: string, what: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(`${what} is not valid JSON: ${why}`, "Quote it for the shell: '[1, 2]'.");
  }
}

/**
 * One argument of a call. JSON when it is JSON; else its own text, unless it begins like a
 * JSON object, array or string: then a mistake is likelier than a word that looks so.
 */
export function jsonOrWord(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    if (/^\s*[[{"]/.test(text)) return parseJson(text, `The argument ${text}`);
    return text;
  }
}

/** The exact arguments: one JSON array. */
export function jsonArray(text: string): Json[] {
  const value = parseJson(text, "--args-json");
  if (Array.isArray(value)) return value;
  throw new UsageError("--args-json must be a JSON array, such as '[1, \"two\"]'.");
}

export function jsonObject(text: string, what: string): Record<string, Json> {
  const value = parseJson(text, what);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new UsageError(`${what} must hold a JSON object.`);
}

/** Collects what a service shall hold: `service:ledger`, a JSON entry, or `none`. */
export function capabilityEntry(text: string, before: readonly Json[] = []): readonly Json[] {
  if (text === "none") return before;
  const entry = jsonOrWord(text);
  return [...before, typeof entry === "string" ? { resources: [entry] } : entry];
}

/** Collects a repeatable `--option KEY=VALUE`. */
export function keyValue(
  text: string,
  before: Readonly<Record<string, string>> | undefined,
): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("Expected KEY=VALUE.");
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** Collects a repeatable `--option TEXT`. */
export const repeated = (text: string, before: readonly string[] | undefined): string[] => [
  ...(before ?? []),
  text,
];
