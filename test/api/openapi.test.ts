import { describe, expect, test } from "vitest";
import { z } from "zod";
import { catalogue } from "#api/catalogue.ts";
import { EXAMPLES } from "#api/openapi-examples.ts";
import { openApi } from "#api/openapi.ts";
import { ERRORS } from "#base/errors.ts";
import type { Operation } from "#api/operation.ts";

const document = openApi({ version: "1" });
const operations: [string, Operation][] = Object.entries(catalogue);

/** Every object in the document, with where it stands. */
function* nodes(node: unknown, path = "#"): Generator<[string, Record<string, unknown>]> {
  if (typeof node !== "object" || node === null) return;
  if (!Array.isArray(node)) yield [path, node as Record<string, unknown>];
  for (const [key, value] of Object.entries(node)) yield* nodes(value, `${path}/${key}`);
}

const resolve = (ref: string): unknown =>
  ref
    .slice(2)
    .split("/")
    .reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], document);

interface Described {
  parameters: { name?: string; in?: string; required?: boolean; $ref?: string }[];
  requestBody?: unknown;
  responses: Record<string, { description: string; content: Record<string, { schema: unknown }> }>;
  "x-solo-operations": string[];
}

const described = ({ http }: Operation): Described =>
  document.paths[http.path]?.[http.method.toLowerCase()] as unknown as Described;

describe("the OpenAPI document", () => {
  test("has every operation at its method and path, with its status", () => {
    for (const [name, operation] of operations) {
      const entry = described(operation);
      expect([name, entry["x-solo-operations"].includes(name)]).toEqual([name, true]);
      expect(Object.keys(entry.responses)).toContain(String(operation.http.status ?? 200));
    }
  });

  test("has every field of every input exactly once: path, query or body", () => {
    for (const [name, operation] of operations) {
      const entry = described(operation);
      const parameters = entry.parameters.flatMap((p) =>
        p.in === "path" || p.in === "query" ? [p.name] : [],
      );
      const body = document.components["schemas"]?.[`${name}Input`] as
        | { properties?: object }
        | undefined;
      const fields = [...parameters, ...Object.keys(body?.properties ?? {})];
      expect(new Set(fields).size).toBe(fields.length);
      expect(fields).toEqual(expect.arrayContaining(Object.keys(operation.input.shape)));
      for (const p of entry.parameters) if (p.in === "path") expect(p.required).toBe(true);
    }
  });

  test("names every error an operation declares, under its HTTP status", () => {
    for (const [, operation] of operations) {
      const { responses } = described(operation);
      for (const code of operation.errors) {
        const response = responses[String(ERRORS[code].http)];
        expect(response?.description).toContain(`\`${code}\``);
        expect(Object.keys(response?.content ?? {})).toEqual(["application/problem+json"]);
      }
    }
  });

  test("has the stream types, beside JSON where a path has both", () => {
    const events = described(catalogue.Watch);
    expect(Object.keys(events.responses["200"]?.content ?? {})).toEqual([
      "application/json",
      "text/event-stream",
    ]);
    expect(events.parameters.map(({ name }) => name)).toContain("Last-Event-ID");
    const logs = described(catalogue.Logs);
    expect(Object.keys(logs.responses["200"]?.content ?? {})).toEqual(["application/x-ndjson"]);
  });

  test("has no reference that leads nowhere, and no operation id twice", () => {
    const ids: unknown[] = [];
    let refs = 0;
    for (const [path, node] of nodes(document)) {
      if (node["operationId"] !== undefined) ids.push(node["operationId"]);
      if (typeof node["$ref"] !== "string") continue;
      refs += 1;
      expect([path, node["$ref"], resolve(node["$ref"]) !== undefined]).toEqual([
        path,
        node["$ref"],
        true,
      ]);
      expect(node["$ref"].startsWith("#/components/")).toBe(true);
    }
    expect(refs).toBeGreaterThan(20);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("replaces only recursive schemas that are any JSON", () => {
    for (const [, operation] of operations) {
      for (const schema of [operation.input, operation.output]) {
        const { $defs = {} } = z.toJSONSchema(schema, { io: "input" });
        for (const def of Object.values($defs)) expect(def.anyOf).toHaveLength(6);
      }
    }
  });

  test("asks for a token everywhere but at the health check", () => {
    expect(document.security).toEqual([{ token: [] }]);
    const open = [...nodes(document.paths)].filter(([, node]) => Array.isArray(node["security"]));
    expect(open.map(([, node]) => node["operationId"])).toEqual(["Health"]);
  });

  test("has examples that the operations accept", () => {
    const path = { service_id: "counter", name: "increment" };
    for (const [name, { input, output }] of Object.entries(EXAMPLES)) {
      const operation = catalogue[name as keyof typeof catalogue] as unknown as Operation;
      const inPath = Object.fromEntries(
        Object.entries(path).filter(([field]) => operation.http.path.includes(`{${field}}`)),
      );
      expect(operation.input.safeParse({ ...inPath, ...input }).error).toBeUndefined();
      expect(operation.output.safeParse(output).error).toBeUndefined();
    }
  });
});
