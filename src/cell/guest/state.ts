/**
 * The state as text, with the fidelity of structured cloning: Map, Set, Date, BigInt, typed
 * arrays, cycles and repeated references survive; instances of classes become plain objects.
 */
import { parse, stringify } from "devalue";

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

/** Throws a TypeError that names what cannot be kept, such as a function. */
export function encodeState(state: unknown): string {
  try {
    return stringify(state, errors);
  } catch {
    // Class instances are rare in state; only then pay for looking at every value.
    return stringify(state, flatten);
  }
}

export const decodeState = (text: string): unknown => parse(text, revivers);
