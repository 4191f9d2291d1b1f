/** One answer as a list of names and values; what is nested is indented below its name, lists
 *  of records as tables. What is empty is left out: `--json` has everything. */
import { humanName, humanValue, inUnit } from "#cli/render/format.ts";
import type { Paint } from "#cli/render/paint.ts";
import { type Row, paintState, table } from "#cli/render/table.ts";

const isRecord = (value: unknown): value is Row =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isRows = (value: unknown): value is readonly Row[] =>
  Array.isArray(value) && value.length > 0 && value.every(isRecord);

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  (Array.isArray(value) && value.length === 0) ||
  (isRecord(value) && Object.keys(value).length === 0);

/** A row that says its unit shows its numbers in it. */
function rows(found: readonly Row[], paint: Paint): string {
  const shown = found.map((row) => {
    const { unit, ...rest } = row;
    if (typeof unit !== "string") return row;
    const entries = Object.entries(rest).map(([name, value]) => [name, inUnit(value, unit)]);
    return Object.fromEntries(entries) as Row;
  });
  const columns = [...new Set(shown.flatMap((row) => Object.keys(row)))];
  return table({ rows: shown, columns, paint });
}

const indent = (text: string): string => text.replace(/^/gm, "  ");

export function record(row: Row, paint: Paint): string {
  const shown = Object.entries(row).filter(([, value]) => !isEmpty(value));
  const width = Math.max(0, ...shown.map(([name]) => humanName(name).length));
  return shown
    .map(([name, value]) => {
      const title = paint("dim", humanName(name).padEnd(width));
      if (isRecord(value)) return `${title.trimEnd()}\n${indent(record(value, paint))}`;
      if (isRows(value)) return `${title.trimEnd()}\n${indent(rows(value, paint))}`;
      const text = humanValue(name, value);
      if (text.includes("\n")) return `${title.trimEnd()}\n${indent(text)}`;
      return `${title}  ${name === "state" ? paintState(paint, text) : text}`;
    })
    .join("\n");
}
