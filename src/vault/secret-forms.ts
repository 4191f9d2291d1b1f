/** The ways in which a secret value may show up in text. */
import { MAX_LISTED_BYTES, MIN_REDACTED_CHARS, MIN_REDACTED_LINE_CHARS } from "#vault/limits.ts";

/** Base64 of a value inside of something longer shares no character with its neighbours from here on. */
const OFFSETS = [0, 1, 2] as const;
/** Of longer ones a console shows no more: so many numbers of a Uint8Array, bytes of an ArrayBuffer. */
const SHOWN_NUMBERS = 100;
const SHOWN_HEX_BYTES = 50;

/**
 * Literal, trimmed, line by line, as in JSON (also in JSON within JSON), in URLs, in forms and in
 * HTML; as base64, base64url and hex; as a list of its bytes. In base64 also in the middle of
 * other bytes (`user:password`), at each of the three offsets.
 */
export function formsOf(value: Uint8Array): string[] {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const text = bytes.toString();
  const forms = new Set<string>();
  const isText = Buffer.from(text).equals(bytes);
  if (isText) {
    const lines = text.split(/\r?\n/).map((line) => line.trim());
    for (const each of [text, text.trim(), ...(lines.length > 1 ? lines.filter(isLongLine) : [])]) {
      for (const written of spellingsOf(each)) forms.add(written);
    }
  }
  for (const shown of [bytes, bytes.subarray(0, SHOWN_HEX_BYTES)]) {
    const hex = shown.toString("hex");
    forms.add(hex).add(hex.toUpperCase());
  }
  // Whole, so that nothing of the last characters is left, which depend on what follows.
  forms.add(bytes.toString("base64")).add(bytes.toString("base64url"));
  for (const offset of OFFSETS) {
    forms.add(inBase64(bytes, offset, "base64"));
    forms.add(inBase64(bytes, offset, "base64url"));
  }
  if (bytes.length <= MAX_LISTED_BYTES) {
    for (const shown of [bytes, bytes.subarray(0, SHOWN_NUMBERS)]) {
      forms.add(listOf(shown));
      // A Uint8Array in JSON.
      forms.add([...shown].map((byte, at) => `"${at}":${byte}`).join(","));
    }
  }
  return [...forms].filter((form) => form.length >= MIN_REDACTED_CHARS);
}

/** The bytes as an array of numbers says them. */
export const listOf = (bytes: Iterable<number>): string => [...bytes].join(",");

function spellingsOf(text: string): string[] {
  const inJson = (value: string): string => JSON.stringify(value).slice(1, -1);
  const inUrl = encodeURIComponent(text.toWellFormed());
  return [
    text,
    inJson(text),
    inJson(inJson(text)),
    inUrl,
    inUrl.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    new URLSearchParams([["", text]]).toString().slice(1),
    text.replace(/[&<>"']/g, (each) => HTML[each]!),
  ];
}

const HTML: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** The characters of the base64 that depend on the value alone when it follows `offset` bytes. */
function inBase64(bytes: Buffer, offset: number, encoding: "base64" | "base64url"): string {
  const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString(encoding);
  const first = Math.ceil((offset * 8) / 6);
  const last = Math.floor(((offset + bytes.length) * 8) / 6);
  return text.slice(first, last);
}

const isLongLine = (line: string): boolean => line.length >= MIN_REDACTED_LINE_CHARS;
