/** What a deploy or an update says of a service: its source and its settings. */
import { z } from "zod";
import {
  callRules,
  permissions,
  ratePerMinute,
  resources,
  secretName,
  serviceId,
  tenantId,
  timeoutMs,
} from "#api/fields.ts";
import { limits } from "#api/limits.ts";
import { field, json } from "#api/operation.ts";

const FORMATS = ["typescript_source", "javascript_source"] as const;
const RESTARTS = ["permanent", "transient", "temporary"] as const;
export const PERSISTENCE = ["stateless", "hybrid", "durable", "external"] as const;
export const ISOLATION = ["shared", "dedicated"] as const;
const SECRET_USES = ["read", "inject"] as const;
const ROUTINGS = ["round_robin", "least_busy", "key"] as const;
const STATES_ON_ROLLBACK = ["restore_old", "keep_new", "downgrade"] as const;

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

export const spec = {
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
        "What the service may use beyond its own kv, events, timers and log; an empty list is nothing. Unless given, it may invoke and monitor the services of its tenant and use its topics.",
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
