/** `solo update`, `solo rollback` and `solo diff`: from one revision to another. */
import { Option } from "commander";
import type { OutputOf } from "#api/catalogue.ts";
import { EXIT } from "#base/errors.ts";
import { operations } from "#client/operations.ts";
import type { CommandSpec } from "#cli/command-spec.ts";
import {
  SOURCE,
  asDiagnostic,
  positional,
  printDeployed,
  readInput,
} from "#cli/commands/deploy.ts";
import { rolloutLine, strategyInput, strategyOptions } from "#cli/commands/rollout.ts";
import { specOptions } from "#cli/deploy-spec.ts";
import { fieldOptions } from "#cli/field-options.ts";
import { renderDiagnostic } from "#cli/render/error.ts";
import { humanDuration, printable } from "#cli/render/format.ts";
import type { Paint } from "#cli/render/paint.ts";
import type { Session } from "#cli/session.ts";

const TAKEN_BY_ROLLBACK = ["service_id", "revision"];
const changeFields = fieldOptions("Rollback", TAKEN_BY_ROLLBACK);
const watchdogOff = () =>
  new Option("--no-watchdog", "No probation: nothing is rolled back by itself.");

export const update: CommandSpec = {
  name: "update",
  heading: "Services:",
  summary: operations.Update.summary,
  description: `${operations.Update.summary} ${operations.Update.description}\n\n${SOURCE}`,
  positional,
  options: [...specOptions(), ...changeFields.options, ...strategyOptions(), watchdogOff()],
  examples: [
    "solo update counter.ts",
    "solo update counter.ts --strategy canary --steps 10,50 --pause 30s",
    "solo update --id counter --instances 3",
    'solo update counter.ts --message "count in tens" --dry-run',
  ],
  async run(session, given) {
    const source = await readInput(session, given, { doing: "updating", settingsAlone: true });
    const off = given.options["watchdog"] === false;
    const strategy = strategyInput(given.options);
    const input = {
      ...source,
      ...changeFields.input(given.options),
      ...(strategy !== undefined && { strategy }),
      ...(off && { watchdog: { ...source.watchdog, enabled: false } }),
    };
    const client = await session.client();
    return printUpdated(session, await client.update(input, session.request));
  },
};

export const rollback: CommandSpec = {
  name: "rollback",
  heading: "Services:",
  summary: operations.Rollback.summary,
  description: `${operations.Rollback.summary} ${operations.Rollback.description}`,
  positional: "<service_id>",
  options: [
    new Option("--to <revision>", operations.Rollback.fields["revision"]?.text),
    ...changeFields.options,
  ],
  examples: ["solo rollback counter", "solo rollback counter --to r_0123456789abcdef --dry-run"],
  async run(session, { args, options }) {
    const [service_id = ""] = args;
    const { to } = options;
    const input = {
      service_id,
      ...(typeof to === "string" && { revision: to }),
      ...changeFields.input(options),
    };
    const client = await session.client();
    return printUpdated(session, await client.rollback(input, session.request));
  },
};

export const diff: CommandSpec = {
  name: "diff",
  heading: "Services:",
  summary: operations.DiffRevisions.summary,
  description: `${operations.DiffRevisions.summary} Without revisions: from the one before to the current one.`,
  positional: "<service_id> [from] [to]",
  options: [],
  examples: ["solo diff counter", "solo diff counter r_0123456789abcdef r_fedcba9876543210"],
  async run(session, { args }) {
    const [service_id = "", from, to] = args;
    const input = {
      service_id,
      ...(from !== undefined && { from }),
      ...(to !== undefined && { to }),
    };
    const client = await session.client();
    const answer = await client.diffRevisions(input, session.request);
    if (session.json) await session.out.json(answer);
    else {
      for (const line of answer.diff === "" ? [] : answer.diff.split("\n")) {
        await session.out.line(painted(printable(line), session.paint));
      }
      for (const { path, before, after } of answer.settings) {
        await session.out.line(changed(path, before, after));
      }
      if (answer.diff === "" && answer.settings.length === 0) session.remark("no difference");
    }
    return EXIT.OK;
  },
};

function painted(line: string, paint: Paint): string {
  if (line.startsWith("+++") || line.startsWith("---")) return paint("bold", line);
  if (line.startsWith("+")) return paint("green", line);
  if (line.startsWith("-")) return paint("red", line);
  return line.startsWith("@@") ? paint("dim", line) : line;
}

const changed = (path: string, before = "nothing", after = "nothing"): string =>
  printable(`${path}: ${before} → ${after}`);

async function printUpdated(session: Session, answer: OutputOf<"Update">): Promise<number> {
  const { plan, pause_ms, probation_ms } = answer;
  if (plan !== undefined) return printPlan(session, answer, plan);
  const code = await printDeployed(session, answer);
  if (answer.unchanged === true && !session.json) {
    await session.out.line("  this revision was current already: nothing was swapped");
  }
  if (answer.rollout !== undefined) return printRollout(session, answer, answer.rollout);
  if (pause_ms !== undefined) {
    const watched =
      probation_ms === undefined ? "" : `; on probation for ${humanDuration(probation_ms)}`;
    session.remark(`messages waited ${humanDuration(pause_ms)} for the hand-over${watched}`);
  }
  return code;
}

async function printRollout(
  session: Session,
  { service_id }: OutputOf<"Update">,
  rollout: OutputOf<"GetRollout">,
): Promise<number> {
  if (!session.json) await session.out.line(`  ${rolloutLine(rollout)}`);
  session.remark(`watch it: solo rollout status ${service_id} --watch`);
  return EXIT.OK;
}

type Plan = NonNullable<OutputOf<"Update">["plan"]>;

async function printPlan(
  session: Session,
  answer: OutputOf<"Update">,
  plan: Plan,
): Promise<number> {
  const refused = plan.problems.length > 0;
  if (session.json) await session.out.json(answer);
  else {
    const { out, paint } = session;
    await out.line(
      `${printable(plan.from_revision)} → ${printable(answer.revision)} (dry run: nothing was changed)`,
    );
    for (const finding of plan.findings) {
      await out.line(renderDiagnostic(asDiagnostic(finding), paint));
    }
    for (const problem of plan.problems) await out.line(`problem: ${printable(problem)}`);
    for (const file of plan.files) await out.line(`file: ${printable(file)}`);
    for (const each of plan.settings)
      await out.line(`setting: ${changed(each.path, each.before, each.after)}`);
    for (const each of plan.authority) await out.line(`authority: ${printable(each)}`);
    for (const each of plan.state)
      await out.line(`state: ${changed(each.path, each.before, each.after)}`);
    if (!refused) await out.line(stateLine(plan, answer));
    const { stack, hint } = plan.refusal ?? {};
    if (stack !== undefined) await out.line(printable(stack));
    if (hint !== undefined) await out.line(`hint: ${printable(hint)}`);
    await out.line(
      refused
        ? `${paint("red", "not ok")}: it would be refused`
        : `${paint("green", "ok")}: it would be done`,
    );
  }
  return refused ? EXIT.FAILED : EXIT.OK;
}

function stateLine(plan: Plan, { revision, state }: OutputOf<"Update">): string {
  if (plan.from_revision === revision) return "revision: the same; nothing would change";
  if (plan.state_bytes !== undefined) return `state: ${plan.state_bytes} bytes, taken over`;
  return `state: not tried, since the service is ${state}`;
}
