/**
 * An encoded state as JSON for people. The text comes from a guest: it is walked, never
 * revived, and what is not of the form is an error.
 *
 * 1. Bounded: a state of many references to one value does not grow beyond MAX_NODES.
 * 2. What JSON lacks is an object with one key that begins with `$`: `$map`, `$set`, `$date`,
 *    `$bigint`, `$number`, `$bytes`, `$ref` and so on.
 */
const MAX_NODES = 50_000;
const MAX_DEPTH = 200;
const MAX_BYTES_SHOWN = 256;

export type ViewJson = null | boolean | number | string | ViewJson[] | { [key: string]: ViewJson };

export interface StateView {
  readonly value: ViewJson;
  /** Parts were left out, marked by `$more`. */
  readonly truncated: boolean;
}

const UNDEFINED = -1;
const HOLE = -2;
const SPARSE = -7;
const SPECIAL: ReadonlyMap<number, ViewJson> = new Map<number, ViewJson>([
  [UNDEFINED, { $undefined: true }],
  [HOLE, { $hole: true }],
  [-3, { $number: "NaN" }],
  [-4, { $number: "Infinity" }],
  [-5, { $number: "-Infinity" }],
  [-6, { $number: "-0" }],
]);

/** Throws a TypeError when the text is no encoded state. */
export function viewState(text: string): StateView {
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed === "number") return { value: special(parsed), truncated: false };
  if (typeof parsed !== "object" || parsed === null) throw malformed();
  if (!Array.isArray(parsed)) return viewJson(parsed);
  if (parsed.length === 0) throw malformed();
  return new Viewer(parsed).view();
}

/** A state that is JSON already. */
function viewJson(state: object): StateView {
  let nodes = 0;
  let truncated = false;
  const shown = (value: unknown, level: number): ViewJson => {
    if (value === null || typeof value !== "object") return value as ViewJson;
    nodes += 1;
    if (nodes > MAX_NODES || level >= MAX_DEPTH) {
      truncated = true;
      return { $more: true };
    }
    if (Array.isArray(value)) return value.map((each) => shown(each, level + 1));
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, shown(each, level + 1)]),
    );
  };
  return { value: shown(state, 0), truncated };
}

class Viewer {
  readonly #values: readonly unknown[];
  /** On the way from the root to here, with the path of each. */
  readonly #open = new Map<number, string>();
  #nodes = 0;
  #truncated = false;

  constructor(values: readonly unknown[]) {
    this.#values = values;
  }

  view(): StateView {
    const value = this.#at(0, "$");
    return { value, truncated: this.#truncated };
  }

  #at(index: unknown, path: string): ViewJson {
    if (typeof index !== "number") throw malformed();
    if (index < 0) return special(index);
    const value = this.#values[index];
    if (value === undefined) throw malformed();
    if (value === null || typeof value !== "object") return value as ViewJson;
    const above = this.#open.get(index);
    if (above !== undefined) return { $ref: above };
    this.#nodes += 1;
    if (this.#nodes > MAX_NODES || this.#open.size >= MAX_DEPTH) {
      this.#truncated = true;
      return { $more: true };
    }
    this.#open.set(index, path);
    const shown = Array.isArray(value) ? this.#list(value, path) : this.#object(value, path);
    this.#open.delete(index);
    return shown;
  }

  #object(value: object, path: string): ViewJson {
    return this.#pairs(Object.entries(value), path);
  }

  #pairs(entries: readonly (readonly [string, unknown])[], path: string): ViewJson {
    return Object.fromEntries(
      entries
        .filter(([, index]) => index !== UNDEFINED)
        .map(([key, index]) => [key, this.#at(index, `${path}.${key}`)]),
    );
  }

  #list(value: readonly unknown[], path: string): ViewJson {
    const [kind, ...rest] = value;
    if (typeof kind === "string") return this.#tagged(kind, rest, path);
    if (kind === SPARSE) {
      const [length, ...pairs] = rest;
      return { $sparse: this.#pairs(inPairs(pairs), path), length: Number(length) };
    }
    return value.map((index, at) => this.#at(index, `${path}[${at}]`));
  }

  #tagged(kind: string, rest: readonly unknown[], path: string): ViewJson {
    switch (kind) {
      case "Map":
        return {
          $map: Array.from({ length: rest.length / 2 }, (_, n) => [
            this.#at(rest[2 * n], `${path}.key(${n})`),
            this.#at(rest[2 * n + 1], `${path}.value(${n})`),
          ]),
        };
      case "Set":
        return { $set: rest.map((index, n) => this.#at(index, `${path}.item(${n})`)) };
      case "null":
        return this.#pairs(inPairs(rest), path);
      case "Object":
      case "Instance":
        return this.#at(rest[0], path);
      case "Error":
        return { $error: this.#at(rest[0], path) };
      case "ArrayBuffer":
        return bytes(kind, rest[0]);
      default:
        // A view names the buffer it is of; what else there is, is text.
        if (typeof rest[0] === "number") {
          const buffer = this.#values[rest[0]];
          return bytes(kind, Array.isArray(buffer) ? buffer[1] : undefined);
        }
        return { [`$${kind.toLowerCase()}`]: rest.length === 1 ? text(rest[0]) : rest.map(text) };
    }
  }
}

function inPairs(flat: readonly unknown[]): [string, unknown][] {
  return Array.from({ length: flat.length / 2 }, (_, n) => [String(flat[2 * n]), flat[2 * n + 1]]);
}

function bytes(type: string, base64: unknown): ViewJson {
  if (typeof base64 !== "string") throw malformed();
  const length = Math.floor((base64.replace(/=+$/, "").length * 3) / 4);
  return {
    $bytes: base64.length <= MAX_BYTES_SHOWN ? base64 : `${base64.slice(0, MAX_BYTES_SHOWN)}…`,
    type,
    length,
  };
}

const text = (value: unknown): ViewJson => {
  if (value === null || typeof value === "string" || typeof value === "number") return value;
  throw malformed();
};

function special(index: number): ViewJson {
  const shown = SPECIAL.get(index);
  if (shown === undefined) throw malformed();
  return shown;
}

const malformed = (): TypeError => new TypeError("The text is no encoded state.");
