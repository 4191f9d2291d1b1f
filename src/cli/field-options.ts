/** Options that follow from the fields of an operation's input: `newest_first` → `--newest-first`. */
import { Option } from "commander";
import type { OperationName } from "#api/catalogue.ts";
import { type FieldRow, operations } from "#client/operations.ts";
import { integer, jsonOrWord } from "#cli/values.ts";

const PLACEHOLDER = { string: "text", integer: "n", number: "n", json: "json" } as const;

function optionOf(name: string, row: FieldRow): Option {
  const flag = `--${name.replaceAll("_", "-")}`;
  const text = row.text ?? "";
  if (row.type === "boolean") return new Option(flag, text);
  const option = new Option(`${flag} <${PLACEHOLDER[row.type]}>`, text);
  if (row.type === "integer") option.argParser(integer);
  if (row.type === "number") option.argParser(Number);
  if (row.type === "json") option.argParser(jsonOrWord);
  return row.choices === undefined ? option : option.choices(row.choices);
}

export interface FieldOptions {
  readonly options: readonly Option[];
  /** What was given of them, as the input's fields. */
  readonly input: (given: Readonly<Record<string, unknown>>) => Record<string, unknown>;
}

/** Every field except `skip` and the tenant, which is a global option. */
export function fieldOptions(name: OperationName, skip: readonly string[]): FieldOptions {
  const fields = Object.entries(operations[name].fields)
    .filter(([field]) => field !== "tenant_id" && !skip.includes(field))
    .map(([field, row]) => ({ field, option: optionOf(field, row) }));
  return {
    options: fields.map(({ option }) => option),
    input: (given) =>
      Object.fromEntries(
        fields.flatMap(({ field, option }) => {
          const value = given[option.attributeName()];
          return value === undefined ? [] : [[field, value]];
        }),
      ),
  };
}
