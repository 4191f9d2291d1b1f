/** The ways in which a secret value may show up in text. */
import { MIN_REDACTED_CHARS, MIN_REDACTED_LINE_CHARS } from "#vault/limits.ts";

/** Base64 of a value inside of something longer shares no character with its neighbours from here on. */
const OFFSETS = [0, 1, 2] as const;

/**
 * Literal, trimmed, line by line, as in JSON and in URLs, and as base64, base64url and hex. In
 * base64 also in the middle of other bytes (`user:password`), at each of the three offsets.
 */
export function formsOf(value: Uint8Array): string[] {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const text = bytes.toString();
  const forms = new Set<string>();
  const isText = Buffer.from(text).equals(bytes);
  if (isText) {
    const lines = text.split(/\r?\n/).map((line) => line.trim());
    for (const each of [text, text.trim(), ...(lines.length > 1 ? lines.filter(isLongLine) : [])]) {
      forms.add(each);
      forms.add(JSON.stringify(each).slice(1, -1));
      forms.add(encodeURIComponent(each.toWellFormed()));
    }
  }
  const hex = bytes.toString("hex");
  forms.add(hex).add(hex.toUpperCase());
  // Whole, so that nothing of the last characters is left, which depend on what follows.
  forms.add(bytes.toString("base64")).add(bytes.toString("base64url"));
  for (const offset of OFFSETS) {
    forms.add(inBase64(bytes, offset, "base64"));
    forms.add(inBase64(bytes, offset, "base64url"));
  }
  return [...forms].filter((form) => form.length >= MIN_REDACTED_CHARS);
}

/** The characters of the base64 that depend on the value alone when it follows `offset` bytes. */
function inBase64(bytes: Buffer, offset: number, encoding: "base64" | "base64url"): string {
  const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString(encoding);
  const first = Math.ceil((offset * 8) / 6);
  const last = Math.floor(((offset + bytes.length) * 8) / 6);
  return text.slice(first, last);
}

const isLongLine = (line: string): boolean => line.length >= MIN_REDACTED_LINE_CHARS;
