/** Whatever a guest throws, as plain bounded text. Its getters and Proxies run under the
 *  turn's timeout; one that throws again only loses its own text. */
import type { Thrown } from "./lines.ts";

const MAX_TEXT = 8 * 1024;

const text = (read: () => unknown, otherwise: string): string => {
  try {
    const value = read() as string | null | undefined;
    return value === undefined || value === null ? otherwise : String(value).slice(0, MAX_TEXT);
  } catch {
    return otherwise;
  }
};

const spelt = (thrown: unknown): string => {
  const said = String(thrown);
  return said === "[object Object]" ? JSON.stringify(thrown) : said;
};

export function describeThrown(thrown: unknown): Thrown {
  if (typeof thrown !== "object" || thrown === null) {
    return { name: "Error", message: String(thrown).slice(0, MAX_TEXT), stack: "" };
  }
  const error = thrown as Partial<Error>;
  return {
    name: text(() => error.name, "Error"),
    message: text(
      () => error.message,
      text(() => spelt(thrown), ""),
    ),
    stack: text(() => error.stack, ""),
  };
}
