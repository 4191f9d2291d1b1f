/** Emits operations.json: the catalogue without its schemas. Only tests load this. */
import { z } from "zod";
import { catalogue } from "#api/catalogue.ts";
import type { Operation } from "#api/operation.ts";
import type { FieldRow, FieldType, OperationRow } from "#client/operations.ts";

const SCALARS: readonly string[] = ["string", "integer", "number", "boolean"] satisfies FieldType[];

function fieldRows(input: z.ZodObject): Record<string, FieldRow> {
  const schema = z.toJSONSchema(input, { io: "input", unrepresentable: "any" });
  const required = new Set(schema.required);
  return Object.fromEntries(
    Object.entries(schema.properties ?? {}).map(([name, property]) => {
      const shape = typeof property === "object" ? property : {};
      const type = SCALARS.includes(String(shape.type)) ? (shape.type as FieldType) : "json";
      const row: FieldRow = {
        type,
        required: required.has(name),
        ...(shape.description !== undefined && { text: shape.description }),
        ...(shape.enum !== undefined && { choices: shape.enum.map(String) }),
      };
      return [name, row];
    }),
  );
}

function describeOperation(operation: Operation): OperationRow {
  const { summary, description, streaming, http, cli, input } = operation;
  return {
    summary,
    ...(description !== undefined && { description }),
    streaming,
    http,
    ...(cli !== undefined && { cli }),
    fields: fieldRows(input),
  };
}

export const describeCatalogue = (): Record<string, OperationRow> =>
  Object.fromEntries(
    Object.entries(catalogue).map(([name, operation]) => [name, describeOperation(operation)]),
  );
