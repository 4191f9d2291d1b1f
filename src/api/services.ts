/** Operations on services: deploy, change, look at, kill. */
import { z } from "zod";
import { serviceTarget, tenantId, timeoutMs } from "#api/fields.ts";
import { field, unary } from "#api/operation.ts";
import { rollout, strategy } from "#api/rollouts.ts";
import { change, spec } from "#api/service-spec.ts";
import { SERVICE_STATES, status } from "#api/service-status.ts";

const finding = z.strictObject({
  code: field(1, z.string()),
  severity: field(2, z.enum(["error", "warning"])),
  message: field(3, z.string()),
  file: field(4, z.string()),
  line: field(5, z.uint32()),
  column: field(6, z.uint32()),
  excerpt: field(7, z.string()),
  explanation: field(8, z.string()),
  fix: field(9, z.string().optional()),
  end_line: field(10, z.uint32().optional().describe("Just after the last character.")),
  end_column: field(11, z.uint32().optional()),
});

const deployed = z.strictObject({
  tenant_id: field(1, z.string()),
  service_id: field(2, z.string()),
  revision: field(3, z.string().describe("Content address of the code and settings that run now.")),
  state: field(4, z.enum(SERVICE_STATES)),
  instance_id: field(5, z.string().describe("The running copy; never reused.")),
  started_in_ms: field(
    6,
    z.number().describe("From the request's arrival to ready, milliseconds."),
  ),
  warnings: field(
    12,
    z.array(finding).optional().describe("What static analysis found in source that is new."),
  ),
});

export const difference = z
  .strictObject({
    path: field(1, z.string()),
    before: field(2, z.string().optional()),
    after: field(3, z.string().optional()),
  })
  .meta({ title: "Difference" });

const plan = z.strictObject({
  from_revision: field(1, z.string()),
  problems: field(
    2,
    z.array(z.string()).describe("Why it would be refused; empty: it would be done."),
  ),
  findings: field(3, z.array(finding)),
  files: field(4, z.array(z.string()).describe("`added path`, `removed path`, `changed path`.")),
  settings: field(5, z.array(difference).describe("By path in a deploy request; values as JSON.")),
  state: field(
    6,
    z
      .array(difference)
      .describe("Parts of the state that come, go or change their type through codeChange."),
  ),
  state_bytes: field(
    7,
    z.int().optional().describe("The migrated state, encoded; absent when it was not tried."),
  ),
  authority: field(
    8,
    z
      .array(z.string())
      .describe("`gains permission resource`, `loses permission resource`: beyond its own."),
  ),
  refusal: field(
    9,
    z
      .strictObject({
        code: field(1, z.string()),
        detail: field(2, z.string()),
        hint: field(3, z.string().optional()),
        stack: field(4, z.string().optional().describe("In the new source, if that threw.")),
      })
      .meta({ title: "PlannedRefusal" })
      .optional()
      .describe("The first problem, as the update would be answered."),
  ),
});

export const updated = deployed.extend({
  pause_ms: field(
    7,
    z.number().optional().describe("How long messages waited for the hand-over, milliseconds."),
  ),
  state_bytes: field(8, z.int().optional().describe("The state handed over, encoded.")),
  probation_ms: field(
    9,
    z.int().optional().describe("How long the watchdog looks at the new revision from now on."),
  ),
  plan: field(10, plan.optional().describe("Of a dry run: what would happen.")),
  rollout: field(
    11,
    rollout
      .optional()
      .describe("That has begun; `revision` is the current one until it is promoted."),
  ),
  unchanged: field(
    13,
    z
      .boolean()
      .optional()
      .describe(
        "The revision asked for is current already: no hand-over, no rollout, no entry in the history.",
      ),
  ),
});

export const deploy = unary({
  name: "Deploy",
  summary: "Start source code as a supervised service.",
  description:
    "Checks, compiles and starts the source; answers when the service is ready and its deployment is on disk. Any failure leaves nothing behind.",
  input: z.strictObject(spec),
  output: deployed,
  permission: "deploy",
  resource: () => "kernel",
  errors: [
    "invalid_argument",
    "already_exists",
    "compile_failed",
    "analysis_refused",
    "startup_failed",
    "startup_timeout",
    "limit_exceeded",
    "payload_too_large",
    "overloaded",
  ],
  http: { method: "POST", path: "/services", status: 201, location: "/services/{service_id}" },
  cli: { command: "deploy", custom: true },
});

export const update = unary({
  name: "Update",
  summary: "Replace a running service's code and keep its state (hot swap).",
  description:
    "The new revision starts beside the old one with `codeChange(oldState, from)`; only when it is ready does it take over. Any failure leaves the old revision serving. Afterwards it is on probation: a regression brings the old revision back.",
  input: z.strictObject({ ...spec, ...change, strategy: field(23, strategy.optional()) }),
  output: updated,
  permission: "deploy",
  resource: (input) => `service:${input.service_id}`,
  errors: [
    "invalid_argument",
    "service_not_found",
    "compile_failed",
    "analysis_refused",
    "startup_failed",
    "startup_timeout",
    "conflict",
    "overloaded",
  ],
  http: { method: "PUT", path: "/services/{service_id}" },
  cli: { command: "update", custom: true },
});

const allowed = z.strictObject({
  code: field(1, z.string()),
  file: field(2, z.string()),
  line: field(3, z.uint32()),
  reason: field(4, z.string()),
});

export const validate = unary({
  name: "Validate",
  summary: "Everything a deploy would check, with nothing started.",
  input: z.strictObject(spec),
  output: z.strictObject({
    ok: field(1, z.boolean()),
    revision: field(2, z.string().optional().describe("The revision a deploy would make.")),
    findings: field(3, z.array(finding)),
    problems: field(
      4,
      z.array(z.string()).describe("What a deploy would be refused for, beside the findings."),
    ),
    allowed: field(
      5,
      z
        .array(allowed)
        .optional()
        .describe("Findings that `solo-allow` comments in the source allow."),
    ),
  }),
  permission: "deploy",
  resource: () => "kernel",
  errors: ["invalid_argument", "payload_too_large"],
  http: { method: "POST", path: "/validate" },
  cli: { command: "validate", custom: true },
});

export const kill = unary({
  name: "Kill",
  summary: "Stop a service and forget that it should run.",
  input: z.strictObject({
    ...serviceTarget,
    force: field(3, z.boolean().optional().describe("At once, without terminate.")),
    timeout_ms: field(
      4,
      timeoutMs
        .optional()
        .describe("Time for what is in flight and for terminate; then it is forced."),
    ),
  }),
  output: z.strictObject({
    tenant_id: field(1, z.string()),
    service_id: field(2, z.string()),
    state: field(3, z.enum(SERVICE_STATES)),
    forced: field(4, z.boolean().describe("Whether the instance had to be killed.")),
  }),
  permission: "deploy",
  resource: (input) => `service:${input.service_id}`,
  errors: ["service_not_found"],
  http: { method: "DELETE", path: "/services/{service_id}", status: 202 },
  cli: { command: "kill", positional: ["service_id"] },
});

export const restart = unary({
  name: "Restart",
  summary: "Stop the instance and start a new one of the same revision.",
  input: z.strictObject(serviceTarget),
  output: deployed,
  permission: "deploy",
  resource: (input) => `service:${input.service_id}`,
  errors: ["service_not_found", "startup_failed", "startup_timeout", "conflict"],
  http: { method: "POST", path: "/services/{service_id}/restart" },
  cli: { command: "restart", positional: ["service_id"] },
});

export const statusOf = unary({
  name: "Status",
  summary: "How a service is.",
  input: z.strictObject(serviceTarget),
  output: status,
  permission: "read",
  resource: (input) => `service:${input.service_id}`,
  errors: ["service_not_found"],
  http: { method: "GET", path: "/services/{service_id}" },
  cli: { command: "status", positional: ["service_id"] },
});

export const list = unary({
  name: "List",
  summary: "The tenant's services.",
  input: z.strictObject({
    tenant_id: field(1, tenantId),
    limit: field(
      2,
      z.uint32().min(1).max(1000).optional().describe("At most so many; 100 unless given."),
    ),
    after: field(3, z.string().max(64).optional().describe("Continue after this service_id.")),
  }),
  output: z.strictObject({
    services: field(1, z.array(status)),
    next: field(2, z.string().optional().describe("Pass as `after` for the next page.")),
  }),
  permission: "read",
  resource: () => "kernel",
  errors: [],
  http: { method: "GET", path: "/services" },
  cli: {
    command: "list",
    table: {
      rows: "services",
      columns: [
        "service_id",
        "state",
        "revision",
        "uptime_ms",
        "restarts",
        "memory_bytes",
        "calls",
        "errors",
      ],
    },
  },
});
