/** The kernel itself: how it is, what it is made of, and its end. */
import type { Clock } from "#base/clock.ts";
import type { Principal } from "#kernel/authority.ts";
import type { Handlers } from "#kernel/operations/handlers.ts";
import type { Tenants } from "#kernel/tenants.ts";
import type { TreeNode } from "#supervisor/child.ts";

export interface KernelParts {
  readonly clock: Clock;
  readonly version: string;
  readonly startedAt: number;
  readonly tenants: Tenants;
  readonly processCount: () => number;
  readonly status: () => "ok" | "degraded" | "stopping";
  /** What is too high now. */
  readonly pressure: () => readonly string[];
  readonly tree: () => TreeNode;
  /** Whether a token that is in force was shown. */
  readonly isKnown: (principal: Principal) => boolean;
  readonly shutdown: (drainMs: number | undefined) => void;
}

export const kernelHandlers = (
  parts: KernelParts,
): Pick<Handlers, "Health" | "Tree" | "Shutdown"> => ({
  Health: (_, { principal }) => {
    const status = parts.status();
    if (!parts.isKnown(principal)) return { status };
    let active = 0;
    for (const { state } of parts.tenants.all()) if (state === "running") active += 1;
    return {
      status,
      timestamp: new Date(parts.clock.wallMs()).toISOString(),
      version: parts.version,
      uptime_ms: Math.round(parts.clock.now() - parts.startedAt),
      memory_mb: Math.round(process.memoryUsage.rss() / 104_857.6) / 10,
      process_count: parts.processCount(),
      active_services: active,
      pressure: [...parts.pressure()],
    };
  },
  Tree: () => ({ tree: parts.tree() as never }),
  Shutdown: ({ drain_ms }) => {
    parts.shutdown(drain_ms);
    return { accepted: true };
  },
});
