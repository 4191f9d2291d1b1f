/** The catalogue's zod schemas as the JSON Schema of an OpenAPI document (pure). */
import { z } from "zod";
import { ERRORS } from "#base/errors.ts";

export type Schema = Record<string, unknown>;

export const JSON_SCHEMA: Schema = { description: "Any JSON value." };

export const PROBLEM_SCHEMA: Schema = {
  description: "RFC 9457 problem details.",
  type: "object",
  required: ["type", "title", "status", "code", "detail"],
  properties: {
    type: { type: "string", description: "Where the code is explained." },
    title: { type: "string" },
    status: { type: "integer" },
    code: { type: "string", enum: Object.keys(ERRORS) },
    detail: { type: "string", description: "What happened." },
    hint: { type: "string", description: "What to do next." },
    errors: {
      description: "Every bad field of the request.",
      type: "array",
      items: {
        type: "object",
        required: ["field", "message"],
        properties: { field: { type: "string" }, message: { type: "string" } },
      },
    },
    diagnostics: {
      description: "Findings in the source that was sent; lines and columns count from 1.",
      type: "array",
      items: {
        type: "object",
        properties: {
          code: { type: "string" },
          severity: { type: "string", enum: ["error", "warning"] },
          message: { type: "string" },
          file: { type: "string" },
          line: { type: "integer" },
          column: { type: "integer" },
          end_line: { type: "integer", description: "Just after the last character." },
          end_column: { type: "integer" },
          excerpt: { type: "string" },
          explanation: { type: "string" },
          fix: { type: "string" },
        },
      },
    },
    retry_after_ms: { type: "integer", description: "When trying again makes sense." },
    stack: { type: "string", description: "In the service's own source." },
    service_code: {
      type: "string",
      description: "The code that the service put on its own error.",
    },
  },
};

const JSON_REF: Schema = { $ref: "#/components/schemas/Json" };

export function inputSchema(schema: z.ZodObject): {
  properties: Record<string, Schema>;
  required: readonly string[];
} {
  const { properties = {}, required = [] } = convert(schema, "input") as {
    properties?: Record<string, Schema>;
    required?: string[];
  };
  return { properties, required };
}

export const outputSchema = (schema: z.ZodObject): Schema =>
  open(convert(schema, "output")) as Schema;

function convert(schema: z.ZodObject, io: "input" | "output"): Schema {
  const { $schema: _, $defs: __, ...own } = z.toJSONSchema(schema, { io }) as Schema;
  return shared(own) as Schema;
}

/** The one recursive schema in the catalogue is "any JSON": all its copies become one. */
function shared(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(shared);
  if (typeof node !== "object" || node === null) return node;
  const { $ref, ...rest } = node as Schema;
  const copy = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, shared(value)]));
  return typeof $ref === "string" ? { ...copy, ...JSON_REF } : copy;
}

/** An output may gain fields: clients must not be told otherwise. */
function open(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(open);
  if (typeof node !== "object" || node === null) return node;
  return Object.fromEntries(
    Object.entries(node)
      .filter(([key, value]) => !(key === "additionalProperties" && value === false))
      .map(([key, value]) => [key, open(value)]),
  );
}
