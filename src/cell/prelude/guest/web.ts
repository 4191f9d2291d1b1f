/** The segment of the web platform proper: fetch, streams, URLs, encodings, events, crypto. */
import { loadFrom } from "./parts.ts";

/* `require` is the bundler's lazy form of import: a module runs when a name is touched. */
export default loadFrom([
  {
    load: () => require("./fetch-classes.ts"),
    names: ["Headers", "FormData", "Request", "Response"],
  },
  { load: () => require("./fetch.ts"), names: ["fetch"] },
  { load: () => require("./events.ts"), names: ["Event", "EventTarget", "CustomEvent"] },
  { load: () => require("./abort.ts"), names: ["AbortController", "AbortSignal"] },
  { load: () => require("./blob.ts"), names: ["Blob", "File"] },
  { load: () => require("whatwg-url"), names: ["URL", "URLSearchParams"] },
  {
    load: () => require("@exodus/bytes/encoding-lite.js"),
    names: ["TextEncoder", "TextDecoder", "TextEncoderStream", "TextDecoderStream"],
  },
  {
    load: () => require("./streams.ts"),
    names: [
      "ReadableStream",
      "ReadableStreamDefaultReader",
      "ReadableStreamBYOBReader",
      "ReadableStreamBYOBRequest",
      "ReadableStreamDefaultController",
      "ReadableByteStreamController",
      "WritableStream",
      "WritableStreamDefaultWriter",
      "WritableStreamDefaultController",
      "TransformStream",
      "TransformStreamDefaultController",
      "ByteLengthQueuingStrategy",
      "CountQueuingStrategy",
    ],
  },
  { load: () => require("./performance.ts"), names: ["Performance", "performance"] },
  { load: () => require("./navigator.ts"), names: ["Navigator", "navigator"] },
  { load: () => require("./crypto.ts"), names: ["Crypto", "crypto"] },
  { load: () => require("./subtle.ts"), names: ["SubtleCrypto", "CryptoKey", "subtle"] },
  { load: () => require("../shims/buffer.ts"), names: ["Buffer"] },
  { load: () => require("./internals.ts"), names: ["ignore", "window"] },
]);
