/**
 * Headers on their way out and back.
 *
 * 1. What frames a message or names its receiver is the kernel's to say: such headers of a
 *    guest are dropped, as the Fetch standard drops forbidden ones, and none of them is
 *    passed back.
 * 2. No name or value holds a character that could end the header.
 */
import { SoloError } from "#base/errors.ts";
import { MAX_REQUEST_HEADER_BYTES } from "#egress/limits.ts";

export type Header = readonly [name: string, value: string];

/** RFC 9110, section 7.6.1, and its kin: they speak of the connection, not of the message. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Of the Fetch standard's forbidden request headers those that protect the receiver. The others
 *  (cookie, origin, referer, date …) protect a browser's user, of whom there is none here. */
const OWN: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  "accept-encoding",
  "content-length",
  "expect",
  "host",
  "http2-settings",
  "set-cookie",
  "via",
]);

const TOKEN = /^[!#$%&'*+\-.^_`|~A-Za-z0-9]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const TEMPLATE = "{{secret:";

const isOwn = (name: string): boolean =>
  OWN.has(name) || name.startsWith("proxy-") || name.startsWith("sec-");

export const hasTemplate = ([, value]: Header): boolean => value.includes(TEMPLATE);

/** A guest's headers as they may leave, with lower-case names; throws on what is no header. */
export function outgoing(headers: readonly unknown[]): Header[] {
  const kept: Header[] = [];
  for (const header of headers) {
    const [name, value] = Array.isArray(header) ? (header as unknown[]) : [];
    if (typeof name !== "string" || typeof value !== "string") {
      throw new SoloError("invalid_argument", "Headers are pairs of a name and a value.");
    }
    const lower = name.toLowerCase();
    if (isOwn(lower)) continue;
    kept.push([lower, value]);
  }
  checkHeaders(kept);
  return kept;
}

/** Throws when one of them cannot be sent. The message names no value: it may be a secret. */
export function checkHeaders(headers: readonly Header[]): void {
  let bytes = 0;
  for (const [name, value] of headers) {
    bytes += name.length + value.length + 4;
    if (TOKEN.test(name) && VALUE.test(value)) continue;
    const which = JSON.stringify(name.slice(0, 100));
    throw new SoloError("invalid_argument", `The header ${which} has a character that none may.`);
  }
  if (bytes > MAX_REQUEST_HEADER_BYTES) {
    throw new SoloError(
      "payload_too_large",
      `The request's headers have ${bytes} bytes; ${MAX_REQUEST_HEADER_BYTES} are allowed.`,
    );
  }
}

/** What Node's `fetch` adds, where the guest says nothing of its own. */
export function withDefaults(headers: readonly Header[]): Header[] {
  const has = new Set(headers.map(([name]) => name));
  const defaults: readonly Header[] = [
    ["accept", "*/*"],
    ["accept-language", "*"],
    ["user-agent", "Solo"],
  ];
  return [...headers, ...defaults.filter(([name]) => !has.has(name))];
}

/** A response's headers from Node's flat list, without those of the connection. `decoded`: the
 *  body was unpacked; `changed`: its length may be another for whatever reason. */
export function incoming(
  raw: readonly string[],
  { decoded, changed }: { readonly decoded: boolean; readonly changed: boolean },
): Header[] {
  const headers: Header[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase();
    if (HOP_BY_HOP.has(name)) continue;
    // They speak of the bytes as they came; passed on, they would be wrong.
    if (decoded && name === "content-encoding") continue;
    if ((decoded || changed) && name === "content-length") continue;
    headers.push([name, raw[at + 1]!]);
  }
  return headers;
}
