/** The catalogue's zod schemas as the JSON Schemas of tools (pure). */
import type { Tool } from "@modelcontextprotocol/server";
import { z } from "zod";

export type ObjectSchema = Tool["inputSchema"];

/** Integers have a range by nature; a model need not read it. */
const NATURAL = new Set<unknown>([
  Number.MAX_SAFE_INTEGER,
  Number.MIN_SAFE_INTEGER,
  2 ** 31 - 1,
  -(2 ** 31),
  2 ** 32 - 1,
]);

export function inputSchema(schema: z.ZodObject, without: readonly string[] = []): ObjectSchema {
  const fields = Object.entries(schema.shape).filter(([field]) => !without.includes(field));
  return convert(z.strictObject(Object.fromEntries(fields)), "input");
}

/** Schemas longer than this are worth a reference. */
const SHORT_SCHEMA_CHARS = 250;

/** The same schema, where a long property that another tool has as well refers to that tool. */
export function abbreviated(schema: ObjectSchema, like: { name: string; schema: ObjectSchema }) {
  const properties = Object.entries(schema.properties ?? {}).map(([field, own]) => {
    const text = JSON.stringify(own);
    const shared = text === JSON.stringify(like.schema.properties?.[field]);
    if (!shared || text.length <= SHORT_SCHEMA_CHARS) return [field, own] as const;
    const { type } = own as { type?: string };
    return [field, { ...(type && { type }), description: `As in ${like.name}.` }] as const;
  });
  return { ...schema, properties: Object.fromEntries(properties) };
}

/** An output may gain fields: clients must not be told otherwise. */
export const outputSchema = (schema: z.ZodObject): ObjectSchema => convert(schema, "output");

/** Of a stream's messages as one answer. */
export const collectedSchema = (field: string, message: z.ZodObject): ObjectSchema =>
  outputSchema(z.strictObject({ [field]: z.array(message) }));

function convert(schema: z.ZodObject, io: "input" | "output"): ObjectSchema {
  const { $schema: _, $defs: __, ...own } = z.toJSONSchema(schema, { io });
  return plain(own, io) as ObjectSchema;
}

function plain(node: unknown, io: "input" | "output"): unknown {
  if (Array.isArray(node)) return node.map((each) => plain(each, io));
  if (typeof node !== "object" || node === null) return node;
  // The one recursive schema of the catalogue is "any JSON", which has no shape to tell.
  if ("$ref" in node) return "description" in node ? { description: node.description } : {};
  const kept = Object.entries(node).filter(
    ([key, value]) =>
      !((key === "maximum" || key === "minimum") && NATURAL.has(value)) &&
      !(key === "additionalProperties" && value === false && io === "output"),
  );
  return Object.fromEntries(kept.map(([key, value]) => [key, plain(value, io)]));
}
