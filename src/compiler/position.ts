/** From a span in a source to what a reader needs to find the place. */
const EXCERPT_LINES = 2;
const EXCERPT_COLUMNS = 160;

export interface Place {
  readonly line: number;
  readonly column: number;
  /** Just after the last character. */
  readonly end_line: number;
  readonly end_column: number;
  readonly excerpt: string;
}

/** Where one of the few spans of a source is; for many, make a `Places` once. */
export const placeOf = (source: string, start: number, end = start): Place =>
  new Places(source).of(start, end);

/** A source cut into lines once, however many places in it are asked for. */
export class Places {
  readonly #source: string;
  /** Offsets at which lines begin. */
  readonly #begins: number[] = [0];

  constructor(source: string) {
    this.#source = source;
    for (let at = source.indexOf("\n"); at !== -1; at = source.indexOf("\n", at + 1)) {
      this.#begins.push(at + 1);
    }
  }

  /** Lines and columns count from 1, in UTF-16 units; the excerpt has a caret below the span. */
  of(start: number, end = start): Place {
    const line = this.line(start);
    const endLine = this.line(end);
    const column = start - this.#begins[line - 1]! + 1;
    return {
      line,
      column,
      end_line: endLine,
      end_column: end - this.#begins[endLine - 1]! + 1,
      excerpt: this.#excerpt(line, column, endLine === line ? end - start : Infinity),
    };
  }

  line(offset: number): number {
    let [low, high] = [0, this.#begins.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#begins[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low + 1;
  }

  #text(line: number): string {
    const next = this.#begins[line];
    const end = next === undefined ? this.#source.length : next - 1;
    return this.#source.slice(this.#begins[line - 1], end).replace(/\r$/, "");
  }

  #excerpt(line: number, column: number, length: number): string {
    const width = String(line).length;
    const rows: string[] = [];
    for (let at = Math.max(1, line - EXCERPT_LINES); at <= line; at += 1) {
      const text = this.#text(at);
      // A minified line is cut around the place.
      const from = at === line && column > EXCERPT_COLUMNS ? column - EXCERPT_COLUMNS / 2 : 0;
      const shown = text.slice(from, from + EXCERPT_COLUMNS);
      rows.push(`${String(at).padStart(width)} | ${shown}`);
      if (at !== line) continue;
      const before = column - 1 - from;
      const carets = "^".repeat(Math.max(1, Math.min(length, shown.length - before)));
      rows.push(`${" ".repeat(width)} | ${" ".repeat(before)}${carets}`);
    }
    return rows.join("\n");
  }
}
