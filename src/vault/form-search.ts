/**
 * Where forms of secret values lie in a text.
 *
 * 1. The time is linear in the text, whatever it holds: one that takes more steps than
 *    STEPS_PER_CHAR for each character is covered from there on.
 * 2. Spans are in order, and one where they touch.
 */
import { MIN_REDACTED_CHARS, STEPS_PER_CHAR } from "#vault/limits.ts";

export interface Form {
  readonly text: string;
  readonly name: string;
}

/** `name` is of the form that begins first. */
export type Span = readonly [start: number, end: number, name: string];

/** A power of two; one bit for each hash of the first characters of a form. */
const FILTER_BITS = 1 << 16;

/** Forms by their first four characters, behind a filter that text rarely passes. */
class Table {
  readonly #byStart = new Map<number, Form[]>();
  readonly #filter = new Uint8Array(FILTER_BITS / 8);

  constructor(forms: readonly Form[]) {
    for (const form of new Map(forms.map((each) => [each.text, each])).values()) {
      const code = (at: number): number => form.text.charCodeAt(at);
      const hash = hashOf(code(0), code(1), code(2), code(3));
      this.#filter[hash >> 3]! |= 1 << (hash & 7);
      const same = this.#byStart.get(hash);
      if (same) same.push(form);
      else this.#byStart.set(hash, [form]);
    }
  }

  get isEmpty(): boolean {
    return this.#byStart.size === 0;
  }

  mayHave(hash: number): boolean {
    return (this.#filter[hash >> 3]! & (1 << (hash & 7))) !== 0;
  }

  with(hash: number): readonly Form[] {
    return this.#byStart.get(hash) ?? [];
  }

  all(): Iterable<readonly Form[]> {
    return this.#byStart.values();
  }
}

/** Forms as they are. */
export class Forms {
  readonly #table: Table;
  readonly #longest: number;

  constructor(forms: readonly Form[]) {
    this.#table = new Table(forms);
    this.#longest = forms.reduce((longest, { text }) => Math.max(longest, text.length), 0);
  }

  spansIn(text: string): Span[] {
    const found = new Found(text);
    const last = text.length - MIN_REDACTED_CHARS;
    for (let at = 0; !this.#table.isEmpty && at <= last; at++) {
      const hash = hashAt(text, at);
      if (!this.#table.mayHave(hash)) continue;
      for (const form of this.#table.with(hash)) {
        const { length } = form.text;
        const isThere = text.startsWith(form.text, at);
        if (isThere && !found.add(at, at + length, form.name, length)) return found.spans;
      }
    }
    return found.spans;
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

  #mayBegin(rest: string): boolean {
    if (rest.length >= MIN_REDACTED_CHARS) {
      const forms = this.#table.with(hashAt(rest, 0));
      return forms.some(({ text }) => text.length > rest.length && text.startsWith(rest));
    }
    for (const forms of this.#table.all()) {
      if (forms.some(({ text }) => text.startsWith(rest))) return true;
    }
    return false;
  }
}

/** Forms with white space anywhere between their characters; they have none of their own. */
export class SpreadForms {
  readonly #table: Table;

  constructor(forms: readonly Form[]) {
    this.#table = new Table(forms);
  }

  spansIn(text: string): Span[] {
    const found = new Found(text);
    if (this.#table.isEmpty) return found.spans;
    // The last four characters that are no white space, and where the first of them stands.
    let [a, b, c, d] = [0, 0, 0, 0];
    let [atA, atB, atC, atD] = [-1, -1, -1, -1];
    for (let at = 0; at < text.length; at++) {
      const gap = gapAt(text, at);
      if (gap > 0) {
        at += gap - 1;
        continue;
      }
      [a, b, c, d] = [b, c, d, text.charCodeAt(at)];
      [atA, atB, atC, atD] = [atB, atC, atD, at];
      if (atA < 0) continue;
      const hash = hashOf(a, b, c, d);
      if (!this.#table.mayHave(hash)) continue;
      for (const form of this.#table.with(hash)) {
        const { end, steps } = matchAt(text, atA, form.text);
        if (!found.add(atA, end, form.name, steps)) return found.spans;
      }
    }
    return found.spans;
  }
}

/** The text without its white space. */
export function squeeze(text: string): string {
  let out = "";
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const gap = gapAt(text, at);
    if (gap === 0) continue;
    out += text.slice(from, at);
    at += gap - 1;
    from = at + 1;
  }
  return out + text.slice(from);
}

/** Both in order, as one where they touch. */
export function merged(one: readonly Span[], other: readonly Span[]): readonly Span[] {
  if (other.length === 0) return one;
  if (one.length === 0) return other;
  const spans: [number, number, string][] = [];
  for (const [start, end, name] of [...one, ...other].toSorted((x, y) => x[0] - y[0])) {
    const before = spans.at(-1);
    if (before && start <= before[1]) before[1] = Math.max(before[1], end);
    else spans.push([start, end, name]);
  }
  return spans;
}

/** What was found so far, in order of where it begins. */
class Found {
  readonly spans: [number, number, string][] = [];
  readonly #length: number;
  #steps: number;

  constructor({ length }: string) {
    this.#length = length;
    this.#steps = (length + MIN_REDACTED_CHARS) * STEPS_PER_CHAR;
  }

  /** `end`: at or before `start` when nothing is there. False when that is enough. */
  add(start: number, end: number, name: string, steps: number): boolean {
    this.#steps -= steps;
    const goesOn = this.#steps >= 0;
    const to = goesOn ? end : this.#length;
    if (to <= start) return goesOn;
    const before = this.spans.at(-1);
    if (before && start <= before[1]) before[1] = Math.max(before[1], to);
    else this.spans.push([start, to, name]);
    return goesOn;
  }
}

/** Where the form ends that begins here; -1 when it does not. */
function matchAt(text: string, from: number, form: string): { end: number; steps: number } {
  let at = from;
  for (let i = 0; i < form.length; i++) {
    for (let gap = gapAt(text, at); gap > 0; gap = gapAt(text, at)) at += gap;
    if (text.charCodeAt(at) !== form.charCodeAt(i)) return { end: -1, steps: at - from };
    at += 1;
  }
  return { end: at, steps: at - from };
}

const BACKSLASH = 0x5c;
/** JSON writes one before an n, JSON in JSON two, and so on. */
const MAX_BACKSLASHES = 8;

/** How many characters of white space begin here, also as JSON writes it. */
function gapAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (code <= 0x20) return 1;
  if (code === BACKSLASH) return escapeAt(text, at);
  return code >= 0xa0 && isWideSpace(code) ? 1 : 0;
}

function escapeAt(text: string, at: number): number {
  let end = at + 1;
  while (end - at < MAX_BACKSLASHES && text.charCodeAt(end) === BACKSLASH) end += 1;
  const letter = text[end];
  return letter === "n" || letter === "r" || letter === "t" ? end + 1 - at : 0;
}

/** Also what has no width. */
const isWideSpace = (code: number): boolean =>
  code === 0xa0 ||
  (code >= 0x2000 && code <= 0x200f) ||
  (code >= 0x2028 && code <= 0x202f) ||
  code === 0x205f ||
  code === 0x2060 ||
  code === 0x3000 ||
  code === 0xfeff;

const hashAt = (text: string, at: number): number =>
  hashOf(
    text.charCodeAt(at),
    text.charCodeAt(at + 1),
    text.charCodeAt(at + 2),
    text.charCodeAt(at + 3),
  );

function hashOf(a: number, b: number, c: number, d: number): number {
  const mixed = (a * 0x9e3779b1) ^ (b * 0x85ebca6b) ^ (c * 0xc2b2ae35) ^ (d * 0x27d4eb2f);
  return ((mixed >>> 16) ^ mixed) & (FILTER_BITS - 1);
}
