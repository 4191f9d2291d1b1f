/** What looks like a value and is none in JSON: it would arrive as nothing, or as `{}`. */

/** Their contents are no properties; JSON.stringify makes `{}` of them without a word. */
const EMPTY_IN_JSON: ReadonlySet<string> = new Set([
  "Map",
  "Set",
  "WeakMap",
  "WeakSet",
  "Promise",
  "Error",
  "RegExp",
  "ArrayBuffer",
  "Request",
  "Response",
  "Headers",
  "ReadableStream",
]);

const INSTEAD: Readonly<Record<string, string>> = {
  Map: "Object.fromEntries(map) or [...map] does",
  Set: "[...set] does",
  Promise: "await it first",
  Error: "throw it, or send its message",
  Response: "await its text() or json(), or answer with it from fetch",
};

/** Why `value` itself cannot be sent or kept as JSON; undefined when it can. */
export function notJson(value: unknown, what: string): string | undefined {
  if (typeof value === "function" || typeof value === "symbol") {
    return `${what} is a ${typeof value}, which JSON cannot hold.`;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  // By far the most values are plain.
  if (Object.getPrototypeOf(value) === Object.prototype) return undefined;
  const kind = Object.prototype.toString.call(value).slice("[object ".length, -1);
  if (!EMPTY_IN_JSON.has(kind) || typeof (value as { toJSON?: unknown }).toJSON === "function")
    return undefined;
  const instead = INSTEAD[kind] === undefined ? "" : `: ${INSTEAD[kind]}`;
  return `${what} is ${kind === "Error" || kind === "ArrayBuffer" ? "an" : "a"} ${kind}, whose contents JSON does not hold${instead}.`;
}
