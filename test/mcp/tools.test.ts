import type { JsonSchemaType } from "@modelcontextprotocol/client";
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/client/validators/ajv";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { catalogue, type OperationName } from "#api/catalogue.ts";
import { PAGE_NAMES } from "#mcp/pages.ts";
import { RESOURCES, TEMPLATES } from "#mcp/resources.ts";
import { listTools } from "#mcp/tool-box.ts";
import { NOT_TOOLS, toolName, TOOLS } from "#mcp/tools.ts";

const page = (name: string) =>
  readFileSync(new URL(`../../docs/${name}.md`, import.meta.url), "utf8");

describe("the tools", () => {
  it("every operation of the catalogue is one, or is said not to be and why", () => {
    const chosen = TOOLS.map(([name]) => name);
    const left = Object.keys(NOT_TOOLS);
    expect([...chosen, ...left].toSorted()).toEqual(Object.keys(catalogue).toSorted());
    expect(Object.values(NOT_TOOLS).filter((reason) => reason.length < 10)).toEqual([]);
  });

  it("none takes or gives the value of a secret", () => {
    const tools = new Set(listTools().map((tool) => tool.name));
    for (const name of ["StoreSecret", "RotateSecret", "RetrieveSecret"] as OperationName[]) {
      expect(tools.has(toolName(name))).toBe(false);
    }
  });

  it("have names of their own, a description a model can take in, and schemas that compile", () => {
    const validator = new AjvJsonSchemaValidator();
    const tools = listTools();
    expect(new Set(tools.map((tool) => tool.name)).size).toBe(tools.length);
    for (const { name, description = "", inputSchema, outputSchema } of tools) {
      expect(name).toMatch(/^[a-z]+(?:_[a-z]+)*$/);
      expect(description.length, name).toBeGreaterThan(15);
      expect(description.length, name).toBeLessThan(1_000);
      expect(() => validator.getValidator(inputSchema as JsonSchemaType), name).not.toThrow();
      if (outputSchema === undefined) continue;
      expect(() => validator.getValidator(outputSchema as JsonSchemaType), name).not.toThrow();
    }
  });

  it("say what they do to what is there", () => {
    const hints = new Map(listTools().map((tool) => [tool.name, tool.annotations]));
    expect(hints.get("status")).toMatchObject({ readOnlyHint: true, destructiveHint: false });
    expect(hints.get("kill")).toMatchObject({ readOnlyHint: false, destructiveHint: true });
    expect(hints.get("deploy")).toMatchObject({ readOnlyHint: false, destructiveHint: false });
    expect(hints.get("call")).toMatchObject({ readOnlyHint: false, openWorldHint: true });
    const wrong = TOOLS.filter(([name, choice]) => {
      const { http } = catalogue[name];
      return http.method === "GET" && choice.effect !== "reads";
    });
    expect(wrong).toEqual([]);
  });

  it("say a service's settings once: what repeats deploy's refers to it", () => {
    const inputs = new Map(listTools().map((tool) => [tool.name, tool.inputSchema]));
    const fields = (name: string) => Object.keys(inputs.get(name)?.properties ?? {});
    expect(fields("validate")).toEqual(fields("deploy"));
    expect(fields("update")).toEqual(expect.arrayContaining(fields("deploy")));
    expect(inputs.get("update")?.properties).toMatchObject({
      code: expect.objectContaining({ type: "string" }),
      limits: { type: "object", description: "As in deploy." },
    });
    expect(JSON.stringify([...inputs.values()]).length).toBeLessThan(50_000);
  });
});

describe("docs/mcp.md", () => {
  it("lists every tool and resource, and what is no tool", () => {
    const text = page("mcp");
    const named = [
      ...listTools().map((tool) => tool.name),
      ...RESOURCES.map((resource) => resource.uri),
      ...TEMPLATES.map((template) => template.uriTemplate),
      ...Object.keys(NOT_TOOLS),
    ].filter((name) => !text.includes(`\`${name}\``));
    expect(named).toEqual([]);
  });
});

describe("the pages an agent can read", () => {
  it("are there", () => {
    for (const name of PAGE_NAMES) expect(page(name).length, name).toBeGreaterThan(1_000);
  });
});
