/** What services are given to live with: clocks, cells, and where things are written. */
import type { Clock } from "#base/clock.ts";
import type { Logger } from "#base/log.ts";
import type { Dormants } from "#deploy/dormants.ts";
import type { Snapshots } from "#deploy/snapshots.ts";
import type { EventLog } from "#events/event-log.ts";
import type { CellPool } from "#kernel/cells/pool.ts";
import type { CompilerPool } from "#kernel/compilers/pool.ts";
import type { Faults } from "#kernel/faults.ts";
import type { ServiceLogs } from "#events/service-logs.ts";
import type { LimitsBook } from "#kernel/limits/book.ts";
import type { Secrets } from "#kernel/secrets.ts";
import type { Metrics } from "#kernel/metrics.ts";
import type { Channels } from "#kernel/services/messages/channels.ts";
import type { WakeGate } from "#kernel/services/state/wake-gate.ts";

export interface ServicePowers {
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: EventLog;
  readonly cells: CellPool;
  readonly compilers: CompilerPool;
  readonly snapshots: Snapshots;
  readonly dormants: Dormants;
  readonly wakes: WakeGate;
  readonly channels: Channels;
  readonly logs: ServiceLogs;
  readonly metrics: Metrics;
  readonly secrets: Secrets;
  readonly limits: LimitsBook;
  readonly faults: Faults;
}
