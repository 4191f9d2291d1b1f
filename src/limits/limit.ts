/** What a limit is: the resources that are limited, their units, and what may be done at the bound. */

/**
 * `warn`: the excess is recorded and passes. `throttle`: it is refused, held back or cut off.
 * `kill`: the instance ends and its supervisor decides what follows.
 */
export type LimitAction = "warn" | "throttle" | "kill";

/** Of one service. */
export const SERVICE_RESOURCES = [
  "memory",
  "cpu",
  "call_time",
  "mailbox",
  "open_requests",
  "timers",
  "log_lines",
  "log_line",
  "log",
  "message",
  "state",
  "storage",
  "kv_keys",
  "kv_value",
  "host_requests",
] as const;

/** Of all services of a tenant together. */
export const TENANT_RESOURCES = [
  "tenant_memory",
  "tenant_cpu",
  "tenant_open_requests",
  "tenant_waiting",
  "tenant_storage",
  "tenant_services",
] as const;

export type Resource = (typeof SERVICE_RESOURCES)[number] | (typeof TENANT_RESOURCES)[number];

export interface Limit {
  /** In the resource's unit; Infinity: none. */
  readonly limit: number;
  readonly action: LimitAction;
}

export type Unit = "bytes" | "percent" | "ms" | "count" | "per_second";

export const UNIT_OF: Readonly<Record<Resource, Unit>> = {
  memory: "bytes",
  cpu: "percent",
  call_time: "ms",
  mailbox: "count",
  open_requests: "count",
  timers: "count",
  log_lines: "per_second",
  log_line: "bytes",
  log: "bytes",
  message: "bytes",
  state: "bytes",
  storage: "bytes",
  kv_keys: "count",
  kv_value: "bytes",
  host_requests: "per_second",
  tenant_memory: "bytes",
  tenant_cpu: "percent",
  tenant_open_requests: "count",
  tenant_waiting: "bytes",
  tenant_storage: "bytes",
  tenant_services: "count",
};

/** How near the bound a resource is. */
export type Level = "ok" | "approach" | "exceeded";

/** What is told of a limit: one event for all that happened since the last one. */
export interface Violation {
  readonly what: Resource;
  readonly level: "approach" | "exceeded";
  /** The highest value since it was last told. */
  readonly value: number;
  readonly limit: number;
  readonly action: LimitAction;
  /** How often the bound was passed since it was last told; 0 for an approach. */
  readonly count: number;
}

/** A resource as its owner sees it. */
export interface Usage {
  readonly what: Resource;
  readonly value: number;
  readonly limit: number;
  readonly action: LimitAction;
  readonly level: Level;
}
