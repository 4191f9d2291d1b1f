/** How a service is. */
import { z } from "zod";
import { usage } from "#api/limits.ts";
import { field, json } from "#api/operation.ts";
import { rollout } from "#api/rollouts.ts";
import { ISOLATION, PERSISTENCE } from "#api/service-spec.ts";

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

const crash = z.strictObject({
  at: field(1, z.string().describe("UTC, ISO 8601.")),
  reason: field(2, z.string()),
  message: field(3, z.string()),
  stack: field(4, z.string().describe("In the agent's own source.")),
  event_id: field(
    5,
    z.int().optional().describe("The service_crashed event with everything else."),
  ),
  last_messages: field(
    6,
    z.array(z.string()).optional().describe("What it was handling when it ended."),
  ),
  innocent: field(
    7,
    z
      .boolean()
      .optional()
      .describe(
        "The process around it ended, and nothing says that it was the cause: not counted against restart_limits.",
      ),
  ),
  suspect: field(
    8,
    z
      .boolean()
      .optional()
      .describe(
        "It is one of several that may have been the cause: it runs in a process of its own for ten minutes, where the next end names it.",
      ),
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
  saved_at: field(2, z.string().optional().describe("When it was written last.")),
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
  fell_back: field(
    5,
    z
      .boolean()
      .optional()
      .describe("The newest was damaged when it was read: this is the one before it."),
  ),
});

export const status = z.strictObject({
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
  last_crash: field(
    14,
    crash
      .nullable()
      .describe("How the last instance ended that nobody had asked to. Null: none has."),
  ),
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
  held_back: field(
    32,
    z
      .strictObject({
        code: field(1, z.string()),
        detail: field(2, z.string()),
        failures: field(3, z.uint32().describe("How often in a row it did not come back.")),
        next_try_at: field(
          4,
          z.string().optional().describe("UTC, ISO 8601; without it, only a person can help."),
        ),
      })
      .optional()
      .describe(
        "Why it did not come back after the kernel's start; it is quarantined until the next try, or until you restart or update it.",
      ),
  ),
  usage: field(
    20,
    z
      .array(usage)
      .optional()
      .describe("What it and its tenant use, against the limits; left out of lists."),
  ),
});
