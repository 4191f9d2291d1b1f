/** Operations that reach a running service: call, cast, and what it logs. */
import { z } from "zod";
import { args, handlerName, serviceTarget, timeoutMs } from "#api/fields.ts";
import { field, json, stream, unary } from "#api/operation.ts";

const routingKey = z
  .string()
  .max(256)
  .optional()
  .describe("For a service whose routing is `key`: equal keys reach the same instance.");

export const call = unary({
  name: "Call",
  summary: "Send a request to a service and wait for its reply.",
  input: z.strictObject({
    ...serviceTarget,
    name: field(3, handlerName),
    args: field(4, args),
    timeout_ms: field(
      5,
      timeoutMs
        .optional()
        .describe("How long to wait; the service's call_timeout_ms unless given."),
    ),
    key: field(6, routingKey),
  }),
  output: z.strictObject({
    reply: field(1, json().describe("What the handler returned, as JSON.")),
  }),
  permission: "invoke",
  resource: (input) => `service:${input.service_id}`,
  call: ({ name, args: given = [] }) => ({ handler: `calls.${name}`, args: given }),
  errors: [
    "service_not_found",
    "handler_not_found",
    "service_error",
    "service_crashed",
    "outcome_unknown",
    "deadline_exceeded",
    "mailbox_full",
    "service_not_running",
    "service_quarantined",
    "payload_too_large",
  ],
  http: { method: "POST", path: "/services/{service_id}/calls/{name}" },
  cli: { command: "call", custom: true },
});

export const cast = unary({
  name: "Cast",
  summary: "Send a one-way message to a service.",
  input: z.strictObject({
    ...serviceTarget,
    name: field(3, handlerName),
    args: field(4, args),
    key: field(5, routingKey),
  }),
  output: z.strictObject({ accepted: field(1, z.boolean()) }),
  permission: "invoke",
  resource: (input) => `service:${input.service_id}`,
  call: ({ name, args: given = [] }) => ({ handler: `casts.${name}`, args: given }),
  errors: [
    "service_not_found",
    "handler_not_found",
    "mailbox_full",
    "service_not_running",
    "service_quarantined",
    "payload_too_large",
  ],
  http: { method: "POST", path: "/services/{service_id}/casts/{name}", status: 202 },
  cli: { command: "cast", custom: true },
});

export const logs = stream({
  name: "Logs",
  summary: "What the service logged, oldest first.",
  input: z.strictObject({
    ...serviceTarget,
    follow: field(3, z.boolean().optional().describe("Go on with new lines as they come.")),
    since: field(4, z.int().min(0).optional().describe("Lines after this sequence number.")),
    limit: field(
      5,
      z
        .uint32()
        .min(1)
        .max(10_000)
        .optional()
        .describe("Without since: the newest so many; 100 unless given."),
    ),
  }),
  output: z.strictObject({
    seq: field(1, z.int()),
    at: field(2, z.string()),
    level: field(3, z.enum(["debug", "info", "warn", "error"])),
    text: field(4, z.string()),
    instance_id: field(5, z.string()),
  }),
  permission: "read",
  resource: (input) => `service:${input.service_id}`,
  errors: ["service_not_found"],
  http: { method: "GET", path: "/services/{service_id}/logs", stream: "ndjson" },
  cli: { command: "logs", custom: true },
});
