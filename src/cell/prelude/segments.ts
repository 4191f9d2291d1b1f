/**
 * The prelude's segments: which names each brings, and when it is worth compiling
 * beforehand.
 *
 * 1. `core` always runs. The others are there as text, which isolates share, and are
 *    evaluated when one of their names is first touched.
 * 2. A segment whose words a service mentions is compiled from V8's cache instead,
 *    which takes a tenth of the time. Guessing wrong costs time or memory, never behaviour.
 */

export const SEGMENT_NAMES = ["core", "web", "compat", "inspect", "idna"] as const;
export type SegmentName = (typeof SEGMENT_NAMES)[number];

/** What each segment puts on globalThis. */
export const GLOBALS = {
  core: [
    "clearInterval",
    "clearTimeout",
    "console",
    "queueMicrotask",
    "reportError",
    "setInterval",
    "setTimeout",
  ],
  web: [
    "AbortController",
    "AbortSignal",
    "Blob",
    "ByteLengthQueuingStrategy",
    "CountQueuingStrategy",
    "Crypto",
    "CryptoKey",
    "CustomEvent",
    "Event",
    "EventTarget",
    "File",
    "FormData",
    "Headers",
    "Navigator",
    "Performance",
    "ReadableByteStreamController",
    "ReadableStream",
    "ReadableStreamBYOBReader",
    "ReadableStreamBYOBRequest",
    "ReadableStreamDefaultController",
    "ReadableStreamDefaultReader",
    "Request",
    "Response",
    "SubtleCrypto",
    "TextDecoder",
    "TextDecoderStream",
    "TextEncoder",
    "TextEncoderStream",
    "TransformStream",
    "TransformStreamDefaultController",
    "URL",
    "URLSearchParams",
    "WritableStream",
    "WritableStreamDefaultController",
    "WritableStreamDefaultWriter",
    "crypto",
    "fetch",
    "navigator",
    "performance",
  ],
  compat: ["DOMException", "atob", "btoa", "structuredClone"],
  inspect: [],
  idna: [],
} as const satisfies Record<SegmentName, readonly string[]>;

/** What segments take from each other; guests do not see it. */
export const INTERNALS = {
  core: ["pristineGlobal"],
  web: ["Buffer", "subtle", "window", "ignore"],
  compat: [],
  inspect: ["formatter"],
  idna: ["tr46"],
} as const satisfies Record<SegmentName, readonly string[]>;

const words = (names: readonly string[]): RegExp => new RegExp(`\\b(?:${names.join("|")})\\b`);

const MENTIONS: readonly (readonly [SegmentName, RegExp])[] = [
  ["web", words(GLOBALS.web)],
  ["compat", words(GLOBALS.compat)],
  ["inspect", /\bconsole\b/],
];

/** The segments to compile before this source runs, besides `core`. */
export const segmentsFor = (source: string): SegmentName[] =>
  MENTIONS.filter(([, pattern]) => pattern.test(source)).map(([name]) => name);

/** What a handler of HTTP requests uses, and hardly anybody else. */
const OF_REQUESTS = new Set(["Headers", "Request", "Response", "URL", "URLSearchParams", "fetch"]);
const BEYOND_REQUESTS = words(GLOBALS.web.filter((name) => !OF_REQUESTS.has(name)));
const ANSWERS_HTTP = /\bfetch\s*[(:=]/;

/**
 * Whether `web`, though mentioned, can wait for the first HTTP request: it more than doubles
 * an idle isolate's memory. It waits when the source answers HTTP and mentions nothing else.
 */
export const webCanWait = (source: string): boolean =>
  ANSWERS_HTTP.test(source) && !BEYOND_REQUESTS.test(source);
