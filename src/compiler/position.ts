/** From an offset in a source to what a reader needs to find the place. */
const EXCERPT_LINES = 2;
const EXCERPT_COLUMNS = 160;

export interface Place {
  readonly line: number;
  readonly column: number;
  readonly excerpt: string;
}

/** Line and column (from 1) of a UTF-16 offset, with the lines around it and a caret. */
export function placeOf(source: string, offset: number): Place {
  const before = source.slice(0, offset);
  const line = before.split("\n").length;
  const column = offset - (before.lastIndexOf("\n") + 1) + 1;
  const lines = source.split("\n");
  const width = String(line).length;
  const excerpt: string[] = [];
  for (let at = Math.max(1, line - EXCERPT_LINES); at <= line; at += 1) {
    const text = (lines[at - 1] ?? "").replace(/\r$/, "");
    // A minified line is cut around the place.
    const from = at === line && column > EXCERPT_COLUMNS ? column - EXCERPT_COLUMNS / 2 : 0;
    excerpt.push(`${String(at).padStart(width)} | ${text.slice(from, from + EXCERPT_COLUMNS)}`);
    if (at === line) excerpt.push(`${" ".repeat(width)} | ${" ".repeat(column - 1 - from)}^`);
  }
  return { line, column, excerpt: excerpt.join("\n") };
}
