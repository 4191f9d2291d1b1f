/** Bytes as base64 text for the wire, by the engine's own methods where it has them. */
import { platform } from "./platform.ts";

interface Base64Methods {
  readonly toBase64?: (this: Uint8Array) => string;
}
interface Base64Statics {
  readonly fromBase64?: (text: string) => Uint8Array<ArrayBuffer>;
}

const nativeTo = (Uint8Array.prototype as Base64Methods).toBase64;
const nativeFrom = (Uint8Array as Base64Statics).fromBase64;
const { apply } = Reflect;

export function toBase64(bytes: Uint8Array): string {
  if (nativeTo !== undefined) return apply(nativeTo, bytes, []);
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return platform["btoa"](binary);
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  if (nativeFrom !== undefined) return apply(nativeFrom, Uint8Array, [text]);
  return Uint8Array.from(platform["atob"](text) as string, (unit) => unit.charCodeAt(0));
}
