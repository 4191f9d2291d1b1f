/**
 * What a tool says: an operation's answer, or its refusal (pure).
 *
 * 1. A refusal is a result with `isError` whose content is the problem document of REST: the
 *    same code, detail, hint, fields, diagnostics and denial.
 * 2. No answer is longer than the bound; what was cut is told, and how to get the rest.
 */
import type { CallToolResult } from "@modelcontextprotocol/server";
import type { Operation } from "#api/operation.ts";
import { toProblem } from "#api/problem.ts";
import type { SoloError } from "#base/errors.ts";
import { fitted, type Cut, type Keep } from "#mcp/cut.ts";

export interface AnswerOptions {
  readonly maxChars: number;
  readonly operation: Operation;
  readonly keep?: Keep;
}

export function toolAnswer(output: object, options: AnswerOptions): CallToolResult {
  const { maxChars, operation, keep } = options;
  const { value, text, cuts } = fitted(output, maxChars, keep);
  const told =
    cuts.length === 0 ? [] : [{ type: "text" as const, text: aboutCuts(cuts, operation) }];
  return {
    content: [{ type: "text", text }, ...told],
    structuredContent: value,
  };
}

export function toolRefusal(error: SoloError, maxChars: number): CallToolResult {
  const { value, text } = fitted(toProblem(error), maxChars);
  return {
    content: [{ type: "text", text }],
    structuredContent: value,
    isError: true,
  };
}

/** Fields by which one asks for a part. */
const PART_FIELDS = ["limit", "since", "since_id", "after", "service_id", "event_type"];
const TOLD_CUTS = 5;

function aboutCuts(cuts: readonly Cut[], { input, http }: Operation): string {
  const what = cuts
    .slice(0, TOLD_CUTS)
    .map(
      ({ path, shown, of, unit }) =>
        `${path === "" ? "the answer" : path}: ${shown} of ${of} ${unit}`,
    )
    .join("; ");
  const fields = PART_FIELDS.filter((field) => field in input.shape);
  const [narrower, whole] = [
    fields.length === 0 ? "" : ` Ask for a part with ${fields.join(", ")}.`,
    ` All of it: ${http.method} ${http.path} over REST.`,
  ];
  return http.method === "GET"
    ? `Cut to fit: ${what}.${narrower}${whole}`
    : `Cut to fit: ${what}. It was done; do not repeat it to see more.`;
}
