/** The catalogue as HTTP routes (pure): which operations a method and a path name. */
import { catalogue, type OperationName } from "#api/catalogue.ts";
import type { Operation, Verb } from "#api/operation.ts";

export interface BoundOperation {
  readonly name: OperationName;
  readonly operation: Operation;
}

/** One method of one path. Two operations share it when Accept tells them apart. */
export interface Route {
  readonly method: Verb;
  /** As the catalogue has it: `/services/{service_id}`. */
  readonly path: string;
  readonly pathFields: readonly string[];
  readonly answer: BoundOperation | undefined;
  readonly stream: BoundOperation | undefined;
}

const PLACEHOLDER = /\{(\w+)\}/g;

const pathFields = (path: string): string[] =>
  [...path.matchAll(PLACEHOLDER)].map((match) => match[1] as string);

/** `/services/{service_id}` as the router writes it: `/services/:service_id`. */
export const routerPath = (path: string): string => path.replace(PLACEHOLDER, ":$1");

export function routesOf(operations: Readonly<Record<string, Operation>>): Route[] {
  const routes = new Map<string, Route>();
  for (const [key, operation] of Object.entries(operations)) {
    const { method, path } = operation.http;
    const bound: BoundOperation = { name: key as OperationName, operation };
    const kind = operation.streaming ? "stream" : "answer";
    const id = `${method} ${path}`;
    const route = routes.get(id) ?? {
      method,
      path,
      pathFields: pathFields(path),
      answer: undefined,
      stream: undefined,
    };
    if (route[kind] !== undefined) {
      throw new TypeError(`${key} and ${route[kind].name} are both bound to ${id}`);
    }
    routes.set(id, { ...route, [kind]: bound });
  }
  return [...routes.values()];
}

export const ROUTES: readonly Route[] = routesOf(catalogue);

const EVENT_STREAM =
  /(?:^|,)\s*text\/event-stream\s*(?:;(?!\s*q=0(?:\.0*)?\s*(?:,|$))[^,]*)?(?:,|$)/i;

/** Where a path has an answer and a stream, the stream is for those who ask for one. */
export function chosen(route: Route, accept: string | undefined): BoundOperation {
  const { answer, stream } = route;
  if (answer === undefined) return stream as BoundOperation;
  return stream !== undefined && accept !== undefined && EVENT_STREAM.test(accept)
    ? stream
    : answer;
}
