/** What to tell a client that named no route: another method, or the nearest paths (pure). */
import { SoloError } from "#base/errors.ts";

export interface KnownRoute {
  readonly method: string;
  /** With `{field}` placeholders. */
  readonly path: string;
}

const SUGGESTIONS = 3;
/** Routes further away than this are no help. */
const FAR = 2.5;
/** Segments longer than this are not compared letter by letter. */
const COMPARED_LENGTH = 32;

export interface Lost {
  readonly error: SoloError;
  readonly headers: Readonly<Record<string, string>>;
}

export function lost(method: string, path: string, routes: readonly KnownRoute[]): Lost {
  const segments = split(path);
  const allowed = new Set(routes.filter((r) => matches(r.path, segments)).map((r) => r.method));
  if (allowed.has("GET")) allowed.add("HEAD");
  if (allowed.size > 0) {
    const allow = [...allowed].toSorted().join(", ");
    const error = new SoloError("method_not_allowed", `${method} is not defined for this path.`, {
      hint: `Use ${allow}.`,
    });
    return { error, headers: { allow } };
  }
  const near = routes
    .map((route) => ({
      route,
      cost: distance(split(route.path), segments, route.method === method),
    }))
    .filter(({ cost }) => cost <= FAR)
    .toSorted((a, b) => a.cost - b.cost)
    .slice(0, SUGGESTIONS)
    .map(({ route }) => `${route.method} ${route.path}`);
  const hint =
    near.length > 0
      ? `Nearest routes: ${near.join(", ")}. All of them: GET /openapi.json.`
      : "All routes: GET /openapi.json, or /docs in a browser.";
  return {
    error: new SoloError("not_found", `There is no ${method} route at this path.`, { hint }),
    headers: {},
  };
}

const split = (path: string): string[] => path.split("/").filter((segment) => segment !== "");
const isPlaceholder = (segment: string): boolean => segment.startsWith("{");

function matches(template: string, segments: readonly string[]): boolean {
  const wanted = split(template);
  return (
    wanted.length === segments.length &&
    wanted.every((segment, i) => isPlaceholder(segment) || segment === segments[i])
  );
}

/** How far a path is from a template: edits in the words, a whole point for a missing one. */
function distance(
  template: readonly string[],
  segments: readonly string[],
  sameMethod: boolean,
): number {
  let cost = sameMethod ? 0 : 0.25;
  for (let i = 0; i < Math.max(template.length, segments.length); i++) {
    const wanted = template[i];
    const given = segments[i];
    if (wanted === undefined || given === undefined) cost += 1;
    else if (!isPlaceholder(wanted)) cost += wordCost(wanted, given);
  }
  return cost;
}

/** 0 for the same word, up to 2 for an unrelated one. */
function wordCost(wanted: string, given: string): number {
  if (wanted === given) return 0;
  if (given.length > COMPARED_LENGTH) return 2;
  return Math.min(2, (4 * edits(wanted, given.toLowerCase())) / wanted.length);
}

/** Levenshtein's distance. */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
