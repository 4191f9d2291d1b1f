/** `solo call` and `solo cast`: messages to a service. */
import { Option } from "commander";
import { EXIT } from "#base/errors.ts";
import { operations } from "#client/operations.ts";
import type { CommandSpec, Given } from "#cli/command-spec.ts";
import { fieldOptions } from "#cli/field-options.ts";
import { printable } from "#cli/render/format.ts";
import { UsageError } from "#cli/usage-error.ts";
import { jsonArray, jsonOrWord } from "#cli/values.ts";

const ARGUMENTS = `Each argument is read as JSON; what is not JSON is taken as text, so that
  solo call greeter hello Ada '{"loud": true}' 3
passes "Ada", an object and a number. Text that begins with {, [ or " must be
JSON. For exact arguments use --args-json; for one that begins with -- put -- first.`;

const positional = "<service_id> <name> [args...]";
const argsJson = () =>
  new Option("--args-json <array>", "The arguments exactly: one JSON array.").argParser(jsonArray);

function message({ args, options }: Given) {
  const [service_id = "", name = "", ...words] = args;
  const exact = options["argsJson"];
  if (exact !== undefined && words.length > 0) {
    throw new UsageError("Give the arguments as words or as --args-json, not both.");
  }
  return {
    service_id,
    name,
    args: Array.isArray(exact) ? exact : words.map(jsonOrWord),
  };
}

const callFields = fieldOptions("Call", ["service_id", "name", "args"]);
const castFields = fieldOptions("Cast", ["service_id", "name", "args"]);

export const call: CommandSpec = {
  name: "call",
  heading: "Services:",
  summary: operations.Call.summary,
  description: `${operations.Call.summary}\n\n${ARGUMENTS}`,
  positional,
  options: [argsJson(), ...callFields.options],
  examples: ["solo call counter increment 5", "solo call counter get --json"],
  async run(session, given) {
    const input = { ...message(given), ...callFields.input(given.options) };
    const client = await session.client();
    const answer = await client.call(input, session.request);
    const { reply } = answer;
    if (session.json) await session.out.json(answer);
    else if (typeof reply === "string") await session.out.line(printable(reply));
    else await session.out.line(printable(JSON.stringify(reply, null, 2)));
    return EXIT.OK;
  },
};

export const cast: CommandSpec = {
  name: "cast",
  heading: "Services:",
  summary: operations.Cast.summary,
  description: `${operations.Cast.summary}\n\n${ARGUMENTS}`,
  positional,
  options: [argsJson(), ...castFields.options],
  examples: ["solo cast counter reset"],
  async run(session, given) {
    const input = { ...message(given), ...castFields.input(given.options) };
    const client = await session.client();
    const answer = await client.cast(input, session.request);
    if (session.json) await session.out.json(answer);
    else await session.out.line("accepted");
    return EXIT.OK;
  },
};
