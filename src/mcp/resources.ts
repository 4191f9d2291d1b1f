/**
 * What a client can read without calling a tool: services, their logs, events, documentation.
 *
 * 1. Everything but the documentation is an operation of the catalogue, asked for the caller.
 */
import type { OperationName } from "#api/catalogue.ts";
import { SoloError } from "#base/errors.ts";
import { collected, type Caller } from "#mcp/caller.ts";
import { fitted, type Keep } from "#mcp/cut.ts";
import { isPage, PAGE_NAMES, PAGES, type ReadPage } from "#mcp/pages.ts";

const JSON_TYPE = "application/json";
const MARKDOWN = "text/markdown";
const SCHEME = "solo://";

export const RESOURCES = [
  {
    uri: `${SCHEME}services`,
    name: "services",
    description: "The tenant's services and how they are.",
    mimeType: JSON_TYPE,
  },
  {
    uri: `${SCHEME}events`,
    name: "events",
    description: "The newest hundred events, newest first.",
    mimeType: JSON_TYPE,
  },
  ...PAGE_NAMES.map((page) => ({
    uri: `${SCHEME}docs/${page}`,
    name: `docs/${page}`,
    description: PAGES[page],
    mimeType: MARKDOWN,
  })),
];

export const TEMPLATES = [
  {
    uriTemplate: `${SCHEME}services/{service_id}`,
    name: "service",
    description: "How one service is.",
    mimeType: JSON_TYPE,
  },
  {
    uriTemplate: `${SCHEME}services/{service_id}/logs`,
    name: "logs",
    description: "The newest hundred lines that a service logged, oldest first.",
    mimeType: JSON_TYPE,
  },
];

export interface ResourceText {
  readonly uri: string;
  readonly mimeType: string;
  readonly text: string;
}

interface Answered {
  readonly name: OperationName;
  readonly input: object;
  /** Of a stream: under which name its messages are one answer. */
  readonly collect?: string;
  readonly keep?: Keep;
}

export interface ReadOptions {
  readonly caller: Caller;
  readonly readPage: ReadPage;
  readonly maxChars: number;
  readonly signal: AbortSignal;
}

/** Throws a SoloError: `not_found` for an address that is none of these. */
export async function readResource(uri: string, options: ReadOptions): Promise<ResourceText> {
  const { caller, maxChars, signal } = options;
  const path = uri.startsWith(SCHEME) ? uri.slice(SCHEME.length).split("/") : [];
  const [kind, page] = path;
  if (kind === "docs" && path.length === 2 && isPage(page)) {
    return { uri, mimeType: MARKDOWN, text: await options.readPage(page) };
  }
  const asked = answeredBy(path);
  if (asked === undefined) throw unknown(uri);
  const { name, input, collect, keep } = asked;
  const answer =
    collect === undefined
      ? await caller.call(name, input, signal)
      : { [collect]: await collected(caller.stream(name, input, signal)) };
  return { uri, mimeType: JSON_TYPE, text: fitted(answer, maxChars, keep).text };
}

function answeredBy(path: readonly string[]): Answered | undefined {
  const [kind, service_id, part] = path.map(decoded);
  if (kind === "services" && path.length === 1) return { name: "List", input: {} };
  if (kind === "events" && path.length === 1) {
    return { name: "ListEvents", input: { newest_first: true } };
  }
  if (kind !== "services" || service_id === undefined) return undefined;
  if (path.length === 2) return { name: "Status", input: { service_id } };
  if (path.length !== 3 || part !== "logs") return undefined;
  return { name: "Logs", input: { service_id }, collect: "lines", keep: "last" };
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

const unknown = (uri: string): SoloError =>
  new SoloError("not_found", `There is no resource ${uri.slice(0, 200)}.`, {
    hint: `There are ${[...RESOURCES.map((each) => each.uri), ...TEMPLATES.map((each) => each.uriTemplate)].join(", ")}.`,
  });
