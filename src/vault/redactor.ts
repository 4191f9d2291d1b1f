/**
 * Keeps secret values out of text that leaves: log lines, events, crash reports.
 *
 * 1. No form of a known value (secret-forms.ts) is left in the text, overlapping ones included,
 *    also when the text comes in pieces.
 * 2. Text without a value is passed on as the same string.
 *
 * It is a net, not a wall: a service that means to leak what it can read finds other forms.
 */
import { MAX_REDACTED_VALUES, MIN_REDACTED_CHARS } from "#vault/limits.ts";
import { formsOf } from "#vault/secret-forms.ts";

const markOf = (name: string): string => `[secret:${name}]`;
/** A power of two; one bit for each hash of the first characters of a form. */
const FILTER_BITS = 1 << 16;

export interface Redactor {
  redact(text: string): string;
  /** For text in pieces: holds back what may be the beginning of a value. */
  stream(): { push(piece: string): string; end(): string };
}

/** A value and the name that stands in its place. */
export interface Redacted {
  readonly name: string;
  readonly value: Uint8Array;
}

export function redactor(values: Iterable<Redacted>): Redactor {
  const forms = new Forms(
    [...values]
      .slice(0, MAX_REDACTED_VALUES)
      .flatMap(({ name, value }) => formsOf(value).map((text) => ({ text, name }))),
  );
  const redact = (text: string): string => cover(text, forms.spansIn(text));
  return {
    redact,
    stream() {
      let held = "";
      return {
        push(piece) {
          const text = held + piece;
          const spans = forms.spansIn(text);
          const safe = forms.safeLength(text, spans);
          held = text.slice(safe);
          return cover(
            text.slice(0, safe),
            spans.filter(([start]) => start < safe),
          );
        },
        end() {
          const rest = redact(held);
          held = "";
          return rest;
        },
      };
    },
  };
}

interface Form {
  readonly text: string;
  readonly name: string;
}

/** `name` is of the form that begins first. */
type Span = readonly [start: number, end: number, name: string];

/** All forms by the hash of their first characters, behind a filter that text rarely passes. */
class Forms {
  readonly #byStart = new Map<number, Form[]>();
  readonly #filter = new Uint8Array(FILTER_BITS / 8);
  readonly #longest: number;

  constructor(forms: readonly Form[]) {
    for (const form of new Map(forms.map((each) => [each.text, each])).values()) {
      const hash = hashAt(form.text, 0);
      this.#filter[hash >> 3]! |= 1 << (hash & 7);
      const same = this.#byStart.get(hash);
      if (same) same.push(form);
      else this.#byStart.set(hash, [form]);
    }
    this.#longest = forms.reduce((longest, { text }) => Math.max(longest, text.length), 0);
  }

  /** Where forms lie, merged where they touch, in order. */
  spansIn(text: string): Span[] {
    const spans: [number, number, string][] = [];
    const last = text.length - MIN_REDACTED_CHARS;
    for (let at = 0; this.#longest > 0 && at <= last; at++) {
      const hash = hashAt(text, at);
      if ((this.#filter[hash >> 3]! & (1 << (hash & 7))) === 0) continue;
      const form = this.#longestAt(text, at, hash);
      if (form === undefined) continue;
      const end = at + form.text.length;
      const before = spans.at(-1);
      if (before && at <= before[1]) before[1] = Math.max(before[1], end);
      else spans.push([at, end, form.name]);
    }
    return spans;
  }

  /** How much of the text cannot be part of a form that goes on behind it. */
  safeLength(text: string, spans: readonly Span[]): number {
    let safe = text.length;
    for (let at = Math.max(0, text.length - this.#longest + 1); at < text.length; at++) {
      if (this.#mayBegin(text.slice(at))) {
        safe = at;
        break;
      }
    }
    // A span is passed on whole or not at all.
    const across = spans.find(([start, end]) => start < safe && end > safe);
    return across ? across[0] : safe;
  }

  #longestAt(text: string, at: number, hash: number): Form | undefined {
    let longest: Form | undefined;
    for (const form of this.#byStart.get(hash) ?? []) {
      if (form.text.length > (longest?.text.length ?? 0) && text.startsWith(form.text, at))
        longest = form;
    }
    return longest;
  }

  #mayBegin(rest: string): boolean {
    if (rest.length >= MIN_REDACTED_CHARS) {
      const forms = this.#byStart.get(hashAt(rest, 0)) ?? [];
      return forms.some(({ text }) => text.length > rest.length && text.startsWith(rest));
    }
    for (const forms of this.#byStart.values()) {
      if (forms.some(({ text }) => text.startsWith(rest))) return true;
    }
    return false;
  }
}

/** Of the four characters from `at`. */
function hashAt(text: string, at: number): number {
  const mixed =
    (text.charCodeAt(at) * 0x9e3779b1) ^
    (text.charCodeAt(at + 1) * 0x85ebca6b) ^
    (text.charCodeAt(at + 2) * 0xc2b2ae35) ^
    (text.charCodeAt(at + 3) * 0x27d4eb2f);
  return ((mixed >>> 16) ^ mixed) & (FILTER_BITS - 1);
}

function cover(text: string, spans: readonly Span[]): string {
  if (spans.length === 0) return text;
  let out = "";
  let from = 0;
  for (const [start, end, name] of spans) {
    out += text.slice(from, start) + markOf(name);
    from = end;
  }
  return out + text.slice(from);
}
