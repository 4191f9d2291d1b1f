/** console.table's drawing, as Node draws it. */
import { quote } from "./format.ts";

const INDEX = "(index)";
const VALUES = "Values";

/** No table is wider or longer than this; the rest is left out. */
const MAX_ROWS = 100;
const MAX_COLUMNS = 50;

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

function entriesOf(data: object): (readonly [string, unknown])[] {
  if (data instanceof Map)
    return [...data].map(([key, value], at) => [String(at), { Key: key, Values: value }]);
  if (data instanceof Set) return [...data].map((value, at) => [String(at), value]);
  return Object.entries(data);
}

function draw(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map(
    (_, column) => Math.max(...rows.map((row) => row[column]!.length)) + 2,
  );
  const line = (left: string, middle: string, right: string): string =>
    left + widths.map((width) => "─".repeat(width)).join(middle) + right;
  const text = (row: readonly string[]): string =>
    `│${row.map((cell, column) => ` ${cell.padEnd(widths[column]! - 1)}`).join("│")}│`;
  const [head, ...body] = rows;
  return [
    line("┌", "┬", "┐"),
    text(head!),
    line("├", "┼", "┤"),
    ...body.map(text),
    line("└", "┴", "┘"),
  ].join("\n");
}

export function table(data: object, columns?: readonly string[]): string {
  const entries = entriesOf(data).slice(0, MAX_ROWS);
  const found = new Set<string>(columns);
  if (columns === undefined) {
    for (const [, row] of entries)
      if (isObject(row)) for (const key of Object.keys(row)) found.add(key);
  }
  const keys = [...found].slice(0, MAX_COLUMNS);
  const hasValues = entries.some(([, row]) => !isObject(row));
  const head = [INDEX, ...keys, ...(hasValues ? [VALUES] : [])];
  const body = entries.map(([key, row]) => [
    key,
    ...keys.map((name) =>
      isObject(row) && Object.hasOwn(row, name) ? quote(row[name as never]) : "",
    ),
    ...(hasValues ? [isObject(row) ? "" : quote(row)] : []),
  ]);
  return draw([head, ...body]);
}
