/** What a deploy gets when it does not say: from the configuration, per tenant. */
import type { Config } from "#config/schema.ts";
import type { SpecDefaults } from "#deploy/spec.ts";

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
  };
}

/** What one cell may hold; of a tenant, or as long as it has none. */
export function cellMemoryBytes(config: Config, tenant?: string): number {
  const own = tenant === undefined ? undefined : config.tenants[tenant]?.tenant_memory_mb;
  return (own ?? config.limits.tenant_memory_mb) * MIB;
}
