/**
 * The OpenAPI 3.1 document, derived from the catalogue (pure).
 *
 * 1. Every operation is in it: `x-solo-operations` of a path item's method names them.
 * 2. Every `$ref` resolves inside the document.
 * 3. Inputs refuse unknown fields; outputs may grow, so they do not say so.
 */
import { ERRORS, type ErrorCode } from "#base/errors.ts";
import { catalogue } from "#api/catalogue.ts";
import { EXAMPLES } from "#api/openapi-examples.ts";
import {
  inputSchema,
  JSON_SCHEMA,
  outputSchema,
  PROBLEM_SCHEMA,
  type Schema,
} from "#api/openapi-schemas.ts";
import type { Operation } from "#api/operation.ts";

export interface OpenApiDocument {
  readonly openapi: "3.1.0";
  readonly info: Schema;
  readonly security: readonly Schema[];
  readonly paths: Record<string, Record<string, Schema>>;
  readonly components: Record<string, Record<string, Schema>>;
}

/** What any operation may be refused for, beside its own errors. */
const COMMON_ERRORS: readonly ErrorCode[] = [
  "invalid_argument",
  "unauthenticated",
  "permission_denied",
  "limit_exceeded",
  "overloaded",
  "shutting_down",
  "internal",
];

const STREAM_TYPES = { sse: "text/event-stream", ndjson: "application/x-ndjson" } as const;
const NO_TOKEN: ReadonlySet<string> = new Set(["Health"]);

const DESCRIPTION = `Source code in; supervised, isolated, observable services out.

Send the token as \`Authorization: Bearer …\` (\`solo token\` prints the owner's). Errors are RFC 9457 problem
documents with a \`code\`, a \`detail\` and, as a rule, a \`hint\`: see [the table](/docs/errors).`;

export function openApi(options: {
  readonly version: string;
  readonly operations?: Readonly<Record<string, Operation>>;
}): OpenApiDocument {
  const { version, operations = catalogue } = options;
  const paths: OpenApiDocument["paths"] = {};
  const schemas: Record<string, Schema> = { Json: JSON_SCHEMA, Problem: PROBLEM_SCHEMA };
  for (const operation of Object.values(operations)) {
    const { method, path } = operation.http;
    schemas[`${operation.name}Output`] = outputSchema(operation.output);
    const item = (paths[path] ??= {});
    const verb = method.toLowerCase();
    const own = describe(operation, schemas);
    item[verb] = item[verb] === undefined ? own : merged(item[verb], own);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Solo",
      version,
      description: DESCRIPTION,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    security: [{ token: [] }],
    paths: { ...paths, ...besides() },
    components: {
      securitySchemes: {
        token: { type: "http", scheme: "bearer", description: "A capability token." },
      },
      parameters: { tenant: TENANT_HEADER },
      schemas,
    },
  };
}

const TENANT_HEADER: Schema = {
  name: "x-solo-tenant",
  in: "header",
  description:
    "The tenant to act for, instead of `tenant_id` in the input. Only the owner may name another.",
  schema: { type: "string" },
};

/** One operation as OpenAPI describes it; the schema of its body is added to `schemas`. */
function describe(operation: Operation, schemas: Record<string, Schema>): Schema {
  const { name, summary, description, http } = operation;
  const { properties, required } = inputSchema(operation.input);
  const inPath = new Set([...http.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] as string));
  const rest = Object.keys(properties).filter((field) => !inPath.has(field));
  const inBody = http.method === "POST" || http.method === "PUT";
  const parameter = (field: string): Schema => {
    const { description: text, ...schema } = properties[field] ?? {};
    return {
      name: field,
      in: inPath.has(field) ? "path" : "query",
      required: required.includes(field),
      ...(text !== undefined && { description: text }),
      schema,
    };
  };
  const example = EXAMPLES[name];
  if (inBody && rest.length > 0) {
    schemas[`${name}Input`] = {
      type: "object",
      properties: Object.fromEntries(rest.map((field) => [field, properties[field]])),
      required: required.filter((field) => rest.includes(field)),
      additionalProperties: false,
    };
  }
  return {
    operationId: name,
    "x-solo-operations": [name],
    "x-solo-permission": operation.permission,
    summary,
    ...(description !== undefined && { description }),
    tags: [http.path.split("/")[1] ?? ""],
    ...(NO_TOKEN.has(name) && { security: [{}, { token: [] }] }),
    parameters: [
      { $ref: "#/components/parameters/tenant" },
      ...[...inPath, ...(inBody ? [] : rest)].map(parameter),
      ...(http.stream === "sse" ? [RESUME_HEADER] : []),
    ],
    ...(inBody &&
      rest.length > 0 && {
        requestBody: {
          required: required.some((field) => rest.includes(field)),
          content: json({ $ref: `#/components/schemas/${name}Input` }, example?.input),
        },
      }),
    responses: { ...success(operation, example?.output), ...refusals(operation) },
  };
}

const RESUME_HEADER: Schema = {
  name: "Last-Event-ID",
  in: "header",
  description: "Go on after this event; what an EventSource sends when it reconnects.",
  schema: { type: "integer", minimum: 0 },
};

const json = (schema: Schema, example?: unknown): Schema => ({
  "application/json": { schema, ...(example !== undefined && { example }) },
});

function success({ name, http }: Operation, example: unknown): Schema {
  const schema = { $ref: `#/components/schemas/${name}Output` };
  const status = String(http.status ?? 200);
  if (http.stream === undefined)
    return { [status]: { description: "Done.", content: json(schema, example) } };
  const text =
    http.stream === "sse"
      ? "Server-sent events: `id` is the event's id, `event` its type, `data` the JSON below."
      : "One JSON value a line.";
  return { [status]: { description: text, content: { [STREAM_TYPES[http.stream]]: { schema } } } };
}

function refusals(operation: Operation): Schema {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set([...operation.errors, ...COMMON_ERRORS])) {
    const { http } = ERRORS[code];
    byStatus.set(http, [...(byStatus.get(http) ?? []), code]);
  }
  const responses: Schema = {};
  for (const [status, codes] of byStatus) {
    const schema = {
      allOf: [{ $ref: "#/components/schemas/Problem" }, { properties: { code: { enum: codes } } }],
    };
    responses[String(status)] = {
      description: codes.map((code) => `${ERRORS[code].title} (\`${code}\`)`).join(" · "),
      content: { "application/problem+json": { schema } },
    };
  }
  return responses;
}

interface Described {
  readonly operationId: string;
  readonly summary: string;
  readonly parameters: readonly { readonly name?: string; readonly $ref?: string }[];
  readonly responses: Readonly<
    Record<string, { readonly description: string; readonly content: Schema }>
  >;
  readonly "x-solo-operations": readonly string[];
}

/** Two operations on one path and method: OpenAPI has one entry, with both content types. */
function merged(first: Schema, second: Schema): Schema {
  const a = first as unknown as Described;
  const b = second as unknown as Described;
  const known = new Set(a.parameters.map((parameter) => parameter.name ?? parameter.$ref));
  const responses: Record<string, unknown> = { ...b.responses, ...a.responses };
  const status = "200";
  const [listed, watched] = [a.responses[status], b.responses[status]];
  responses[status] = {
    description: `${listed?.description} With \`Accept: text/event-stream\`: ${b.summary}`,
    content: { ...listed?.content, ...watched?.content },
  };
  return {
    ...first,
    "x-solo-operations": [...a["x-solo-operations"], ...b["x-solo-operations"]],
    parameters: [...a.parameters, ...b.parameters.filter((p) => !known.has(p.name ?? p.$ref))],
    responses,
  };
}

/** What HTTP alone offers: the ingress to a service's own `fetch`, and the metrics. */
function besides(): OpenApiDocument["paths"] {
  const names = ["tenant", "service", "path"];
  const ingress = (verb: string): Schema => ({
    operationId: `Ingress_${verb}`,
    summary: "A request to the service's own fetch, streamed both ways; any method.",
    tags: ["ingress"],
    description:
      "The token may also come as `x-solo-token`; then Authorization is the service's own.",
    parameters: names.map((name) => ({
      name,
      in: "path",
      required: true,
      schema: { type: "string" },
    })),
    responses: { default: { description: "Whatever the service answers." } },
  });
  return {
    "/s/{tenant}/{service}/{path}": { get: ingress("get"), post: ingress("post") },
    "/metrics": {
      get: {
        operationId: "Metrics",
        summary:
          "The kernel's metrics: Prometheus text, or a JSON summary with `Accept: application/json`.",
        tags: ["metrics"],
        responses: {
          "200": {
            description: "Done.",
            content: { "text/plain": { schema: { type: "string" } }, ...json({ type: "object" }) },
          },
        },
      },
    },
  };
}
