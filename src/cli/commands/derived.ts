/** The commands that the catalogue describes completely: arguments, options and answer. */
import type { OperationName } from "#api/catalogue.ts";
import { methodName, operations } from "#client/operations.ts";
import type { CommandSpec, Heading } from "#cli/command-spec.ts";
import { fieldOptions } from "#cli/field-options.ts";
import { printAnswer } from "#cli/print.ts";
import type { Row } from "#cli/render/table.ts";
import type { Session } from "#cli/session.ts";

type Send = (input: Row, options: Session["request"]) => Promise<Row>;

const isRest = (field: string): boolean => field.endsWith("...");

/** Fills fields from positional arguments; `field...` takes the rest. */
function positionalInput(fields: readonly string[], args: readonly string[]): Row {
  return Object.fromEntries(
    fields.map((field, at) =>
      isRest(field) ? [field.slice(0, -3), args.slice(at)] : [field, args[at]],
    ),
  );
}

export function derived(
  name: OperationName,
  heading: Heading,
  examples: readonly string[],
): CommandSpec {
  const { summary, description, cli } = operations[name];
  if (cli === undefined) throw new TypeError(`${name} has no command-line hints.`);
  const { command, positional = [] } = cli;
  const fields = fieldOptions(
    name,
    positional.map((field) => field.replace(/\.\.\.$/, "")),
  );
  return {
    name: command,
    heading,
    summary,
    description,
    positional: positional.map((field) => `<${field}>`).join(" "),
    options: fields.options,
    examples,
    async run(session, { args, options }) {
      const client = await session.client();
      // The method follows from a row of the catalogue; what it takes is refused by the kernel.
      const send = client[methodName(name)] as unknown as Send;
      const input = { ...positionalInput(positional, args), ...fields.input(options) };
      return printAnswer(session, name, await send(input, session.request));
    },
  };
}
