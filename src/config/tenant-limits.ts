/** Limits that each tenant may have its own values for, under [tenants.<name>]. */
import { choice, whole } from "#config/key.ts";

const HOUR_MS = 3_600_000;
const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const runtime = true;

const ceiling = (min: number, max: number, of: string) =>
  whole(min, max, {
    default: max,
    runtime,
    is: `The most that a deployment may set as ${of}.`,
  });

export const perTenant = {
  max_per_tenant: whole(0, 100_000, {
    default: 100,
    runtime,
    is: "How many services one tenant may have.",
  }),
  memory_mb: whole(8, 65_536, {
    default: 128,
    runtime,
    is: "Memory of one service instance, in mebibytes, unless the deployment says otherwise.",
  }),
  tenant_memory_mb: whole(128, 1_048_576, {
    default: 2048,
    is: "Memory of a tenant's cell processes together, in mebibytes.",
  }),
  call_timeout_ms: whole(1, HOUR_MS, {
    default: 30_000,
    runtime,
    is: "How long a call may take, unless the caller says otherwise.",
  }),
  startup_timeout_ms: whole(1, HOUR_MS, {
    default: 10_000,
    runtime,
    is: "How long a service may take to start.",
  }),
  shutdown_timeout_ms: whole(0, HOUR_MS, {
    default: 5000,
    runtime,
    is: "How long a service may take to terminate before it is killed.",
  }),
  mailbox: whole(1, 1_000_000, {
    default: 1000,
    runtime,
    is: "How many messages may wait for one service instance.",
  }),
  max_restarts: whole(0, 10_000, {
    default: 5,
    runtime,
    is: "How many restarts within max_seconds are tried before a service is quarantined.",
  }),
  max_seconds: whole(1, 86_400, {
    default: 10,
    runtime,
    is: "The window, in seconds, in which restarts are counted.",
  }),

  cpu_percent: whole(0, 6400, {
    default: 0,
    runtime,
    is: "CPU time that one service may use over 5 s, in percent of one core; 0 is no limit.",
  }),
  open_requests: whole(1, 100_000, {
    default: 2000,
    runtime,
    is: "How many calls and HTTP requests one service may have taken and not answered.",
  }),
  timers: whole(1, 10_000, {
    default: 1000,
    runtime,
    is: "How many timers of solo.after and solo.every one service may have.",
  }),
  log_lines_per_second: whole(1, 100_000, {
    default: 1000,
    runtime,
    is: "How many lines one service may log in a second; more are dropped and counted.",
  }),
  log_line_bytes: whole(64, 8192, {
    default: 8192,
    runtime,
    is: "The size of one log line; the rest is cut.",
  }),
  log_bytes: whole(65_536, GIB, {
    default: 16 * MIB,
    runtime,
    is: "The size of one service's kept log; the oldest lines go.",
  }),
  state_bytes: whole(1024, 8 * MIB, {
    default: 4 * MIB,
    runtime,
    is: "The size of the encoded state of one instance of a service; what makes it larger is a crash.",
  }),
  storage_bytes: whole(1024, 4 * GIB - 1, {
    default: 256 * MIB,
    runtime,
    is: "What one service may keep in kv and its state together.",
  }),
  kv_keys: whole(1, 10_000_000, {
    default: 100_000,
    runtime,
    is: "How many keys one service may keep in kv.",
  }),
  kv_value_bytes: whole(1, MIB, {
    default: MIB,
    runtime,
    is: "The size of one value in kv, as JSON.",
  }),
  message_bytes: whole(1024, 8 * MIB, {
    default: 8 * MIB,
    runtime,
    is: "The size of one message's arguments, as JSON.",
  }),
  host_requests_per_second: whole(1, 1_000_000, {
    default: 20_000,
    runtime,
    is: "How often one service may ask the kernel for something in a second: kv, calls, casts, events, timers.",
  }),
  cpu_action: choice(["throttle", "warn", "kill"], {
    default: "throttle",
    runtime,
    is: "What happens to a service above cpu_percent.",
  }),
  open_requests_action: choice(["throttle", "warn", "kill"], {
    default: "throttle",
    runtime,
    is: "What happens at open_requests.",
  }),
  timers_action: choice(["throttle", "kill"], {
    default: "throttle",
    runtime,
    is: "What happens at timers.",
  }),
  logs_action: choice(["throttle", "kill"], {
    default: "throttle",
    runtime,
    is: "What happens at log_lines_per_second.",
  }),
  storage_action: choice(["throttle", "kill"], {
    default: "throttle",
    runtime,
    is: "What happens at storage_bytes and kv_keys.",
  }),
  host_requests_action: choice(["throttle", "warn", "kill"], {
    default: "throttle",
    runtime,
    is: "What happens at host_requests_per_second.",
  }),
  max_memory_mb: ceiling(8, 65_536, "memory_mb"),
  max_call_timeout_ms: ceiling(1, HOUR_MS, "call_timeout_ms"),
  max_mailbox: ceiling(1, 1_000_000, "mailbox"),
  max_cpu_percent: whole(0, 6400, {
    default: 0,
    runtime,
    is: "The most that a deployment may set as cpu_percent; 0 is no ceiling.",
  }),
  max_timers: ceiling(1, 10_000, "timers"),
  max_open_requests: ceiling(1, 100_000, "open_requests"),
  max_log_lines_per_second: ceiling(1, 100_000, "log_lines_per_second"),
  max_log_bytes: ceiling(65_536, GIB, "log_bytes"),
  max_storage_bytes: ceiling(1024, 4 * GIB - 1, "storage_bytes"),
  max_kv_keys: ceiling(1, 10_000_000, "kv_keys"),
  max_host_requests_per_second: ceiling(1, 1_000_000, "host_requests_per_second"),
  tenant_cpu_percent: whole(0, 6400, {
    default: 0,
    is: "CPU time of a tenant's processes together over 5 s, in percent of one core; 0 is no limit.",
  }),
  tenant_open_requests: whole(1, 1_000_000, {
    default: 10_000,
    runtime,
    is: "How many calls and HTTP requests a tenant's services may have taken and not answered.",
  }),
  tenant_waiting_mb: whole(1, 65_536, {
    default: 64,
    runtime,
    is: "The kernel's memory for messages that a tenant's services have not handled, in mebibytes.",
  }),
  tenant_storage_mb: whole(1, 1_048_576, {
    default: 2048,
    runtime,
    is: "What a tenant's services may keep in kv and state together, in mebibytes.",
  }),
};
