/**
 * The shape of a state: its keys and types, without its values.
 *
 * 1. Bounded in depth, width and length, whatever the state is.
 */
const MAX_PATHS = 200;
const MAX_DEPTH = 5;
/** So many elements of a collection are looked at; they share one path. */
const MAX_ELEMENTS = 50;
const MAX_PATH_CHARS = 200;

/** From path (`user.tags[]`) to type (`string`, `Map`, `number | null`). The root's path is `state`. */
export function shapeOf(state: unknown): Record<string, string> {
  const types = new Map<string, Set<string>>();
  const visit = (value: unknown, path: string, depth: number): void => {
    const known = types.get(path);
    if (known !== undefined) known.add(typeOf(value));
    else if (types.size < MAX_PATHS) types.set(path, new Set([typeOf(value)]));
    else return;
    if (depth >= MAX_DEPTH || typeof value !== "object" || value === null) return;
    for (const [key, child] of childrenOf(value)) {
      visit(child, `${path}${key}`.slice(0, MAX_PATH_CHARS), depth + 1);
    }
  };
  visit(state, "state", 0);
  return Object.fromEntries([...types].map(([path, kinds]) => [path, [...kinds].join(" | ")]));
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (typeof value !== "object") return typeof value;
  return Object.prototype.toString.call(value).slice("[object ".length, -1);
}

/** With the suffix that a child's path gets. */
function* childrenOf(value: object): Generator<[string, unknown]> {
  let seen = 0;
  if (Array.isArray(value) || value instanceof Set) {
    for (const each of value) {
      if ((seen += 1) > MAX_ELEMENTS) return;
      yield ["[]", each];
    }
  } else if (value instanceof Map) {
    for (const [, each] of value) {
      if ((seen += 1) > MAX_ELEMENTS) return;
      yield ["{}", each];
    }
  } else if (!ArrayBuffer.isView(value) && !(value instanceof Date)) {
    for (const key in value) {
      if (Object.hasOwn(value, key)) yield [`.${key}`, (value as Record<string, unknown>)[key]];
    }
  }
}
