/** `solo logs`: what a service wrote. */
import { Option } from "commander";
import type { OutputOf } from "#api/catalogue.ts";
import { EXIT } from "#base/errors.ts";
import { operations } from "#client/operations.ts";
import type { CommandSpec } from "#cli/command-spec.ts";
import { fieldOptions } from "#cli/field-options.ts";
import { oneLine, printable } from "#cli/render/format.ts";
import type { Ink } from "#cli/render/paint.ts";
import type { Session } from "#cli/session.ts";

type LogLine = OutputOf<"Logs">;

const INK: Readonly<Record<LogLine["level"], Ink>> = {
  debug: "dim",
  info: "cyan",
  warn: "yellow",
  error: "red",
};

const fields = fieldOptions("Logs", ["service_id", "follow"]);

function logLine({ at, level, text }: LogLine, { paint }: Session): string {
  const lead = `${paint("dim", oneLine(at))}  ${paint(INK[level] ?? "bold", oneLine(level).padEnd(5))}  `;
  return lead + printable(text).replaceAll("\n", "\n    ");
}

export const logs: CommandSpec = {
  name: "logs",
  heading: "Services:",
  summary: operations.Logs.summary,
  positional: "<service_id>",
  options: [new Option("-f, --follow", "Go on with what comes."), ...fields.options],
  examples: ["solo logs counter --limit 20", "solo logs counter -f"],
  async run(session, { args, options }) {
    const [service_id = ""] = args;
    const input = { service_id, follow: options["follow"] === true, ...fields.input(options) };
    const client = await session.client();
    for await (const line of client.logs(input, session.request)) {
      if (session.json) await session.out.json(line);
      else await session.out.line(logLine(line, session));
    }
    return EXIT.OK;
  },
};
