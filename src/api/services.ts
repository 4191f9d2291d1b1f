/** Operations on services: deploy, call, look at, change, kill. */
import { z } from "zod";
import {
  args,
  callRules,
  handlerName,
  permissions,
  ratePerMinute,
  resources,
  secretName,
  serviceId,
  tenantId,
  timeoutMs,
} from "#api/fields.ts";
import { limits, usage } from "#api/limits.ts";
import { field, json, stream, unary } from "#api/operation.ts";
import { rollout, strategy } from "#api/rollouts.ts";

export const FORMATS = ["typescript_source", "javascript_source"] as const;
export const RESTARTS = ["permanent", "transient", "temporary"] as const;
export const PERSISTENCE = ["stateless", "hybrid", "durable", "external"] as const;
export const ISOLATION = ["shared", "dedicated"] as const;
export const SECRET_USES = ["read", "inject"] as const;
export const ROUTINGS = ["round_robin", "least_busy", "key"] as const;
export const STATES_ON_ROLLBACK = ["restore_old", "keep_new", "downgrade"] as const;
export const SERVICE_STATES = [
  "starting",
  "running",
  "crashed",
  "restarting",
  "draining",
  "stopped",
  "quarantined",
  "deployment_failed",
  "hibernated",
] as const;

/** A shorter idleness says nothing yet. */
const MIN_IDLE_MS = 100;

const restartLimits = z
  .strictObject({
    max_restarts: field(
      1,
      z
        .uint32()
        .max(1000)
        .optional()
        .describe(
          "Restarts allowed within max_seconds; limits.max_restarts of the configuration unless given.",
        ),
    ),
    max_seconds: field(
      2,
      z
        .uint32()
        .min(1)
        .max(86_400)
        .optional()
        .describe("The window in which restarts are counted; limits.max_seconds unless given."),
    ),
    startup_timeout_ms: field(
      3,
      timeoutMs
        .optional()
        .describe("Time for load and init; limits.startup_timeout_ms unless given."),
    ),
    shutdown_timeout_ms: field(
      4,
      timeoutMs
        .optional()
        .describe(
          "Time for terminate before the instance is killed; limits.shutdown_timeout_ms unless given.",
        ),
    ),
    code_change_timeout_ms: field(
      5,
      timeoutMs
        .optional()
        .describe("Time for codeChange, checkState and selfTest of an update; 5000 unless given."),
    ),
  })
  .describe("How often the service may crash, and how long it may take to start and stop.");

const watchdog = z
  .strictObject({
    enabled: field(1, z.boolean().optional().describe("false: no probation. true unless given.")),
    window_ms: field(
      2,
      z
        .int32()
        .min(100)
        .max(3_600_000)
        .optional()
        .describe("How long the probation lasts; 30000 unless given."),
    ),
    max_messages: field(
      3,
      z
        .int32()
        .min(1)
        .optional()
        .describe("It ends after so many messages, too; 1000000 unless given."),
    ),
    max_crashes: field(
      4,
      z
        .uint32()
        .max(1000)
        .optional()
        .describe("Crashes beyond the old revision's in the same time; 0 unless given."),
    ),
    max_error_rate_increase: field(
      5,
      z
        .number()
        .min(0)
        .max(1)
        .optional()
        .describe("Failed messages as a share, beyond the old revision's; 0.05 unless given."),
    ),
    max_latency_factor: field(
      6,
      z
        .number()
        .min(1)
        .optional()
        .describe("The 95th percentile against the old revision's; 3 unless given."),
    ),
    max_memory_factor: field(
      7,
      z.number().min(1).optional().describe("Heap against the old revision's; 3 unless given."),
    ),
    state_on_rollback: field(
      8,
      z
        .enum(STATES_ON_ROLLBACK)
        .optional()
        .describe(
          "Which state the old revision goes on with: the one from before the update (restore_old), the new one if its checkState takes it (keep_new), or what the new revision's downgrade makes of the new one (downgrade). restore_old unless given.",
        ),
    ),
  })
  .describe("The probation of a new revision, and what brings the old one back.");

const held = z
  .strictObject({
    resources: field(1, resources),
    permissions: field(
      2,
      permissions
        .optional()
        .describe(
          "What it may do with them; the usual unless given: invoke a service, connect to a host, read a secret, publish and subscribe to a topic.",
        ),
    ),
    calls: field(3, callRules),
    rate_per_minute: field(
      4,
      ratePerMinute.optional().describe("Uses in any 60 seconds; the deployer's own unless given."),
    ),
  })
  .meta({
    title: "ServiceCapability",
    description: "A capability that the service shall hold, derived from the deployer's.",
  });

const secretBinding = z
  .strictObject({
    name: field(1, secretName),
    as: field(
      2,
      z.string().max(64).optional().describe("What the service calls it; its name unless given."),
    ),
    use: field(
      3,
      z
        .enum(SECRET_USES)
        .optional()
        .describe(
          "read: the service gets the value with solo.secrets.get. inject: it never sees it; the kernel fills {{secret:name}} into headers of requests to hosts. read unless given.",
        ),
    ),
    hosts: field(
      4,
      z
        .array(z.string().max(300))
        .optional()
        .describe(
          "Where the value may be filled into requests, over HTTPS: api.example.com, *.example.com, host:port; http://host:port without TLS. Needed for inject.",
        ),
    ),
  })
  .meta({ title: "SecretBinding" });

const sourceFields = {
  code: field(
    3,
    z.string().optional().describe("The source, when it is one file. Give `code` or `files`."),
  ),
  files: field(
    4,
    z
      .record(z.string(), z.string())
      .optional()
      .describe("Several files by relative path; `entry` names the first to load."),
  ),
  entry: field(
    5,
    z
      .string()
      .optional()
      .describe(
        "The path in `files` that is loaded; index.ts, main.ts, index.js or main.js unless given.",
      ),
  ),
  format: field(
    6,
    z
      .enum(FORMATS)
      .optional()
      .describe("What the source is; typescript_source unless given (it accepts JavaScript too)."),
  ),
};

const spec = {
  tenant_id: field(1, tenantId),
  service_id: field(2, serviceId),
  ...sourceFields,
  restart: field(
    7,
    z
      .enum(RESTARTS)
      .optional()
      .describe(
        "When a stopped instance is started again: always (permanent), after a crash (transient), never (temporary).",
      ),
  ),
  restart_limits: field(8, restartLimits.optional()),
  limits: field(9, limits.optional()),
  persistence: field(
    10,
    z
      .enum(PERSISTENCE)
      .optional()
      .describe(
        "What happens to state: stateless (starts anew), hybrid (flushed every 5 s and before stop), durable (on disk before each reply), external (the service's own business).",
      ),
  ),
  instances: field(
    11,
    z
      .uint32()
      .min(1)
      .max(64)
      .optional()
      .describe("Instances to run, each with a mailbox and a state of its own; 1 unless given."),
  ),
  metadata: field(
    12,
    z
      .record(z.string(), json())
      .optional()
      .describe("Labels for people and tools; Solo does not read them."),
  ),
  env: field(
    13,
    z.record(z.string(), z.string()).optional().describe("What the service reads as solo.env."),
  ),
  args: field(14, json().optional().describe("The second argument of init.")),
  isolation: field(
    15,
    z
      .enum(ISOLATION)
      .optional()
      .describe("shared: an isolate in the tenant's cell; dedicated: a process of its own."),
  ),
  ingress: field(
    16,
    z
      .enum(["token", "public"])
      .optional()
      .describe(
        "Who may send HTTP requests to the service: holders of a token, or anyone who reaches the port. token unless given.",
      ),
  ),
  watchdog: field(20, watchdog.optional()),
  routing: field(
    24,
    z
      .enum(ROUTINGS)
      .optional()
      .describe(
        "Which instance takes a message: each in turn (round_robin), the one with the shortest mailbox (least_busy), or always the same one for the same key (key; the key is the call's `key` or the request's x-solo-key header). round_robin unless given.",
      ),
  ),
  hibernation: field(
    25,
    z
      .strictObject({
        after_idle_ms: field(
          1,
          z
            .uint32()
            .max(2_147_483_647)
            .refine((ms) => ms === 0 || ms >= MIN_IDLE_MS, {
              error: `must be 0 (never) or at least ${MIN_IDLE_MS}`,
            })
            .optional()
            .describe(
              "Evict an instance that has had nothing to do for so long, keep its state, and wake it for the next message or timer; 0: never.",
            ),
        ),
      })
      .optional()
      .describe(
        "When an idle instance sleeps. Unless given: limits.hibernate_after_idle_ms of the configuration for hybrid and durable services, never for others.",
      ),
  ),
  priority: field(
    27,
    z
      .int32()
      .min(-1000)
      .max(1000)
      .optional()
      .describe(
        "Services with a higher one start first after the kernel's restart; 0 unless given.",
      ),
  ),
  persistence_exclude: field(
    26,
    z
      .array(z.string())
      .optional()
      .describe(
        "Top-level keys of the state that are not stored, as patterns in which `*` stands for any characters: `cache:*`.",
      ),
  ),
  capabilities: field(
    17,
    z
      .array(held)
      .max(32)
      .optional()
      .describe(
        "What the service may use beyond its own kv, events, timers and log; an empty list is nothing. Unless given, it may invoke the services of its tenant.",
      ),
  ),
  secrets: field(
    18,
    z
      .array(secretBinding)
      .optional()
      .describe("Secrets of the tenant that the service may use. It gets no others."),
  ),
};

/** What only an update takes. */
export const change = {
  message: field(
    19,
    z.string().max(500).optional().describe("Why; kept in the history of revisions."),
  ),
  dry_run: field(
    21,
    z.boolean().optional().describe("Change nothing; the answer's `plan` says what would happen."),
  ),
  self_test: field(
    22,
    z
      .boolean()
      .optional()
      .describe(
        "true: refuse a revision without selfTest; false: do not run it. Unless given it runs if there is one.",
      ),
  ),
};

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
  settings: field(5, z.array(difference).describe("By path; values as JSON.")),
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
  http: { method: "POST", path: "/services", status: 201 },
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

const target = { tenant_id: field(1, tenantId), service_id: field(2, serviceId) };

export const kill = unary({
  name: "Kill",
  summary: "Stop a service and forget that it should run.",
  input: z.strictObject({
    ...target,
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
  input: z.strictObject(target),
  output: deployed,
  permission: "deploy",
  resource: (input) => `service:${input.service_id}`,
  errors: ["service_not_found", "startup_failed", "startup_timeout", "conflict"],
  http: { method: "POST", path: "/services/{service_id}/restart" },
  cli: { command: "restart", positional: ["service_id"] },
});

const crash = z.strictObject({
  at: field(1, z.string().describe("UTC, ISO 8601.")),
  reason: field(2, z.string()),
  message: field(3, z.string()),
  stack: field(4, z.string().describe("In the agent's own source.")),
  event_id: field(
    5,
    z.int().optional().describe("The service_crashed event with everything else."),
  ),
});

const instance = z.strictObject({
  slot: field(1, z.uint32().describe("From 0; the slot keeps its state when its instance ends.")),
  state: field(2, z.enum(SERVICE_STATES)),
  instance_id: field(3, z.string().optional().describe("Of the running copy.")),
  revision: field(4, z.string()),
  uptime_ms: field(5, z.int()),
  restarts: field(6, z.uint32()),
  memory_bytes: field(7, z.int()),
  mailbox_length: field(8, z.uint32()),
});

const stored = z.strictObject({
  slot: field(1, z.uint32()),
  saved_at: field(2, z.string().optional().describe("Last write since the kernel's start.")),
  bytes: field(3, z.int().optional().describe("Size of the encoded state.")),
  error: field(
    4,
    z
      .strictObject({
        code: field(1, z.string()),
        detail: field(2, z.string()),
        since: field(3, z.string()),
      })
      .optional()
      .describe("Why the newest state is not on disk; it is tried again."),
  ),
});

const status = z.strictObject({
  tenant_id: field(1, z.string()),
  service_id: field(2, z.string()),
  state: field(3, z.enum(SERVICE_STATES)),
  revision: field(4, z.string()),
  instance_id: field(5, z.string().optional()),
  version: field(6, z.string().optional().describe("What the service calls its own version.")),
  uptime_ms: field(7, z.int()),
  restarts: field(8, z.uint32()),
  memory_bytes: field(9, z.int()),
  mailbox_length: field(10, z.uint32()),
  cpu_ms: field(11, z.number()),
  calls: field(12, z.int().describe("Messages handled: calls, casts, requests, info.")),
  errors: field(13, z.int()),
  last_crash: field(14, crash.optional()),
  persistence: field(15, z.enum(PERSISTENCE)),
  isolation: field(16, z.enum(ISOLATION)),
  metadata: field(17, z.record(z.string(), json())),
  deployed_at: field(18, z.string()),
  handlers: field(
    19,
    z.array(z.string()).describe("What can be called: `calls.get`, `casts.reset`, `fetch` …."),
  ),
  instances: field(25, z.array(instance).describe("One for each slot.")),
  probation_ms: field(
    26,
    z
      .int()
      .optional()
      .describe("How long the watchdog still looks at the revision; absent when it does not."),
  ),
  rollout: field(28, rollout.optional().describe("While one is under way.")),
  stored: field(
    30,
    z
      .array(stored)
      .describe("What is known of the state on disk, for each slot that keeps or has one."),
  ),
  hibernate_after_idle_ms: field(31, z.int().describe("0: never.")),
  usage: field(
    20,
    z
      .array(usage)
      .optional()
      .describe("What it and its tenant use, against the limits; left out of lists."),
  ),
});

export const statusOf = unary({
  name: "Status",
  summary: "How a service is.",
  input: z.strictObject(target),
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

const routingKey = z
  .string()
  .max(256)
  .optional()
  .describe("For a service whose routing is `key`: equal keys reach the same instance.");

export const call = unary({
  name: "Call",
  summary: "Send a request to a service and wait for its reply.",
  input: z.strictObject({
    ...target,
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
    ...target,
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
  summary: "What the service logged, oldest first; with follow, also what comes.",
  input: z.strictObject({
    ...target,
    follow: field(3, z.boolean().optional()),
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
