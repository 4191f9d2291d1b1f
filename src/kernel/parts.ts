/** The kernel's parts as children of its tree: how each starts, fails and closes. */
import type { KernelPort } from "#api/kernel-port.ts";
import type { Clock } from "#base/clock.ts";
import type { Authority } from "#kernel/authority.ts";
import type { Config } from "#config/schema.ts";
import type { EventLog } from "#events/event-log.ts";
import type { ServiceLogs } from "#events/service-logs.ts";
import type { CellPool } from "#kernel/cells/pool.ts";
import type { CompilerPool } from "#kernel/compilers/pool.ts";
import type { RuntimeMonitor } from "#kernel/runtime-monitor.ts";
import type { Secrets } from "#kernel/secrets.ts";
import type { Settings } from "#kernel/settings.ts";
import type { Store } from "#kernel/store.ts";
import type { TenantRegister } from "#kernel/tenant-register.ts";
import { upkeep, type UpkeepOptions } from "#kernel/upkeep.ts";
import type { RolloutDriver } from "#kernel/upgrades/rollout-driver.ts";
import { openStorage } from "#storage/storage.ts";
import type { ChildSpec } from "#supervisor/child.ts";
import { part, task } from "#supervisor/part.ts";

const CLOSE_MS = 10_000;
const GATEWAY_GRACE_MS = 2000;

const never = new Promise<never>(() => {});
const rejectsWith = (failed: Promise<Error>): Promise<never> =>
  failed.then((error) => Promise.reject(error));

/** Something that serves the kernel's port until it is stopped. */
export interface Gateway {
  /** Resolves when it died unasked. */
  readonly failed: Promise<Error>;
  stop(options: { readonly graceMs: number }): Promise<void>;
}

export interface GatewayPart {
  readonly id: string;
  readonly start: (port: KernelPort) => Promise<Gateway>;
}

const worker = (id: string, start: ChildSpec["start"]): ChildSpec => ({
  id,
  start,
  restart: "permanent",
  shutdown: CLOSE_MS,
  type: "worker",
});

export interface EventStoreParts {
  readonly config: Config;
  readonly clock: Clock;
  readonly store: Store;
  readonly events: EventLog;
  readonly logs: ServiceLogs;
}

export const eventStoreSpec = ({
  config,
  clock,
  store,
  events,
  logs,
}: EventStoreParts): ChildSpec =>
  worker("event_store", async () => {
    const storage = await openStorage({
      dataDir: config.solo.data_dir,
      eventsDir: config.database.events_db,
      clock,
    });
    store.attach(storage);
    events.attach(storage.events);
    logs.attach(storage.logs);
    const detach = () => {
      store.detach();
      events.detach();
      logs.detach();
    };
    return part({
      failed: storage.closed.then((error) => {
        if (error === undefined) return never;
        detach();
        throw error;
      }),
      async close() {
        await events.flushed().catch(() => {});
        detach();
        await storage.close();
      },
      kill: () => storage.kill(),
    });
  });

export const runtimeMonitorSpec = (monitor: RuntimeMonitor): ChildSpec =>
  worker("runtime_monitor", async () => task((signal) => monitor.run(signal)));

/** What was changed while the kernel ran, before anything follows it. */
export const settingsSpec = (parts: {
  readonly settings: Settings;
  readonly register: TenantRegister;
}): ChildSpec =>
  worker("settings", async () => {
    await Promise.all([parts.settings.open(), parts.register.open()]);
    return part({ close: () => Promise.resolve() });
  });

export const authoritySpec = (authority: Authority): ChildSpec =>
  worker("authority", async () => {
    await authority.open();
    return task((signal) => authority.sweep(signal));
  });

/** The pool outlives a failure of any other part: services keep their processes. */
export const cellsSpec = (cells: CellPool): ChildSpec =>
  worker("cells", async () => {
    cells.open();
    return part({ close: () => cells.close() });
  });

export const vaultSpec = (secrets: Secrets): ChildSpec =>
  worker("vault", async () => {
    await secrets.open();
    return part({ close: () => secrets.close() });
  });

export const compilerSpec = (compilers: CompilerPool): ChildSpec =>
  worker("compiler", async () => {
    await compilers.open();
    return part({ close: () => compilers.close() });
  });

export const upkeepSpec = (options: UpkeepOptions): ChildSpec =>
  worker("upkeep", async () => task((signal) => upkeep(options, signal)));

export const rolloutsSpec = (rollouts: RolloutDriver): ChildSpec =>
  worker("rollouts", async () => task((signal) => rollouts.run(signal)));

export const gatewaySpec = (gateway: GatewayPart, port: KernelPort): ChildSpec =>
  worker(gateway.id, async () => {
    const running = await gateway.start(port);
    return part({
      failed: rejectsWith(running.failed),
      close: () => running.stop({ graceMs: GATEWAY_GRACE_MS }),
    });
  });
