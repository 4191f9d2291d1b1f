/** Values for people: bytes, durations, and text that cannot drive the terminal. */

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

export function humanBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${BYTE_UNITS[unit]}`;
}

export function humanDuration(ms: number): string {
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 1000) return `${Number(ms.toFixed(1))} ms`;
  if (ms < 60_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const seconds = Math.floor(ms / 1000);
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .map(([count, unit]) => `${count}${unit}`)
    .join(" ");
}

// What a service wrote must not move the cursor, set the title or hide text.
// oxlint-disable-next-line no-control-regex
const UNPRINTABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** The text with control characters spelt out; line ends and tabs stay. */
export const printable = (text: string): string =>
  text
    .replaceAll("\r\n", "\n")
    .replace(UNPRINTABLE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);

export const oneLine = (text: string): string => printable(text).replaceAll("\n", "\\n");

/** A field's value for people; the unit is in the field's name. */
export function humanValue(name: string, value: unknown): string {
  if (value === undefined || value === null) return "-";
  if (typeof value === "number") {
    if (name.endsWith("_bytes")) return humanBytes(value);
    if (name.endsWith("_ms")) return humanDuration(value);
    return String(value);
  }
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return printable(value);
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) {
    return value.length === 0 ? "-" : oneLine(value.join(", "));
  }
  return oneLine(JSON.stringify(value));
}

/** `memory_bytes` → `memory`: the value shows its unit itself. */
export const humanName = (name: string): string =>
  name.replace(/_(ms|bytes)$/, "").replaceAll("_", " ");

const OF_UNIT: Readonly<Record<string, (value: number) => string>> = {
  bytes: humanBytes,
  ms: humanDuration,
  percent: (value) => `${value} %`,
  per_second: (value) => `${value} /s`,
};

/** A number in a unit that another field names; everything else as it is. */
export const inUnit = (value: unknown, unit: string): unknown =>
  typeof value === "number" ? (OF_UNIT[unit]?.(value) ?? String(value)) : value;
