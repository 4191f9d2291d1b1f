/** What a service may use, and what it uses: the fields of deploy and status. */
import { z } from "zod";
import { timeoutMs } from "#api/fields.ts";
import { field } from "#api/operation.ts";

const MAILBOX_POLICIES = ["reject", "drop_oldest", "kill"] as const;
const LIMIT_ACTIONS = ["warn", "throttle", "kill"] as const;
const LIMIT_LEVELS = ["ok", "approach", "exceeded"] as const;

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** warn: the excess passes and is recorded. */
const anyAction = z.enum(LIMIT_ACTIONS);
/** Bounds that must hold in any case. */
const holdingAction = z.enum(["throttle", "kill"]);

const actions = z
  .strictObject({
    cpu: field(
      1,
      anyAction
        .optional()
        .describe(
          "throttle (the default): new messages are refused and the instance pauses until its share is below cpu_percent.",
        ),
    ),
    open_requests: field(2, anyAction.optional().describe("throttle: further ones are refused.")),
    timers: field(3, holdingAction.optional().describe("throttle: further ones are refused.")),
    logs: field(
      4,
      holdingAction
        .optional()
        .describe("throttle: further lines of that second are dropped and counted."),
    ),
    storage: field(
      5,
      holdingAction
        .optional()
        .describe("throttle: writes to kv that would pass storage_bytes or kv_keys are refused."),
    ),
    host_requests: field(
      6,
      anyAction
        .optional()
        .describe("throttle: answers to what passes the rate wait for the next second."),
    ),
  })
  .describe(
    "What happens at a limit: warn (recorded, passes), throttle (new work is refused or waits), kill (the instance ends; it counts as a crash). Others have one action of their own.",
  );

const count = (max: number, text: string) => z.uint32().min(1).max(max).optional().describe(text);

export const limits = z
  .strictObject({
    memory_mb: field(
      1,
      z.uint32().min(8).max(4096).optional().describe("Memory of one instance, MiB."),
    ),
    call_timeout_ms: field(2, timeoutMs.optional().describe("Longest time one message may take.")),
    mailbox: field(3, count(100_000, "Messages that may wait for the instance.")),
    mailbox_policy: field(
      4,
      z
        .enum(MAILBOX_POLICIES)
        .optional()
        .describe(
          "What happens when the mailbox is full: reject the new message, drop the oldest cast, or kill the instance.",
        ),
    ),
    state_bytes: field(
      5,
      z
        .uint32()
        .min(1024)
        .max(8 * MIB)
        .optional()
        .describe("Size of the encoded state, bytes."),
    ),
    cpu_percent: field(
      6,
      z
        .uint32()
        .max(6400)
        .optional()
        .describe("CPU time over 5 s, percent of one core; 0: no limit of its own."),
    ),
    timers: field(7, count(10_000, "Timers of solo.after and solo.every at a time.")),
    open_requests: field(
      8,
      count(100_000, "Calls and HTTP requests that have been taken and not answered."),
    ),
    log_lines_per_second: field(9, count(100_000, "Log lines; more are dropped and counted.")),
    log_line_bytes: field(
      10,
      z.uint32().min(64).max(8192).optional().describe("Size of a log line; the rest is cut."),
    ),
    log_bytes: field(
      11,
      z
        .uint32()
        .min(64 * 1024)
        .max(GIB)
        .optional()
        .describe("Size of the kept log, bytes; the oldest lines go."),
    ),
    storage_bytes: field(
      12,
      z
        .uint32()
        .min(1024)
        .max(4 * GIB - 1)
        .optional()
        .describe("What kv and the state may hold together, bytes."),
    ),
    message_bytes: field(
      13,
      z
        .uint32()
        .min(1024)
        .max(8 * MIB)
        .optional()
        .describe("Size of one message's arguments as JSON, characters."),
    ),
    kv_value_bytes: field(
      14,
      z
        .uint32()
        .min(1)
        .max(MIB)
        .optional()
        .describe("Size of one value in kv as JSON, characters."),
    ),
    kv_keys: field(15, count(10_000_000, "Keys in kv.")),
    host_requests_per_second: field(
      16,
      count(1_000_000, "What the service asks of the kernel: kv, calls, casts, events, timers."),
    ),
    actions: field(17, actions.optional()),
  })
  .describe("What the service may use. Unset limits take the kernel's defaults.");

/** One resource against its limit; those of the tenant's services together begin with tenant_. */
export const usage = z.strictObject({
  what: field(1, z.string().describe("The resource, as in resource_violation.")),
  value: field(2, z.number()),
  limit: field(3, z.number().optional().describe("Absent: no limit.")),
  unit: field(4, z.enum(["bytes", "percent", "ms", "count", "per_second"])),
  action: field(5, z.enum(LIMIT_ACTIONS)),
  level: field(6, z.enum(LIMIT_LEVELS)),
});
