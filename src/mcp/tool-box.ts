/** The tools as a client sees them, and what a call of one comes to. */
import type { CallToolResult, Tool } from "@modelcontextprotocol/server";
import { catalogue, type OperationName } from "#api/catalogue.ts";
import type { Operation } from "#api/operation.ts";
import { SoloError } from "#base/errors.ts";
import { toolAnswer, toolRefusal } from "#mcp/answer.ts";
import { collected, type Caller } from "#mcp/caller.ts";
import type { McpLimits } from "#mcp/limits.ts";
import { isPage, PAGE_NAMES, PAGES, type ReadPage } from "#mcp/pages.ts";
import { abbreviated, collectedSchema, inputSchema, outputSchema } from "#mcp/schema.ts";
import { toolName, TOOLS, type Effect, type ToolChoice } from "#mcp/tools.ts";

export interface ToolCall {
  readonly input: Readonly<Record<string, unknown>>;
  readonly caller: Caller;
  readonly readPage: ReadPage;
  readonly limits: McpLimits;
  readonly signal: AbortSignal;
  /** Anything thrown, as a refusal; what nobody foresaw is kept where the operator looks. */
  readonly report: (thrown: unknown) => SoloError;
}

interface Entry {
  readonly tool: Tool;
  readonly run: (call: ToolCall) => Promise<CallToolResult>;
}

const READ_DOCS = "read_docs";

/** Undefined for a name that is no tool's. A refusal is an answer, too. */
export async function callTool(name: string, call: ToolCall): Promise<CallToolResult | undefined> {
  const entry = toolBox().get(name);
  if (entry === undefined) return undefined;
  try {
    return await entry.run(call);
  } catch (thrown) {
    return toolRefusal(call.report(thrown), call.limits.answerChars);
  }
}

/** In a fixed order, so that what a model was told stays valid. */
export const listTools = (): Tool[] => [...toolBox().values()].map(({ tool }) => tool);

let box: ReadonlyMap<string, Entry> | undefined;

/** Made once: the schemas do not change while the process runs. */
function toolBox(): ReadonlyMap<string, Entry> {
  box ??= new Map(
    [readDocs, ...TOOLS.map(([name, choice]) => entryOf(name, choice))].map((entry) => [
      entry.tool.name,
      entry,
    ]),
  );
  return box;
}

function entryOf(name: OperationName, choice: ToolChoice): Entry {
  const operation: Operation = catalogue[name];
  const { collect } = choice;
  const sentences = [operation.summary, operation.description, choice.note];
  return {
    tool: {
      name: toolName(name),
      description: sentences.filter((each) => each !== undefined).join(" "),
      inputSchema: inputOf(operation, choice),
      outputSchema:
        collect === undefined
          ? outputSchema(operation.output)
          : collectedSchema(collect, operation.output),
      annotations: annotationsOf(choice.effect, operation),
    },
    run: async ({ input, caller, limits, signal }) => {
      const stray = choice.without?.find((field) => field in input);
      if (stray !== undefined) throw strayField(stray);
      const maxChars = limits.answerChars;
      if (collect === undefined) {
        const output = (await caller.call(name, input, signal)) as object;
        return toolAnswer(output, { maxChars, operation });
      }
      const items = await collected(caller.stream(name, input, signal));
      // What goes on from a place is read from there; else the newest is what counts.
      const keep = input["since"] === undefined ? "last" : "first";
      return toolAnswer({ [collect]: items }, { maxChars, operation, keep });
    },
  };
}

function inputOf({ input }: Operation, { like, without }: ToolChoice): Tool["inputSchema"] {
  const schema = inputSchema(input, without);
  if (like === undefined) return schema;
  return abbreviated(schema, {
    name: toolName(like),
    schema: inputSchema(catalogue[like].input),
  });
}

const readDocs: Entry = {
  tool: {
    name: READ_DOCS,
    description: `Read a page of Solo's documentation, as Markdown. Start with \`services\` before writing one. ${PAGE_NAMES.map((page) => `${page}: ${PAGES[page]}`).join(" ")}`,
    inputSchema: {
      type: "object",
      properties: { page: { type: "string", enum: [...PAGE_NAMES] } },
      required: ["page"],
      additionalProperties: false,
    },
    annotations: annotationsFor("reads", true),
  },
  run: async ({ input, readPage }) => {
    const { page } = input;
    if (!isPage(page)) {
      const message = `must be one of ${PAGE_NAMES.join(", ")}`;
      throw new SoloError("invalid_argument", `page ${message}.`, {
        fields: [{ field: "page", message }],
      });
    }
    return { content: [{ type: "text", text: await readPage(page) }] };
  },
};

const strayField = (field: string): SoloError =>
  new SoloError("invalid_argument", `${field} is not a field of this tool.`, {
    fields: [{ field, message: "is not a field of this tool" }],
  });

const annotationsOf = (effect: Effect, { http }: Operation): Tool["annotations"] =>
  annotationsFor(effect, effect === "reads" || http.method === "PUT" || http.method === "DELETE");

/** What a service does with a call is its own business: anything, anywhere. */
function annotationsFor(effect: Effect, repeatable: boolean): Tool["annotations"] {
  return {
    readOnlyHint: effect === "reads",
    destructiveHint: effect === "changes" || effect === "invokes",
    idempotentHint: repeatable,
    openWorldHint: effect === "invokes",
  };
}
