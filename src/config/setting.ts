/** One value somebody wrote somewhere, and the problem it may be. */
import type { FieldError } from "#base/errors.ts";

/** Where a value comes from; lines and columns count from 1. */
export type Source =
  | { readonly layer: "default" }
  | {
      readonly layer: "file";
      readonly file: string;
      readonly line: number;
      readonly column: number;
    }
  | { readonly layer: "environment"; readonly name: string }
  | { readonly layer: "flag"; readonly name: string }
  | { readonly layer: "runtime" };

export interface Setting {
  readonly path: readonly string[];
  /** A table (section) is an empty object here; its members are settings of their own. */
  readonly value: unknown;
  readonly source: Source;
}

export interface Problem {
  readonly path: string;
  readonly source: Source;
  readonly message: string;
}

export function sourceText(source: Source): string {
  switch (source.layer) {
    case "default":
      return "default";
    case "file":
      return `${source.file}:${source.line}:${source.column}`;
    case "environment":
      return `environment variable ${source.name}`;
    case "flag":
      return `flag ${source.name}`;
    case "runtime":
      return "runtime update";
  }
}

export const fieldOf = (problem: Problem): FieldError => ({
  field: problem.path,
  message: `${sourceText(problem.source)}: ${problem.message}`,
});

const LONGEST_SHOWN = 60;

/** What was found, for a message; long values are cut. */
export function foundText(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (value instanceof Date) return "a date";
  if (typeof value === "object" && value !== null) return "a table";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}
