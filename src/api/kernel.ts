/** Operations on the kernel itself. */
import { z } from "zod";
import { field, json, unary } from "#api/operation.ts";

export const health = unary({
  name: "Health",
  summary: "Whether the kernel serves; details only for holders of a token.",
  input: z.strictObject({}),
  output: z.strictObject({
    status: field(1, z.enum(["ok", "degraded", "stopping"])),
    timestamp: field(2, z.string().optional()),
    version: field(3, z.string().optional()),
    uptime_ms: field(4, z.int().optional()),
    memory_mb: field(5, z.number().optional()),
    process_count: field(6, z.uint32().optional()),
    active_services: field(7, z.uint32().optional()),
    pressure: field(
      8,
      z
        .array(z.string())
        .optional()
        .describe(
          "What the runtime monitor finds too high now; new deploys are refused meanwhile.",
        ),
    ),
    not_stored: field(
      9,
      z
        .uint32()
        .optional()
        .describe(
          "Services whose newest state could not be written; their status says why. The kernel is degraded while there are any.",
        ),
    ),
  }),
  permission: "read",
  resource: () => "kernel",
  scope: "anyone",
  errors: [],
  http: { method: "GET", path: "/health" },
  cli: { command: "health" },
});

export const tree = unary({
  name: "Tree",
  summary: "The supervision tree as it stands.",
  input: z.strictObject({}),
  output: z.strictObject({ tree: field(1, json()) }),
  permission: "admin",
  resource: () => "kernel",
  scope: "kernel",
  errors: [],
  http: { method: "GET", path: "/tree" },
  cli: { command: "tree" },
});

export const bootReport = unary({
  name: "BootReport",
  summary: "What came back after the kernel's start, what did not, and why.",
  input: z.strictObject({}),
  output: z.strictObject({
    at: field(1, z.string().describe("When it began; UTC, ISO 8601.")),
    took_ms: field(2, z.int()),
    running: field(3, z.uint32().describe("Services that were started.")),
    asleep: field(4, z.uint32().describe("Hibernated services: the next message wakes them.")),
    missing: field(
      5,
      z.array(
        z.strictObject({
          service: field(1, z.string().describe("tenant/service")),
          why: field(
            2,
            z
              .enum(["failed", "held_back", "quarantined", "unreadable"])
              .describe(
                "failed: tried in vain. held_back: failed before, and waits for its next try. quarantined: left alone, as before. unreadable: its record is damaged.",
              ),
          ),
          code: field(3, z.string().optional()),
          detail: field(4, z.string()),
          next_try_at: field(
            5,
            z.string().optional().describe("Without it, only a person can help."),
          ),
        }),
      ),
    ),
  }),
  permission: "admin",
  scope: "kernel",
  resource: () => "kernel",
  errors: ["unavailable"],
  http: { method: "GET", path: "/boot" },
  cli: { command: "boot-report" },
});

export const shutdown = unary({
  name: "Shutdown",
  summary: "Drain, stop every service in an orderly way and end the kernel.",
  input: z.strictObject({
    drain_ms: field(
      1,
      z
        .int32()
        .min(0)
        .max(3_600_000)
        .optional()
        .describe("Time for work in flight; 30000 unless configured."),
    ),
  }),
  output: z.strictObject({ accepted: field(1, z.boolean()) }),
  permission: "admin",
  resource: () => "kernel",
  scope: "kernel",
  errors: [],
  http: { method: "POST", path: "/shutdown", status: 202 },
  cli: { command: "shutdown" },
});
