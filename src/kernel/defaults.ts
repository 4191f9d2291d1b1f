/** What a deploy gets when it does not say: from the configuration, per tenant. */
import type { Config } from "#config/schema.ts";
import { asBound, belowCeilings, type Ceilings, type Limits } from "#deploy/limits.ts";
import type { TenantBounds } from "#kernel/limits/tenant-limits.ts";
import type { SpecDefaults } from "#deploy/spec.ts";
import type { Thresholds } from "#kernel/pressure.ts";

const MIB = 1024 * 1024;

/** The global limits with the tenant's own in their place. */
export const limitsOf = (config: Config, tenant: string): Config["limits"] => ({
  ...config.limits,
  ...config.tenants[tenant],
});

export function specDefaults(config: Config, tenant: string): SpecDefaults {
  const limits = limitsOf(config, tenant);
  const ceilings: Ceilings = {
    memoryMb: limits.max_memory_mb,
    callTimeoutMs: limits.max_call_timeout_ms,
    mailbox: limits.max_mailbox,
    cpuPercent: asBound("cpuPercent", limits.max_cpu_percent),
    timers: limits.max_timers,
    openRequests: limits.max_open_requests,
    logLinesPerSecond: limits.max_log_lines_per_second,
    logBytes: limits.max_log_bytes,
    storageBytes: limits.max_storage_bytes,
    kvKeys: limits.max_kv_keys,
    hostRequestsPerSecond: limits.max_host_requests_per_second,
  };
  const own: Limits = {
    memoryMb: limits.memory_mb,
    callTimeoutMs: limits.call_timeout_ms,
    mailbox: limits.mailbox,
    mailboxPolicy: "reject",
    stateBytes: limits.state_bytes,
    cpuPercent: limits.cpu_percent,
    timers: limits.timers,
    openRequests: limits.open_requests,
    logLinesPerSecond: limits.log_lines_per_second,
    logLineBytes: limits.log_line_bytes,
    logBytes: limits.log_bytes,
    storageBytes: limits.storage_bytes,
    messageBytes: limits.message_bytes,
    kvValueBytes: limits.kv_value_bytes,
    kvKeys: limits.kv_keys,
    hostRequestsPerSecond: limits.host_requests_per_second,
    actions: {
      cpu: limits.cpu_action,
      openRequests: limits.open_requests_action,
      timers: limits.timers_action,
      logs: limits.logs_action,
      storage: limits.storage_action,
      hostRequests: limits.host_requests_action,
    },
  };
  return {
    limits: belowCeilings(own, ceilings),
    ceilings,
    restartLimits: {
      maxRestarts: limits.max_restarts,
      maxSeconds: limits.max_seconds,
      startupTimeoutMs: limits.startup_timeout_ms,
      shutdownTimeoutMs: limits.shutdown_timeout_ms,
    },
    maxSourceBytes: config.limits.max_source_bytes,
    hibernateAfterMs: config.limits.hibernate_after_idle_ms,
  };
}

/** Of the runtime monitor; 0 turns a watch off. */
export const pressureThresholds = ({ limits }: Config): Thresholds => ({
  heap_percent: limits.pressure_heap_percent,
  loop_delay_ms: limits.pressure_loop_delay_ms,
  descriptors_percent: limits.pressure_descriptors_percent,
  cells: limits.pressure_cells,
  instances: limits.pressure_instances,
  disk_free_mb: limits.pressure_disk_free_mb,
  memory_free_mb: limits.pressure_memory_free_mb,
});

/** What one cell may hold; of a tenant, or as long as it has none. */
export function cellMemoryBytes(config: Config, tenant?: string): number {
  const own = tenant === undefined ? undefined : config.tenants[tenant]?.tenant_memory_mb;
  return (own ?? config.limits.tenant_memory_mb) * MIB;
}

export function tenantBounds(config: Config, tenant: string): TenantBounds {
  const limits = limitsOf(config, tenant);
  return {
    memoryBytes: cellMemoryBytes(config, tenant),
    cpuPercent: limits.tenant_cpu_percent === 0 ? Infinity : limits.tenant_cpu_percent,
    openRequests: limits.tenant_open_requests,
    waitingChars: limits.tenant_waiting_mb * MIB,
    storageBytes: limits.tenant_storage_mb * MIB,
    services: limits.max_per_tenant,
  };
}
