/** What a deploy gets when it does not say: from the configuration, per tenant. */
import type { Config } from "#config/schema.ts";
import type { SpecDefaults } from "#deploy/spec.ts";
import type { Thresholds } from "#kernel/pressure.ts";

const MIB = 1024 * 1024;
const STATE_BYTES = 4 * MIB;

export function specDefaults(config: Config, tenant: string): SpecDefaults {
  const limits = { ...config.limits, ...config.tenants[tenant] };
  return {
    limits: {
      memoryMb: limits.memory_mb,
      callTimeoutMs: limits.call_timeout_ms,
      mailbox: limits.mailbox,
      mailboxPolicy: "reject",
      stateBytes: STATE_BYTES,
    },
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
