/** `solo config get|set|unset`: settings of the running kernel. */
import type { Json } from "#api/operation.ts";
import { operations } from "#client/operations.ts";
import type { CommandSpec } from "#cli/command-spec.ts";
import { printAnswer } from "#cli/print.ts";
import type { Session } from "#cli/session.ts";
import { jsonOrWord } from "#cli/values.ts";

async function set(session: Session, key: string, value?: Json): Promise<number> {
  const client = await session.client();
  const input = { key, ...(value !== undefined && { value }) };
  return printAnswer(session, "SetConfig", await client.setConfig(input, session.request));
}

const configGet: CommandSpec = {
  name: "config get",
  heading: "Kernel:",
  summary: operations.GetConfig.summary,
  positional: "[key]",
  examples: ["solo config get", "solo config get limits", "solo config get solo.log_level --json"],
  async run(session, { args: [key] }) {
    const client = await session.client();
    const answer = await client.getConfig(key === undefined ? {} : { key }, session.request);
    return printAnswer(session, "GetConfig", answer);
  },
};

const configSet: CommandSpec = {
  name: "config set",
  heading: "Kernel:",
  summary: operations.SetConfig.summary,
  description: operations.SetConfig.description,
  positional: "<key> <value>",
  examples: ["solo config set solo.log_level debug", "solo config set tenants.acme.mailbox 50"],
  run: (session, { args: [key = "", value = ""] }) => set(session, key, jsonOrWord(value)),
};

const configUnset: CommandSpec = {
  name: "config unset",
  heading: "Kernel:",
  summary: "Take back a setting that was changed while the kernel ran.",
  positional: "<key>",
  examples: ["solo config unset solo.log_level"],
  run: (session, { args: [key = ""] }) => set(session, key),
};

export const config: readonly CommandSpec[] = [configGet, configSet, configUnset];
