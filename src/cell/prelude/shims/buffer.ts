/**
 * The part of node:buffer's Buffer that undici's body and multipart code uses on bytes
 * of its own. Guests never see it as a global.
 */
import { fromBase64 } from "../guest/base64.ts";
import { platform } from "../guest/platform.ts";

type Encoding = "utf8" | "utf-8" | "latin1" | "binary" | "ascii" | "base64";

const encoder: TextEncoder = new platform["TextEncoder"]();
const decoder: TextDecoder = new platform["TextDecoder"]("utf-8", { ignoreBOM: true });

/** Characters per String.fromCharCode call. */
const CHUNK = 8192;

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    text += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  }
  return text;
}

/** Node takes base64 with blanks, url alphabet and missing padding; what it cannot read it leaves out. */
function lenientBase64(text: string): Uint8Array<ArrayBuffer> {
  const clean = text
    .replace(/=.*$/s, "")
    .replace(/-/g, "+")
    .replace(/_/g, "/")
    .replace(/[^A-Za-z0-9+/]/g, "");
  const whole = clean.length % 4 === 1 ? clean.slice(0, -1) : clean;
  return fromBase64(whole.padEnd(Math.ceil(whole.length / 4) * 4, "="));
}

function encode(text: string, encoding: Encoding): Uint8Array<ArrayBuffer> {
  if (encoding === "base64") return lenientBase64(text);
  if (encoding === "utf8" || encoding === "utf-8") return encoder.encode(text);
  return Uint8Array.from(text, (unit) => unit.charCodeAt(0));
}

const view = (bytes: Uint8Array<ArrayBuffer>): Buffer =>
  new Buffer(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export class Buffer extends Uint8Array<ArrayBuffer> {
  static override from(value: never, encoding: unknown = "utf8"): Buffer {
    if (typeof value === "string") return view(encode(value, encoding as Encoding));
    return view(Uint8Array.from(value as Iterable<number>));
  }

  static allocUnsafe(size: number): Buffer {
    return view(new Uint8Array(size));
  }

  static byteLength(text: string): number {
    return encoder.encode(text).byteLength;
  }

  static concat(parts: readonly Uint8Array[], size: number): Buffer {
    const all = Buffer.allocUnsafe(size);
    let offset = 0;
    for (const part of parts) {
      all.set(part, offset);
      offset += part.byteLength;
    }
    return all;
  }

  override indexOf(needle: unknown, from = 0): number {
    if (typeof needle === "number") return super.indexOf(needle, from);
    const bytes = needle as Uint8Array;
    const last = this.length - bytes.length;
    for (
      let at = super.indexOf(bytes[0]!, from);
      at !== -1 && at <= last;
      at = super.indexOf(bytes[0]!, at + 1)
    ) {
      let matched = 1;
      while (matched < bytes.length && this[at + matched] === bytes[matched]) matched += 1;
      if (matched === bytes.length) return at;
    }
    return -1;
  }

  equals(other: Uint8Array): boolean {
    return this.length === other.length && this.every((byte, at) => byte === other[at]);
  }

  override toString(encoding: Encoding = "utf8"): string {
    return encoding === "utf8" || encoding === "utf-8" ? decoder.decode(this) : latin1(this);
  }
}
