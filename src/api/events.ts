/** Operations on the event log: query, follow, verify. */
import { z } from "zod";
import { eventId, tenantId } from "#api/fields.ts";
import { field, json, stream, unary } from "#api/operation.ts";

const filter = {
  tenant_id: field(1, tenantId),
  service_id: field(2, z.string().max(64).optional().describe("Only events about this service.")),
  event_type: field(
    3,
    z.string().max(512).optional().describe("Only these types, separated by commas."),
  ),
  since_id: field(4, eventId.optional().describe("Only events after this id.")),
};

const event = z.strictObject({
  id: field(1, eventId.describe("Dense, from 1, never reused.")),
  timestamp: field(
    2,
    z.string().describe("Monotonic nanoseconds within one run of the kernel, as a decimal string."),
  ),
  wall_clock: field(3, z.string().describe("UTC, ISO 8601.")),
  tenant_id: field(4, z.string().nullable().describe("Null for events of the system.")),
  event_type: field(5, z.string()),
  subject: field(
    6,
    z.string().nullable().describe("What the event is about: a service_id, as a rule."),
  ),
  payload: field(7, z.record(z.string(), json())),
  causation_id: field(8, eventId.nullable().describe("The event that led to this one.")),
  boot_id: field(
    9,
    z
      .string()
      .describe("The run of the kernel that recorded it; timestamps compare within one run."),
  ),
});

export const listEvents = unary({
  name: "ListEvents",
  summary: "Events in order, filtered.",
  input: z.strictObject({
    ...filter,
    limit: field(
      5,
      z.uint32().min(1).max(10_000).optional().describe("At most so many; 100 unless given."),
    ),
    from: field(6, z.iso.datetime().optional().describe("Not before this time, UTC.")),
    to: field(7, z.iso.datetime().optional().describe("Before this time, UTC.")),
    newest_first: field(
      8,
      z
        .boolean()
        .optional()
        .describe("true: the newest first, for what happened just now; oldest first unless given."),
    ),
  }),
  output: z.strictObject({
    events: field(1, z.array(event)),
    last_id: field(2, eventId.describe("The newest event's id in the whole log.")),
  }),
  permission: "read",
  resource: () => "events",
  errors: [],
  http: { method: "GET", path: "/events" },
  cli: { command: "events", custom: true },
});

export const watch = stream({
  name: "Watch",
  summary: "Events as they happen, after everything since since_id: none missed, none twice.",
  input: z.strictObject(filter),
  output: event,
  permission: "read",
  resource: () => "events",
  errors: [],
  http: { method: "GET", path: "/events", stream: "sse" },
});

export const verifyEvents = unary({
  name: "VerifyEvents",
  summary: "Check the hash chain of the event log; names the first broken event.",
  input: z.strictObject({ from_id: field(1, eventId.optional()) }),
  output: z.strictObject({
    ok: field(1, z.boolean()),
    checked: field(2, z.int()),
    first_broken: field(3, eventId.optional()),
    why: field(4, z.string().optional()),
  }),
  permission: "read",
  resource: () => "events",
  scope: "kernel",
  errors: ["storage_corrupt"],
  http: { method: "POST", path: "/events/verify" },
  cli: { command: "verify" },
});
