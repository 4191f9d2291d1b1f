/** Prometheus' text exposition as plain JSON (pure). */

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number | string;
}

/** A metric without labels is its value; one with labels is the list of its samples. */
export type Summary = Readonly<Record<string, number | string | readonly Sample[]>>;

const SAMPLE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?$/;
const LABEL = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPED: Readonly<Record<string, string>> = { "\\n": "\n", '\\"': '"', "\\\\": "\\" };

export function summaryOf(exposition: string): Summary {
  const metrics = new Map<string, number | string | Sample[]>();
  for (const line of exposition.split("\n")) {
    const match = line.startsWith("#") ? null : SAMPLE.exec(line.trim());
    if (match === null) continue;
    const [, name = "", labelText, valueText = ""] = match;
    const value = numeric(valueText);
    if (labelText === undefined || labelText === "") {
      metrics.set(name, value);
      continue;
    }
    const samples = metrics.get(name);
    const sample = { labels: labelsOf(labelText), value };
    if (Array.isArray(samples)) samples.push(sample);
    else metrics.set(name, [sample]);
  }
  return Object.fromEntries(metrics);
}

/** JSON has no word for NaN and the infinities: they stay text. */
function numeric(text: string): number | string {
  const value = Number(text);
  return Number.isFinite(value) ? value : text;
}

function labelsOf(text: string): Record<string, string> {
  const labels: [string, string][] = [];
  for (const [, name = "", raw = ""] of text.matchAll(LABEL)) {
    labels.push([name, raw.replace(/\\[n"\\]/g, (found) => ESCAPED[found] ?? found)]);
  }
  return Object.fromEntries(labels);
}
