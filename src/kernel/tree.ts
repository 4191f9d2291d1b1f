/**
 * Every long-lived part of the kernel, in the order in which it starts (K2). Stopping goes
 * the other way: services end first, then the gateways close, last the event store.
 *
 *   root (one_for_one)
 *   ├── cells              processes that run services
 *   ├── system (rest_for_one)
 *   │   ├── event_store    storage thread, event log, service logs
 *   │   ├── settings       what was changed at run time, tenants known by name
 *   │   ├── authority      capabilities; forgets those that are over
 *   │   ├── runtime_monitor  heap, loop delay, descriptors, disk: sheds deploys
 *   │   ├── vault          the tenants' secrets
 *   │   ├── compiler       the processes that parse source
 *   │   ├── upkeep         flushes state, ends instances that make no headway
 *   │   ├── rollouts       moves slots, watches the new revision, goes on or back
 *   │   ├── grpc · rest · metrics
 *   └── tenants (dynamic)
 *       └── <tenant> (dynamic) → <service> (one_for_one) → instance
 *
 * 1. A system child that fails restarts, and those after it; services keep running.
 */
import type { Clock } from "#base/clock.ts";
import type { Logger } from "#base/log.ts";
import type { ChildSpec } from "#supervisor/child.ts";
import type { SupervisorEvent } from "#supervisor/events.ts";
import { Supervisor, supervisorSpec } from "#supervisor/supervisor.ts";

export interface TreeOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly onEvent: (event: SupervisorEvent) => void;
  readonly cells: ChildSpec;
  /** In the order of the picture above. */
  readonly system: readonly ChildSpec[];
  readonly tenants: ChildSpec;
  readonly signal: AbortSignal;
}

const SYSTEM_RESTARTS = {
  maxRestarts: 10,
  maxSeconds: 60,
  backoff: { baseMs: 20, factor: 2, maxMs: 2000 },
};

export const startTree = (options: TreeOptions): Promise<Supervisor> => {
  const { clock, log, onEvent, cells, system, tenants, signal } = options;
  return Supervisor.start({
    id: "root",
    strategy: "one_for_one",
    clock,
    log,
    onEvent,
    signal,
    children: [
      cells,
      supervisorSpec({
        id: "system",
        strategy: "rest_for_one",
        clock,
        log,
        onEvent,
        children: system,
        restart: "permanent",
        ...SYSTEM_RESTARTS,
      }),
      tenants,
    ],
  });
};
