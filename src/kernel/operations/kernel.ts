/** The kernel itself: how it is, what it is made of, and its end. */
import type { Clock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import type { Principal } from "#kernel/authority.ts";
import type { Handlers } from "#kernel/operations/handlers.ts";
import type { Tenants } from "#kernel/tenants.ts";
import type { BootReport } from "#kernel/boot.ts";
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
  readonly bootReport: () => BootReport | undefined;
  readonly shutdown: (drainMs: number | undefined) => void;
}

const isoOf = (ms: number): string => new Date(ms).toISOString();

export const kernelHandlers = (
  parts: KernelParts,
): Pick<Handlers, "Health" | "Tree" | "BootReport" | "Shutdown"> => ({
  Health: (_, { principal }) => {
    let active = 0;
    let notStored = 0;
    for (const { state, replicas } of parts.tenants.all()) {
      if (state === "running") active += 1;
      if (replicas.some(({ stored }) => stored.failure !== undefined)) notStored += 1;
    }
    const runs = parts.status();
    const status = runs === "ok" && notStored > 0 ? "degraded" : runs;
    if (!parts.isKnown(principal)) return { status };
    return {
      status,
      timestamp: new Date(parts.clock.wallMs()).toISOString(),
      version: parts.version,
      uptime_ms: Math.round(parts.clock.now() - parts.startedAt),
      memory_mb: Math.round(process.memoryUsage.rss() / 104_857.6) / 10,
      process_count: parts.processCount(),
      active_services: active,
      pressure: [...parts.pressure()],
      not_stored: notStored,
    };
  },
  Tree: () => ({ tree: parts.tree() as never }),
  BootReport: () => {
    const report = parts.bootReport();
    if (report === undefined) throw new SoloError("unavailable", "The kernel is starting.");
    const { startedAtMs, tookMs, running, asleep, missing } = report;
    return {
      at: isoOf(startedAtMs),
      took_ms: tookMs,
      running,
      asleep,
      missing: missing.map(({ service, why, code, detail, nextTryAtMs }) => ({
        service,
        why,
        ...(code !== undefined && { code }),
        detail,
        ...(nextTryAtMs !== undefined && { next_try_at: isoOf(nextTryAtMs) }),
      })),
    };
  },
  Shutdown: ({ drain_ms }) => {
    parts.shutdown(drain_ms);
    return { accepted: true };
  },
});
