/** What a benchmark says, and how it is printed: one table, peers under what they compare to. */

export type Figure = "median" | "p99" | "rate" | "memory";

/** Times in milliseconds, rates per second, memory in MiB. */
export type Figures = Partial<Readonly<Record<Figure, number>>>;

export interface Bound {
  readonly figure: Figure;
  readonly atMost?: number;
  readonly atLeast?: number;
}

export interface Row extends Figures {
  readonly name: string;
  readonly targets?: readonly Bound[];
  readonly peers?: readonly (Figures & { readonly name: string })[];
  readonly note?: string;
}

export const atMost = (figure: Figure, limit: number): Bound => ({ figure, atMost: limit });
export const atLeast = (figure: Figure, limit: number): Bound => ({ figure, atLeast: limit });

const COLUMNS = ["", "median", "p99", "rate", "memory", "target", ""] as const;

export function verdict(row: Row): "" | "ok" | "MISSED" {
  if (row.targets === undefined) return "";
  const met = row.targets.every(({ figure, atMost: most, atLeast: least }) => {
    const value = row[figure] ?? Number.NaN;
    return most === undefined ? value >= (least ?? 0) : value <= most;
  });
  return met ? "ok" : "MISSED";
}

export function renderTable(rows: readonly Row[]): string {
  const lines: string[][] = [[...COLUMNS]];
  for (const row of rows) {
    lines.push([row.name, ...cells(row), targetText(row), verdict(row)]);
    for (const peer of row.peers ?? []) lines.push([`  · ${peer.name}`, ...cells(peer), "", ""]);
    if (row.note !== undefined) lines.push([`    ${row.note}`]);
  }
  const widths = COLUMNS.map((_, column) =>
    Math.max(...lines.filter(({ length }) => length > 1).map((line) => line[column]!.length)),
  );
  return lines.map((line) => alignedLine(line, widths)).join("\n");
}

const alignedLine = (line: readonly string[], widths: readonly number[]): string =>
  line
    .map((text, column) =>
      column === 0 ? text.padEnd(widths[0]!) : text.padStart(widths[column]!),
    )
    .join("  ")
    .trimEnd();

const cells = (figures: Figures): string[] => [
  milliseconds(figures.median),
  milliseconds(figures.p99),
  perSecond(figures.rate),
  mebibytes(figures.memory),
];

function targetText({ targets = [] }: Row): string {
  const texts = targets.map(({ figure, atMost: most, atLeast: least }) => {
    const text = valueText(figure, most ?? least);
    return `${figure === "median" || figure === "p99" ? `${figure} ` : ""}${most === undefined ? "≥" : "≤"} ${text}`;
  });
  return texts.join(", ");
}

function valueText(figure: Figure, value: number | undefined): string {
  if (figure === "rate") return perSecond(value);
  return figure === "memory" ? mebibytes(value) : milliseconds(value);
}

const significant = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);

function milliseconds(value: number | undefined): string {
  if (value === undefined) return "";
  if (value < 1) return `${significant(value * 1000)} µs`;
  return value < 10_000 ? `${significant(value)} ms` : `${significant(value / 1000)} s`;
}

function perSecond(value: number | undefined): string {
  if (value === undefined) return "";
  if (value < 1000) return `${significant(value)} /s`;
  return value < 1e6 ? `${significant(value / 1000)} k/s` : `${significant(value / 1e6)} M/s`;
}

const mebibytes = (value: number | undefined): string =>
  value === undefined ? "" : `${significant(value)} MiB`;
