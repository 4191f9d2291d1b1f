/** `solo events`: the event log, as it stands or as it grows. */
import { Option } from "commander";
import type { OutputOf } from "#api/catalogue.ts";
import { EXIT } from "#base/errors.ts";
import { operations } from "#client/operations.ts";
import type { CommandSpec } from "#cli/command-spec.ts";
import { fieldOptions } from "#cli/field-options.ts";
import { oneLine } from "#cli/render/format.ts";
import type { Session } from "#cli/session.ts";
import { UsageError } from "#cli/usage-error.ts";

type SoloEvent = OutputOf<"Watch">;

const listed = fieldOptions("ListEvents", ["newest_first"]);
const watched = fieldOptions("Watch", []);

function eventLine(event: SoloEvent, { paint }: Session): string {
  const { id, wall_clock, tenant_id, subject, event_type, payload } = event;
  const about = [tenant_id, subject].filter((part) => part !== null).join("/") || "system";
  return [
    paint("dim", String(id).padStart(6)),
    paint("dim", oneLine(wall_clock)),
    oneLine(about).padEnd(20),
    paint("bold", oneLine(event_type)),
    oneLine(JSON.stringify(payload)),
  ].join("  ");
}

const LISTING_ONLY = ["limit", "from", "to"];

async function follow(session: Session, options: Readonly<Record<string, unknown>>) {
  const misplaced = LISTING_ONLY.find((name) => options[name] !== undefined);
  if (misplaced !== undefined) {
    throw new UsageError(`--${misplaced} does not go with --follow.`, "Use --since-id to go back.");
  }
  const client = await session.client();
  for await (const event of client.watch(watched.input(options), session.request)) {
    if (session.json) await session.out.json(event);
    else await session.out.line(eventLine(event, session));
  }
  return EXIT.OK;
}

async function list(session: Session, options: Readonly<Record<string, unknown>>) {
  const client = await session.client();
  // Without a beginning people want the latest, and still in order.
  const latest = options["sinceId"] === undefined && options["from"] === undefined;
  const answer = await client.listEvents(
    { ...listed.input(options), ...(latest && { newest_first: true }) },
    session.request,
  );
  const events = latest ? answer.events.toReversed() : answer.events;
  if (session.json) await session.out.json({ ...answer, events });
  else for (const event of events) await session.out.line(eventLine(event, session));
  return EXIT.OK;
}

export const events: CommandSpec = {
  name: "events",
  heading: "Events:",
  summary: "The event log: the latest, a range, or with -f as it grows.",
  description: `The newest events, oldest first; with --since-id or --from, those after it.
With -f: ${operations.Watch.summary} Without --since-id it begins now.`,
  options: [new Option("-f, --follow", "Go on with what comes."), ...listed.options],
  examples: [
    "solo events --limit 20",
    "solo events -f --service-id counter",
    "solo events --since-id 1000 --event-type service_crashed --json",
  ],
  run: (session, { options }) =>
    options["follow"] === true ? follow(session, options) : list(session, options),
};
