/** Two beginnings of a conversation: write a service, find out why one crashes. */
import { SoloError } from "#base/errors.ts";
import { readResource, type ReadOptions, type ResourceText } from "#mcp/resources.ts";

interface PromptArgument {
  readonly name: string;
  readonly description: string;
  readonly required: boolean;
}

interface PromptSpec {
  readonly name: string;
  readonly description: string;
  readonly arguments: readonly PromptArgument[];
  readonly text: (given: Readonly<Record<string, string>>) => string;
  /** What the model is given to read with it. */
  readonly resources: (given: Readonly<Record<string, string>>) => readonly string[];
}

export interface PromptMessage {
  readonly role: "user";
  readonly content:
    | { readonly type: "text"; readonly text: string }
    | { readonly type: "resource"; readonly resource: ResourceText };
}

export const PROMPTS: readonly PromptSpec[] = [
  {
    name: "write_service",
    description: "Write a service, check it, deploy it and try it.",
    arguments: [{ name: "purpose", description: "What the service is to do.", required: true }],
    text: ({ purpose }) => `Write a Solo service for this purpose: ${purpose}

The guide to services is attached. Work in this order:
1. Write one TypeScript module. Give it durable persistence only if it must survive a crash.
2. validate it; fix every diagnostic.
3. deploy it under a short service_id that says what it is.
4. call its handlers; compare each reply with what the purpose asks for.
5. On an error read its code, detail and hint, then logs and list_events of the service; fix with update.
Say at the end which calls it has, and what you tried.`,
    resources: () => ["solo://docs/services"],
  },
  {
    name: "diagnose_crash",
    description: "Find out why a service crashes, and mend it.",
    arguments: [{ name: "service_id", description: "The service's name.", required: true }],
    text: ({
      service_id,
    }) => `The Solo service ${service_id} crashes or misbehaves. Its status and its newest log lines are attached.

1. Read last_crash and the stack in the status, and the log lines before it.
2. list_events with this service_id, newest_first: what happened before, an update perhaps?
3. list_revisions and get_revision show the source; diff_revisions what changed last.
4. Name the cause in one sentence, with the place in the source.
5. If the last update brought it, rollback. Otherwise mend the source, validate it, update.
6. Watch status and logs afterwards: restarts must not go on rising.`,
    resources: ({ service_id = "" }) => {
      const service = `solo://services/${encodeURIComponent(service_id)}`;
      return [service, `${service}/logs`];
    },
  },
];

/** Throws a SoloError: `not_found` for another name, `invalid_argument` for a missing argument. */
export async function promptMessages(
  name: string,
  given: Readonly<Record<string, string>>,
  options: ReadOptions,
): Promise<PromptMessage[]> {
  const prompt = PROMPTS.find((each) => each.name === name);
  if (prompt === undefined) {
    throw new SoloError("not_found", `There is no prompt ${name.slice(0, 100)}.`, {
      hint: `There are ${PROMPTS.map((each) => each.name).join(" and ")}.`,
    });
  }
  const missing = prompt.arguments.filter((each) => (given[each.name] ?? "") === "");
  if (missing.length > 0) {
    throw new SoloError(
      "invalid_argument",
      `${missing.map((each) => each.name).join(", ")} is missing.`,
      {
        fields: missing.map((each) => ({ field: each.name, message: "is missing" })),
      },
    );
  }
  const resources = await Promise.all(
    prompt.resources(given).map((uri) => readResource(uri, options)),
  );
  return [
    { role: "user", content: { type: "text", text: prompt.text(given) } },
    ...resources.map((resource) => ({
      role: "user" as const,
      content: { type: "resource" as const, resource },
    })),
  ];
}
