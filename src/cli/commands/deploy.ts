/** `solo deploy` and `solo validate`: source code in. */
import { readFile } from "node:fs/promises";
import type { OutputOf, RawInputOf } from "#api/catalogue.ts";
import { EXIT, type Diagnostic } from "#base/errors.ts";
import { operations } from "#client/operations.ts";
import type { CommandSpec, Given } from "#cli/command-spec.ts";
import { type SpecFlags, deployInput, specOptions } from "#cli/deploy-spec.ts";
import { printAnswer } from "#cli/print.ts";
import { renderDiagnostic } from "#cli/render/error.ts";
import { humanDuration, oneLine, printable } from "#cli/render/format.ts";
import { record } from "#cli/render/record.ts";
import { paintState } from "#cli/render/table.ts";
import type { Session } from "#cli/session.ts";
import { UsageError } from "#cli/usage-error.ts";
import { jsonObject } from "#cli/values.ts";

export const SOURCE = `The source is a file (.ts, .mts, .js, .mjs), a directory (every such file and .json
below it, without node_modules, dotfiles and links) or - for standard input.`;

async function readSpec(session: Session, file: string): Promise<Partial<RawInputOf<"Deploy">>> {
  const text = await readFile(session.path(file), "utf8").catch((cause: unknown) => {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
    throw new UsageError(`${file} cannot be read (${code}).`);
  });
  return jsonObject(text, file);
}

/** `settingsAlone`: a service that is named may go without a source, and keeps the one it has. */
export async function readInput(
  session: Session,
  { args, options }: Given,
  { doing, settingsAlone = false }: { readonly doing: string; readonly settingsAlone?: boolean },
) {
  const flags: SpecFlags = options;
  const [path] = args;
  const spec = flags.spec === undefined ? {} : await readSpec(session, flags.spec);
  const hasSource = path !== undefined || spec.code !== undefined || spec.files !== undefined;
  const isNamed = flags.id !== undefined || spec.service_id !== undefined;
  if (!hasSource && !(settingsAlone && isNamed)) {
    throw new UsageError(
      "There is no source.",
      `Name a file, a directory, or - for standard input${settingsAlone ? "; with --id alone only settings change" : ""}.`,
    );
  }
  // Only `solo deploy` of a file needs the reader.
  const { readSource } = await import("#cli/source.ts");
  const source =
    path === undefined
      ? undefined
      : await readSource({
          path: path === "-" ? path : session.path(path),
          entry: flags.entry ?? spec.entry,
          stdin: session.powers.stdin,
        });
  const input = deployInput({ flags, spec, source });
  session.remark(`${doing} ${input.service_id} (${source?.what ?? flags.spec ?? "settings"}) …`);
  return input;
}

type Finding = OutputOf<"Validate">["findings"][number];

export const asDiagnostic = ({ fix, end_line, end_column, ...finding }: Finding): Diagnostic => ({
  ...finding,
  ...(fix !== undefined && { fix }),
  ...(end_line !== undefined && { end_line }),
  ...(end_column !== undefined && { end_column }),
});

export async function printDeployed(session: Session, answer: OutputOf<"Deploy">): Promise<number> {
  if (session.json) {
    await session.out.json(answer);
    return EXIT.OK;
  }
  const { service_id, state, revision, instance_id, started_in_ms, warnings = [] } = answer;
  const { paint } = session;
  for (const finding of warnings) {
    await session.out.line(renderDiagnostic(asDiagnostic(finding), paint));
  }
  await session.out.line(
    `${paint("bold", printable(service_id))} is ${paintState(paint, state)} after ${humanDuration(started_in_ms)}`,
  );
  await session.out.line(record({ revision, instance_id }, paint).replace(/^/gm, "  "));
  session.remark(`look at it: solo status ${service_id} · solo logs ${service_id} -f`);
  return EXIT.OK;
}

async function printFindings(session: Session, answer: OutputOf<"Validate">): Promise<number> {
  if (session.json) return printAnswer(session, "Validate", answer);
  const { ok, revision, findings, problems, allowed = [] } = answer;
  const { out, paint } = session;
  for (const finding of findings) await out.line(renderDiagnostic(asDiagnostic(finding), paint));
  for (const problem of problems) await out.line(`problem: ${printable(problem)}`);
  for (const { code, file, line, reason } of allowed) {
    await out.line(
      `${paint("bold", `${oneLine(file)}:${line}`)} allowed[${oneLine(code)}]: ${oneLine(reason)}`,
    );
  }
  const warnings = findings.filter(({ severity }) => severity === "warning").length;
  const counted = warnings === 0 ? "" : `, with ${plural(warnings, "warning")}`;
  await out.line(
    ok
      ? `${paint("green", "ok")}: a deploy would be accepted${revision === undefined ? "" : ` as ${printable(revision)}`}${counted}`
      : `${paint("red", "not ok")}: a deploy would be refused`,
  );
  return ok ? EXIT.OK : EXIT.FAILED;
}

const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;

export const positional = "[file_or_directory]";
const describe = (summary: string, more = ""): string => `${summary} ${more}\n\n${SOURCE}`;

export const deploy: CommandSpec = {
  name: "deploy",
  heading: "Services:",
  summary: operations.Deploy.summary,
  description: describe(operations.Deploy.summary, operations.Deploy.description),
  positional,
  options: specOptions(),
  examples: [
    "solo deploy counter.ts",
    "solo deploy ./shop --id shop --persistence durable --env REGION=eu",
    "cat counter.ts | solo deploy - --id counter",
  ],
  async run(session, given) {
    const input = await readInput(session, given, { doing: "deploying" });
    const client = await session.client();
    return printDeployed(session, await client.deploy(input, session.request));
  },
};

export const validate: CommandSpec = {
  name: "validate",
  heading: "Services:",
  summary: operations.Validate.summary,
  description: describe(operations.Validate.summary, "Exit code 1 when it would be refused."),
  positional,
  options: specOptions(),
  examples: ["solo validate counter.ts --json"],
  async run(session, given) {
    const input = await readInput(session, given, { doing: "checking" });
    const client = await session.client();
    return printFindings(session, await client.validate(input, session.request));
  },
};
