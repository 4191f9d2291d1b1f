/**
 * A JSON value made to fit a number of characters, so that its shape stays (pure).
 *
 * 1. The text of what comes back is never longer than asked.
 * 2. Arrays lose items and texts lose characters; an object keeps its fields as long as
 *    there is room for any of each, so that a schema it satisfied is satisfied.
 * 3. Whatever is missing is told, with its place and how much there was.
 */

export interface Cut {
  /** Such as `events` or `state.rows.0`; empty for the whole value. */
  readonly path: string;
  readonly unit: "items" | "characters" | "fields";
  readonly shown: number;
  readonly of: number;
}

/** Which items of an array stay. */
export type Keep = "first" | "last";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export interface Fitted {
  readonly value: unknown;
  readonly text: string;
  readonly cuts: readonly Cut[];
}

export function fitted(value: unknown, maxChars: number, keep: Keep = "first"): Fitted {
  const text = JSON.stringify(value) ?? "null";
  if (text.length <= maxChars) return { value, text, cuts: [] };
  // A copy without anything that JSON does not carry.
  const cutter = new Cutter(keep);
  const cut = cutter.fit(JSON.parse(text) as Json, maxChars, "") ?? null;
  return { value: cut, text: JSON.stringify(cut), cuts: cutter.cuts };
}

class Cutter {
  readonly cuts: Cut[] = [];
  readonly #keep: Keep;
  /** Of arrays and objects, measured once. */
  readonly #sizes = new Map<object, number>();

  constructor(keep: Keep) {
    this.#keep = keep;
  }

  /** Undefined when not even an empty one fits. */
  fit(value: Json, room: number, path: string): Json | undefined {
    if (this.#size(value) <= room) return value;
    if (typeof value === "string") return room < 2 ? undefined : this.#text(value, room, path);
    if (typeof value !== "object" || value === null || room < 2) return undefined;
    return Array.isArray(value)
      ? this.#array(value as readonly Json[], room - 2, path)
      : this.#object(value as { readonly [key: string]: Json }, room - 2, path);
  }

  #size(value: Json): number {
    if (typeof value !== "object" || value === null) return JSON.stringify(value).length;
    const known = this.#sizes.get(value);
    if (known !== undefined) return known;
    let size = 2;
    const entries = Object.entries(value);
    for (const [key, each] of entries) {
      size += this.#size(each) + (Array.isArray(value) ? 0 : keySize(key));
    }
    size += Math.max(entries.length - 1, 0);
    this.#sizes.set(value, size);
    return size;
  }

  #text(text: string, room: number, path: string): string {
    let shown = Math.min(text.length, room - 2);
    for (;;) {
      // Half of a surrogate pair would be written as an escape.
      if (isHighSurrogate(text.charCodeAt(shown - 1))) shown -= 1;
      const excess = JSON.stringify(text.slice(0, shown)).length - room;
      if (excess <= 0) break;
      // An escape takes up to six characters.
      shown -= Math.ceil(excess / 6);
    }
    this.cuts.push({ path, unit: "characters", shown, of: text.length });
    return text.slice(0, shown);
  }

  #array(items: readonly Json[], room: number, path: string): Json[] {
    const ordered = this.#keep === "first" ? items : items.toReversed();
    const taken: Json[] = [];
    let left = room;
    for (const [index, item] of ordered.entries()) {
      const space = left - (index > 0 ? 1 : 0);
      const whole = this.#size(item) <= space;
      const at = this.#keep === "first" ? index : items.length - 1 - index;
      const shown = whole ? item : index === 0 ? this.fit(item, space, join(path, at)) : undefined;
      if (shown === undefined) break;
      taken.push(shown);
      left = space - this.#size(shown);
      if (!whole) break;
    }
    if (taken.length < items.length) {
      this.cuts.push({ path, unit: "items", shown: taken.length, of: items.length });
    }
    return this.#keep === "first" ? taken : taken.toReversed();
  }

  #object(value: { readonly [key: string]: Json }, room: number, path: string): Json {
    const keys = Object.keys(value);
    const fields = keys.slice(0, this.#fieldsThatFit(keys, room));
    let left =
      room - fields.reduce((sum, key) => sum + keySize(key), Math.max(fields.length - 1, 0));
    const shown = new Map<string, Json>();
    // The small ones take what they need; the large ones share the rest.
    const bySize = fields.toSorted((a, b) => this.#size(value[a]!) - this.#size(value[b]!));
    for (const [index, key] of bySize.entries()) {
      const share = Math.floor(left / (bySize.length - index));
      const part = this.fit(value[key]!, share, join(path, key));
      if (part === undefined) continue;
      shown.set(key, part);
      left -= this.#size(part);
    }
    if (shown.size < keys.length) {
      this.cuts.push({ path, unit: "fields", shown: shown.size, of: keys.length });
    }
    return Object.fromEntries(
      fields.flatMap((key) => (shown.has(key) ? [[key, shown.get(key)!]] : [])),
    );
  }

  /** Half of the room is for names at most. */
  #fieldsThatFit(keys: readonly string[], room: number): number {
    let used = 0;
    const over = keys.findIndex((key) => (used += keySize(key) + 1) > room / 2);
    return over < 0 ? keys.length : over;
  }
}

/** With its colon. */
const keySize = (key: string): number => JSON.stringify(key).length + 1;
const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
const join = (path: string, key: string | number): string =>
  path === "" ? String(key) : `${path}.${key}`;
