/**
 * The few members of Node's modules that undici's fetch classes import, for a place
 * without Node. One module serves all of them.
 */
import { platform } from "../guest/platform.ts";
import { randomInt } from "../guest/random.ts";

type Stream = { readonly _disturbed?: boolean; readonly _state?: string };

const tagOf = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1);
const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

export { randomInt };

export const types = {
  isArrayBuffer: (value: unknown): boolean => value instanceof ArrayBuffer,
  isSharedArrayBuffer: (value: unknown): boolean =>
    isObject(value) && tagOf(value) === "SharedArrayBuffer",
  isAnyArrayBuffer: (value: unknown): boolean => value instanceof ArrayBuffer,
  isArrayBufferView: (value: unknown): boolean => ArrayBuffer.isView(value),
  isTypedArray: (value: unknown): boolean =>
    ArrayBuffer.isView(value) && !(value instanceof DataView),
  isDataView: (value: unknown): boolean => value instanceof DataView,
  isUint8Array: (value: unknown): boolean => value instanceof Uint8Array,
  /** A proxy cannot be told apart from inside: the slower, general path is the safe answer. */
  isProxy: (): boolean => true,
};
export const { isUint8Array } = types;

export function inspect(value: unknown): string {
  return platform["formatter"].inspect(value);
}
inspect.custom = Symbol.for("nodejs.util.inspect.custom");

export function formatWithOptions(options: object, ...args: unknown[]): string {
  return platform["formatter"].formatWithOptions(options, ...args);
}

/** Own serialisation rules refuse every class they do not know. */
export const markAsUncloneable = (): void => {};

export const isDisturbed = (stream: Stream): boolean => stream._disturbed === true;
export const isErrored = (stream: Stream): boolean => stream._state === "errored";

/** Absent: undici then tees with the stream's own method. */
export const ReadableStreamTee = undefined;

export class Transform {}

export const performance = { now: (): number => platform["performance"].now() };
