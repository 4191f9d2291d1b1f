/** Aligned columns: numbers to the right, everything else to the left. */
import { humanName, humanValue } from "#cli/render/format.ts";
import type { Paint } from "#cli/render/paint.ts";

export type Row = Readonly<Record<string, unknown>>;

export interface TableOptions {
  readonly rows: readonly Row[];
  readonly columns: readonly string[];
  readonly paint: Paint;
}

const STATE_INK = {
  running: "green",
  starting: "yellow",
  restarting: "yellow",
  draining: "yellow",
  crashed: "red",
  quarantined: "red",
  deployment_failed: "red",
} as const;

/** The state's text in its colour; other text as it is. */
export function paintState(paint: Paint, state: string): string {
  return Object.hasOwn(STATE_INK, state)
    ? paint(STATE_INK[state as keyof typeof STATE_INK], state)
    : state;
}

export function table({ rows, columns, paint }: TableOptions): string {
  if (rows.length === 0) return paint("dim", "none");
  const cells = rows.map((row) =>
    columns.map((name) => humanValue(name, row[name]).replaceAll("\n", "\\n")),
  );
  const titles = columns.map((name) => humanName(name).toUpperCase());
  const right = columns.map((name) => rows.some((row) => typeof row[name] === "number"));
  const widths = titles.map((title, at) =>
    Math.max(title.length, ...cells.map((line) => line[at]?.length ?? 0)),
  );
  const pad = (text: string, at: number): string => {
    const width = widths[at] ?? 0;
    return right[at] ? text.padStart(width) : text.padEnd(width);
  };
  const line = (texts: readonly string[], ink: (text: string, at: number) => string): string =>
    texts
      .map((text, at) => ink(pad(text, at), at))
      .join("  ")
      .trimEnd();
  const inkCell = (padded: string, at: number): string =>
    columns[at] === "state" ? padded.replace(/\S+/, (state) => paintState(paint, state)) : padded;
  return [
    line(titles, (padded) => paint("bold", padded)),
    ...cells.map((texts) => line(texts, inkCell)),
  ].join("\n");
}
