/** `solo rollout …`, and the options of an update that begins one. */
import { InvalidArgumentError, Option } from "commander";
import type { OutputOf, RawInputOf } from "#api/catalogue.ts";
import { EXIT } from "#base/errors.ts";
import { pause } from "#base/deadline.ts";
import { operations } from "#client/operations.ts";
import type { CommandSpec } from "#cli/command-spec.ts";
import { derived } from "#cli/commands/derived.ts";
import { printAnswer } from "#cli/print.ts";
import { printable } from "#cli/render/format.ts";
import type { Session } from "#cli/session.ts";
import { UsageError } from "#cli/usage-error.ts";
import { duration, integer } from "#cli/values.ts";

type Strategy = NonNullable<RawInputOf<"Update">["strategy"]>;
type Step = NonNullable<Strategy["steps"]>[number];
export type Rollout = OutputOf<"GetRollout">;

const WATCH_MS = 500;
const TYPES = ["hot_swap", "rolling", "canary", "blue_green"] as const;
const OVER: ReadonlySet<string> = new Set(["promoted", "rolled_back"]);

/** `10,50` or `10:30s,50:2m`. */
function steps(text: string): Step[] {
  return text.split(",").map((each) => {
    const [, percent, wait] = /^(\d{1,2})%?(?::(\w+))?$/.exec(each.trim()) ?? [];
    if (percent === undefined) {
      throw new InvalidArgumentError("Expected shares in per cent, such as 10,50 or 10:30s,50:2m.");
    }
    return {
      percent: Number(percent),
      ...(wait !== undefined && { pause_ms: duration(wait) }),
    };
  });
}

export const strategyOptions = (): Option[] => [
  new Option(
    "--strategy <kind>",
    "How the new revision takes over; a hot swap unless given.",
  ).choices(TYPES),
  new Option(
    "--steps <list>",
    "canary: rising shares of the messages, such as 10,50 or 10:30s,50:2m.",
  ).argParser(steps),
  new Option("--pause <duration>", "rolling, canary: how long each step is watched.").argParser(
    duration,
  ),
  new Option("--keep <duration>", "blue_green: how long the old revision is kept ready.").argParser(
    duration,
  ),
  new Option("--split <kind>", "canary: messages go by weight or by their key.").choices([
    "weight",
    "key",
  ]),
  new Option("--max-surge <n>", "rolling: instances that move at the same time.").argParser(
    integer,
  ),
  new Option("--max-unavailable <n>", "rolling: so many more at the same time.").argParser(integer),
  new Option("--min-requests <n>", "Messages that a step waits for.").argParser(integer),
  new Option("--manual", "Each step waits for resume, promote or abort."),
];

interface StrategyFlags {
  readonly strategy?: Strategy["type"];
  readonly steps?: Step[];
  readonly pause?: number;
  readonly keep?: number;
  readonly split?: "weight" | "key";
  readonly maxSurge?: number;
  readonly maxUnavailable?: number;
  readonly minRequests?: number;
  readonly manual?: boolean;
}

/** What the options say; nothing of them: undefined. */
export function strategyInput(flags: StrategyFlags): Strategy | undefined {
  const { strategy: type } = flags;
  const fields = {
    steps: flags.steps,
    pause_ms: flags.pause,
    keep_ms: flags.keep,
    split: flags.split,
    max_surge: flags.maxSurge,
    max_unavailable: flags.maxUnavailable,
    min_requests: flags.minRequests,
    manual: flags.manual,
  };
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  if (type !== undefined) return { type, ...(Object.fromEntries(given) as Partial<Strategy>) };
  if (given.length === 0) return undefined;
  throw new UsageError(
    "These options go with a strategy.",
    "Name it with --strategy rolling, canary or blue_green.",
  );
}

/** `canary step 1 of 2: 10 % of the messages, slots 0 · observing`. */
export function rolloutLine(rollout: Rollout): string {
  const { strategy, step, steps: all, percent, slots, phase, reason } = rollout;
  const share = percent === undefined ? "" : `${percent} % of the messages, `;
  const where = slots.length === 0 ? "no slot" : `slot ${slots.join(", ")}`;
  const why = reason === undefined ? "" : ` (${reason})`;
  return printable(
    `${strategy} step ${step} of ${all}: ${share}${where} on the new revision · ${phase}${why}`,
  );
}

const status: CommandSpec = {
  name: "rollout status",
  heading: "Services:",
  summary: operations.GetRollout.summary,
  description: `${operations.GetRollout.summary} With --watch it ends with the rollout: 0 when it was promoted, 1 when it was rolled back.`,
  positional: "<service_id>",
  options: [new Option("--watch", "A line for each change until the rollout is over.")],
  examples: ["solo rollout status counter", "solo rollout status counter --watch"],
  async run(session, { args, options }) {
    const [service_id = ""] = args;
    if (options["watch"] === true) return watch(session, service_id);
    const client = await session.client();
    return printAnswer(
      session,
      "GetRollout",
      await client.getRollout({ service_id }, session.request),
    );
  },
};

async function watch(session: Session, service_id: string): Promise<number> {
  const client = await session.client();
  let last = "";
  while (!session.signal.aborted) {
    const rollout = await client.getRollout({ service_id }, session.request);
    const line = session.json ? JSON.stringify(rollout) : rolloutLine(rollout);
    if (line !== last) await (session.json ? session.out.json(rollout) : session.out.line(line));
    last = line;
    if (OVER.has(rollout.phase)) return rollout.phase === "promoted" ? EXIT.OK : EXIT.FAILED;
    await pause(WATCH_MS, session.signal);
  }
  return EXIT.OK;
}

export const rollout: readonly CommandSpec[] = [
  status,
  derived("PauseRollout", "Services:", ["solo rollout pause counter"]),
  derived("ResumeRollout", "Services:", ["solo rollout resume counter"]),
  derived("PromoteRollout", "Services:", ["solo rollout promote counter"]),
  derived("AbortRollout", "Services:", ["solo rollout abort counter"]),
];
