/** `solo state`: look at what a service keeps, carry it elsewhere, replace it. */
import { readFile, writeFile } from "node:fs/promises";
import { Option } from "commander";
import type { RawInputOf } from "#api/catalogue.ts";
import { EXIT } from "#base/errors.ts";
import { operations } from "#client/operations.ts";
import type { CommandSpec } from "#cli/command-spec.ts";
import { fieldOptions } from "#cli/field-options.ts";
import { printAnswer } from "#cli/print.ts";
import { printable } from "#cli/render/format.ts";
import { UsageError } from "#cli/usage-error.ts";
import { jsonObject } from "#cli/values.ts";

const getFields = fieldOptions("GetState", ["service_id"]);
const exportFields = fieldOptions("ExportState", ["service_id"]);
const importFields = fieldOptions("ImportState", ["service_id", "document"]);

export const getState: CommandSpec = {
  name: "state get",
  heading: "Services:",
  summary: operations.GetState.summary,
  description: operations.GetState.description,
  positional: "<service_id>",
  options: getFields.options,
  examples: ["solo state get counter", "solo state get counter --json"],
  async run(session, { args, options }) {
    const [service_id = ""] = args;
    const client = await session.client();
    const answer = await client.getState(
      { service_id, ...getFields.input(options) },
      session.request,
    );
    if (session.json) await session.out.json(answer);
    else await session.out.line(printable(JSON.stringify(answer.state, null, 2)));
    return EXIT.OK;
  },
};

export const exportState: CommandSpec = {
  name: "state export",
  heading: "Services:",
  summary: operations.ExportState.summary,
  description: `${operations.ExportState.summary} Printed, or written to --out; the document holds the state in clear.`,
  positional: "<service_id>",
  options: [
    ...exportFields.options,
    new Option("--out <file>", "Write the document to a file (mode 0600)."),
  ],
  examples: ["solo state export counter --out counter.state.json"],
  async run(session, { args, options }) {
    const [service_id = ""] = args;
    const client = await session.client();
    const { document } = await client.exportState(
      { service_id, ...exportFields.input(options) },
      session.request,
    );
    const out = options["out"];
    if (typeof out !== "string") {
      await session.out.json(document);
      return EXIT.OK;
    }
    await writeFile(session.path(out), `${JSON.stringify(document)}\n`, { mode: 0o600 });
    if (session.json) await session.out.json({ written: out });
    else await session.out.line(`${document.state.length} characters of state written to ${out}`);
    return EXIT.OK;
  },
};

export const importState: CommandSpec = {
  name: "state import",
  heading: "Services:",
  summary: operations.ImportState.summary,
  description: operations.ImportState.description,
  positional: "<service_id> <file>",
  options: importFields.options,
  examples: ["solo state import counter counter.state.json"],
  async run(session, { args, options }) {
    const [service_id = "", file = ""] = args;
    const text = await readFile(session.path(file), "utf8").catch((cause: unknown) => {
      const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
      throw new UsageError(`${file} cannot be read (${code}).`);
    });
    const client = await session.client();
    // What the document must hold is the catalogue's to say.
    const document = jsonObject(text, file) as RawInputOf<"ImportState">["document"];
    const input = { service_id, document, ...importFields.input(options) };
    return printAnswer(session, "ImportState", await client.importState(input, session.request));
  },
};
