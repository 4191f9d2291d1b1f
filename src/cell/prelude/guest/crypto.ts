/** `crypto`: random values from the host's pool; `subtle` is loaded when it is first used. */
import { host, platform } from "./platform.ts";
import { MAX_ENTROPY_BYTES, randomBytes } from "./random.ts";

const INTEGER_ARRAYS = new Set([
  "Int8Array",
  "Uint8Array",
  "Uint8ClampedArray",
  "Int16Array",
  "Uint16Array",
  "Int32Array",
  "Uint32Array",
  "BigInt64Array",
  "BigUint64Array",
]);

const kindOf = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)!.get!;

const KEY = Symbol("internal");

export class Crypto {
  constructor(key?: symbol) {
    if (key !== KEY) throw new TypeError("Illegal constructor");
  }

  getRandomValues<T extends ArrayBufferView<ArrayBuffer>>(array: T): T {
    if (!INTEGER_ARRAYS.has(Reflect.apply(kindOf, array, []) as string)) {
      throw new platform["DOMException"](
        "The data argument must be an integer-type TypedArray",
        "TypeMismatchError",
      );
    }
    if (array.byteLength > MAX_ENTROPY_BYTES) {
      throw new platform["DOMException"](
        `The requested length exceeds ${MAX_ENTROPY_BYTES} bytes`,
        "QuotaExceededError",
      );
    }
    host.entropy(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    return array;
  }

  randomUUID(): string {
    const bytes = randomBytes(16);
    bytes[6] = (bytes[6]! & 0x0f) | 0x40;
    bytes[8] = (bytes[8]! & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return [
      hex.slice(0, 8),
      hex.slice(8, 12),
      hex.slice(12, 16),
      hex.slice(16, 20),
      hex.slice(20),
    ].join("-");
  }

  get subtle(): unknown {
    return platform["subtle"];
  }

  get [Symbol.toStringTag](): string {
    return "Crypto";
  }
}

export const crypto = new Crypto(KEY);
