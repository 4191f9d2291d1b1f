/**
 * crypto.subtle as a thin forward to the host's Web Crypto.
 *
 * 1. The host keeps no keys: a CryptoKey carries its own material, which only this
 *    module reads. `extractable` binds well-meaning code; the guest's heap is the guest's.
 * 2. The host validates everything as Web Crypto does; its errors come back by name.
 */
import type { SubtleAnswer, WireKey } from "../host.ts";
import { fromBase64, toBase64 } from "./base64.ts";
import { host, platform } from "./platform.ts";

const KEY = Symbol("internal");

let wireOf: (key: Key) => WireKey;
let isKey: (value: unknown) => value is Key;

class Key {
  readonly #wire: WireKey;
  readonly #algorithm: unknown;

  constructor(key?: symbol, wire?: WireKey) {
    if (key !== KEY || wire === undefined) throw new TypeError("Illegal constructor");
    this.#wire = wire;
    this.#algorithm = fromWire(wire.algorithm);
  }

  static {
    wireOf = (key) => key.#wire;
    isKey = (value): value is Key => typeof value === "object" && value !== null && #wire in value;
  }

  get type(): string {
    return this.#wire.type;
  }

  get extractable(): boolean {
    return this.#wire.extractable;
  }

  get algorithm(): unknown {
    return this.#algorithm;
  }

  get usages(): string[] {
    return [...this.#wire.usages];
  }

  get [Symbol.toStringTag](): string {
    return "CryptoKey";
  }
}

/** Arguments as JSON: bytes and keys are wrapped, dictionaries are copied. */
function toWire(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (isKey(value)) return { $key: wireOf(value) };
  if (value instanceof ArrayBuffer) return { $bytes: toBase64(new Uint8Array(value)) };
  if (ArrayBuffer.isView(value)) {
    return { $bytes: toBase64(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)) };
  }
  if (Array.isArray(value)) return value.map(toWire);
  const copy: Record<string, unknown> = {};
  for (const name in value) copy[name] = toWire(value[name as never]);
  return copy;
}

function fromWire(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(fromWire);
  if ("$bytes" in value) return fromBase64(value.$bytes as string);
  if ("$key" in value) return new Key(KEY, value.$key as WireKey);
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, fromWire(each)]));
}

async function call(operation: string, args: readonly unknown[]): Promise<unknown> {
  const answer = (await host.request("crypto.subtle", {
    operation,
    args: args.map(toWire),
  })) as SubtleAnswer;
  if ("value" in answer) return fromWire(answer.value);
  const { name, message } = answer.error;
  throw name === "TypeError" ? new TypeError(message) : new platform["DOMException"](message, name);
}

/** Web Crypto answers with ArrayBuffers where the wire gives bytes. */
const callForBuffer = async (operation: string, args: readonly unknown[]): Promise<unknown> => {
  const value = await call(operation, args);
  return value instanceof Uint8Array ? value.buffer : value;
};

class Subtle {
  constructor(key?: symbol) {
    if (key !== KEY) throw new TypeError("Illegal constructor");
  }

  digest(...args: unknown[]): Promise<unknown> {
    return callForBuffer("digest", args);
  }

  generateKey(...args: unknown[]): Promise<unknown> {
    return call("generateKey", args);
  }

  importKey(...args: unknown[]): Promise<unknown> {
    return call("importKey", args);
  }

  exportKey(...args: unknown[]): Promise<unknown> {
    return callForBuffer("exportKey", args);
  }

  sign(...args: unknown[]): Promise<unknown> {
    return callForBuffer("sign", args);
  }

  verify(...args: unknown[]): Promise<unknown> {
    return call("verify", args);
  }

  encrypt(...args: unknown[]): Promise<unknown> {
    return callForBuffer("encrypt", args);
  }

  decrypt(...args: unknown[]): Promise<unknown> {
    return callForBuffer("decrypt", args);
  }

  deriveBits(...args: unknown[]): Promise<unknown> {
    return callForBuffer("deriveBits", args);
  }

  deriveKey(...args: unknown[]): Promise<unknown> {
    return call("deriveKey", args);
  }

  wrapKey(...args: unknown[]): Promise<unknown> {
    return callForBuffer("wrapKey", args);
  }

  unwrapKey(...args: unknown[]): Promise<unknown> {
    return call("unwrapKey", args);
  }

  get [Symbol.toStringTag](): string {
    return "SubtleCrypto";
  }
}

export const subtle = new Subtle(KEY);

export { Key as CryptoKey, Subtle as SubtleCrypto };
