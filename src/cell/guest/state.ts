/**
 * The state as text, with the fidelity of structured cloning: Map, Set, Date, BigInt, typed
 * arrays, cycles and repeated references survive; instances of classes become plain objects.
 *
 * 1. What JSON holds as it is, is that JSON, if it is an object: most states are, and durable ones
 *    are encoded at each call. Everything else is in devalue's form, which begins with `[` or `-`.
 */
import { DevalueError, parse, stringify } from "devalue";

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
};

const errors = {
  Error: (value: unknown) =>
    value instanceof Error && [value.name, value.message, value.stack, value.cause],
};
/** What devalue knows by itself. */
const isBuiltin = (value: object): boolean =>
  ArrayBuffer.isView(value) ||
  [Array, Map, Set, Date, RegExp, ArrayBuffer, Number, String, Boolean, BigInt].some(
    (kind) => value instanceof kind,
  );
const flatten = {
  ...errors,
  Instance: (value: unknown) =>
    typeof value === "object" &&
    value !== null &&
    !isPlain(value) &&
    !isBuiltin(value) && { ...value },
};
const revivers = {
  Error: ([name, message, stack, cause]: [string, string, string, unknown]) =>
    Object.assign(new Error(message, { cause }), { name, stack }),
  Instance: (value: object) => value,
};

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !isBuiltin(value);

/** The state without the top-level keys that are left out: of an object, or of a Map. */
export function without(state: unknown, leftOut: (key: string) => boolean): unknown {
  if (state instanceof Map) {
    return new Map([...state].filter(([key]) => typeof key !== "string" || !leftOut(key)));
  }
  if (!isRecord(state)) return state;
  return Object.fromEntries(Object.entries(state).filter(([key]) => !leftOut(key)));
}

/** The state with those of another's top-level keys that are left out of what is stored. */
export function withOnly(
  state: unknown,
  other: unknown,
  leftOut: (key: string) => boolean,
): unknown {
  if (state instanceof Map && other instanceof Map) {
    for (const [key, value] of other) {
      if (typeof key === "string" && leftOut(key)) state.set(key, value);
    }
  } else if (isRecord(state) && isRecord(other)) {
    for (const [key, value] of Object.entries(other)) {
      if (leftOut(key)) state[key] = value;
    }
  }
  return state;
}

/** Bytes of the text in UTF-8; a lone surrogate takes three, as its replacement does. */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 0x80) continue;
    bytes += code < 0x800 ? 1 : 2;
    const paired = code >= 0xd800 && code < 0xdc00 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00;
    // Two units make four bytes.
    if (paired) at += 1;
  }
  return bytes;
}

const MAX_JSON_LEVELS = 100;

/** Whether JSON holds it as it is. `seen`: the objects above it and beside it. */
function isJson(value: unknown, seen: Set<object>, level: number): boolean {
  if (typeof value === "number") return Number.isFinite(value) && !Object.is(value, -0);
  if (typeof value !== "object") return typeof value === "string" || typeof value === "boolean";
  if (value === null) return true;
  if (level > MAX_JSON_LEVELS || seen.has(value) || "toJSON" in value) return false;
  seen.add(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (Array.isArray(value)) {
    if (prototype !== Array.prototype) return false;
    for (const each of value) if (!isJson(each, seen, level + 1)) return false;
    return true;
  }
  if (prototype !== Object.prototype || Object.getOwnPropertySymbols(value).length > 0)
    return false;
  for (const key of Object.keys(value)) {
    if (key === "__proto__" || !isJson((value as any)[key], seen, level + 1)) return false;
  }
  return true;
}

/** Throws a TypeError that names what cannot be kept, such as a function, and where it is. */
export function encodeState(state: unknown): string {
  const isObject = typeof state === "object" && state !== null && !Array.isArray(state);
  if (isObject && isJson(state, new Set(), 0)) return JSON.stringify(state);
  try {
    return stringify(state, errors);
  } catch {
    // Class instances are rare in state; only then pay for looking at every value.
    try {
      return stringify(state, flatten);
    } catch (error) {
      throw error instanceof DevalueError ? notKept(error) : error;
    }
  }
}

const notKept = ({ message, path }: DevalueError): TypeError =>
  new TypeError(
    `state${path ?? ""} cannot be kept: ${message.replace(/^Cannot stringify /, "state holds data, not ")}.`,
  );

export const decodeState = (text: string): unknown =>
  text.startsWith("{") ? JSON.parse(text) : parse(text, revivers);
