/**
 * The members of undici's core utilities that its fetch classes use. The original
 * brings sockets, timers and streams with it.
 */
import { isDisturbed } from "./node.ts";

export { isDisturbed };

export const kEnumerableProperty = { __proto__: null, enumerable: true };

const upperCased = (names: readonly string[]): Record<string, string> =>
  Object.assign(
    Object.create(null),
    Object.fromEntries(
      names.flatMap((name) => [
        [name, name],
        [name.toLowerCase(), name],
      ]),
    ),
  );

/** Methods that the Fetch standard normalises, and QUERY. */
export const normalizedMethodRecordsBase = upperCased([
  "DELETE",
  "GET",
  "HEAD",
  "OPTIONS",
  "POST",
  "PUT",
  "QUERY",
]);

/** `patch` stays as it is written: the standard does not normalise it. */
export const normalizedMethodRecords = Object.assign(
  Object.create(null),
  normalizedMethodRecordsBase,
  {
    patch: "patch",
    PATCH: "PATCH",
  },
);

export function setHeader(headers: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(headers, name, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}

export function addAbortListener(signal: AbortSignal, listener: () => void): () => void {
  signal.addEventListener("abort", listener, { once: true });
  return () => signal.removeEventListener("abort", listener);
}

export const bufferToLowerCasedHeaderName = (bytes: {
  toString(encoding: string): string;
}): string => bytes.toString("latin1").toLowerCase();

/** https://httpwg.org/specs/rfc9110.html#tokens */
export const isValidHTTPToken = (text: string): boolean =>
  /^[!#$%&'*+\-.^_`|~A-Za-z0-9]+$/.test(text);

export const isValidHeaderValue = (text: string): boolean => !/[^\t\x20-\x7e\x80-\xff]/.test(text);
