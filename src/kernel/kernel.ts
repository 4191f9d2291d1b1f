/**
 * The kernel: its parts, made once and wired together. The tree starts and stops them.
 *
 * 1. `start` resolves when every service is back and every gateway listens.
 * 2. `stop` is idempotent: what is in flight is finished first, until the drain time is over.
 */
import { randomUUID } from "node:crypto";
import type { KernelPort } from "#api/kernel-port.ts";
import type { Clock } from "#base/clock.ts";
import type { Logger } from "#base/log.ts";
import type { LoadedConfig } from "#config/load.ts";
import type { Config } from "#config/schema.ts";
import { CompileCache } from "#deploy/compile-cache.ts";
import { Deployments } from "#deploy/deployments.ts";
import { Dormants } from "#deploy/dormants.ts";
import { Revisions } from "#deploy/revisions.ts";
import { Rollouts } from "#deploy/rollouts.ts";
import { Sources } from "#kernel/sources.ts";
import { Snapshots } from "#deploy/snapshots.ts";
import type { Egress } from "#egress/egress.ts";
import { EventLog } from "#events/event-log.ts";
import { ServiceLogs } from "#events/service-logs.ts";
import { auditTree } from "#kernel/audit.ts";
import { Authority } from "#kernel/authority.ts";
import { CapabilityAudit } from "#kernel/capability-audit.ts";
import { BootLoader, type BootReport } from "#kernel/boot.ts";
import type { Launcher } from "#kernel/cells/launcher.ts";
import { CellPool } from "#kernel/cells/pool.ts";
import { Compiler } from "#kernel/compiler.ts";
import {
  cellMemoryBytes,
  pressureThresholds,
  specDefaults,
  tenantBounds,
} from "#kernel/defaults.ts";
import { Deployer } from "#kernel/deployer.ts";
import { LimitsBook } from "#kernel/limits/book.ts";
import { Metrics } from "#kernel/metrics.ts";
import { capabilityHandlers } from "#kernel/operations/capabilities.ts";
import { configHandlers } from "#kernel/operations/config.ts";
import { eventHandlers } from "#kernel/operations/events.ts";
import { kernelHandlers } from "#kernel/operations/kernel.ts";
import { messageHandlers } from "#kernel/operations/messages.ts";
import { rolloutHandlers } from "#kernel/operations/rollouts.ts";
import { secretHandlers } from "#kernel/operations/secrets.ts";
import { stateHandlers } from "#kernel/operations/state.ts";
import { serviceHandlers } from "#kernel/operations/services.ts";
import { tenantHandlers } from "#kernel/operations/tenants.ts";
import { upgradeHandlers } from "#kernel/operations/upgrades.ts";
import {
  authoritySpec,
  cellsSpec,
  compilerSpec,
  eventStoreSpec,
  gatewaySpec,
  rolloutsSpec,
  settingsSpec,
  runtimeMonitorSpec,
  upkeepSpec,
  vaultSpec,
  type GatewayPart,
} from "#kernel/parts.ts";
import { Port } from "#kernel/port.ts";
import { HostApi } from "#kernel/services/host-api.ts";
import { openEgress, Outbound } from "#kernel/services/outbound.ts";
import { ServiceAuthority } from "#kernel/services/service-authority.ts";
import { WakeGate } from "#kernel/services/wake-gate.ts";
import { ServiceKv } from "#kernel/services/service-kv.ts";
import { RuntimeMonitor } from "#kernel/runtime-monitor.ts";
import { type MasterKeys, Secrets } from "#kernel/secrets.ts";
import { Settings } from "#kernel/settings.ts";
import { States } from "#kernel/states.ts";
import { Store } from "#kernel/store.ts";
import { TenantRegister } from "#kernel/tenant-register.ts";
import { Tenants } from "#kernel/tenants.ts";
import { startTree } from "#kernel/tree.ts";
import { flushAll } from "#kernel/upkeep.ts";
import { noFaults, type Faults } from "#kernel/upgrades/faults.ts";
import { RolloutDriver } from "#kernel/upgrades/rollout-driver.ts";
import { Upgrades } from "#kernel/upgrades/upgrades.ts";
import type { TreeNode } from "#supervisor/child.ts";
import type { Supervisor } from "#supervisor/supervisor.ts";

export interface KernelOptions {
  readonly loaded: LoadedConfig;
  readonly clock: Clock;
  readonly log: Logger;
  readonly version: string;
  readonly ownerToken: string;
  readonly masterKeys: MasterKeys;
  readonly launch: Launcher;
  readonly cellArgs: readonly string[];
  /** Changes whenever the compiler's output might. */
  readonly compilerVersion: string;
  /** Started in this order, after everything they serve. */
  readonly gateways: readonly GatewayPart[];
  /** What happens between the steps of a swap; nothing unless given. */
  readonly faults?: Faults;
  /** Called with every configuration that comes into force. */
  readonly onConfig?: (config: Config) => void;
  /** Somebody asked for the end through the API. */
  readonly onShutdown: (drainMs: number | undefined) => void;
}

const START_FAILED_STOP_MS = 5000;

type Phase = "starting" | "open" | "stopping";

export class Kernel implements AsyncDisposable {
  readonly port: KernelPort;
  readonly tenants: Tenants;
  readonly events: EventLog;
  readonly #options: KernelOptions;
  readonly #root: Supervisor;
  readonly #upgrades: Upgrades;
  readonly #rollouts: RolloutDriver;
  readonly #egress: Egress;
  readonly #state: { phase: Phase };
  readonly #startedAt: number;
  readonly #config: Config;
  readonly #loader: BootLoader;
  #stopping: Promise<void> | undefined;

  private constructor(parts: {
    options: KernelOptions;
    port: KernelPort;
    tenants: Tenants;
    events: EventLog;
    root: Supervisor;
    upgrades: Upgrades;
    rollouts: RolloutDriver;
    egress: Egress;
    state: { phase: Phase };
    startedAt: number;
    config: Config;
    loader: BootLoader;
  }) {
    this.#config = parts.config;
    this.#options = parts.options;
    this.port = parts.port;
    this.tenants = parts.tenants;
    this.events = parts.events;
    this.#root = parts.root;
    this.#upgrades = parts.upgrades;
    this.#rollouts = parts.rollouts;
    this.#egress = parts.egress;
    this.#state = parts.state;
    this.#startedAt = parts.startedAt;
    this.#loader = parts.loader;
  }

  static async start(
    options: KernelOptions,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<Kernel> {
    const { loaded, clock, log, launch, onConfig } = options;
    const startedAt = clock.now();
    const state: { phase: Phase } = { phase: "starting" };
    const opened = Promise.withResolvers<void>();
    const store = new Store();
    const events = new EventLog({ clock, bootId: randomUUID() });
    const settings = new Settings({ loaded, kv: store.kv, events, log, onChange: onConfig });
    const config = settings.live;
    const logs = new ServiceLogs({ clock });
    const metrics = new Metrics();
    const tenants = new Tenants({ clock, log });
    const register = new TenantRegister({ kv: store.kv, clock, tenants, config });
    const cells = new CellPool({
      launch,
      clock,
      log,
      spares: config.limits.spare_cells,
      cellArgs: options.cellArgs,
      memoryBytes: (tenant) => cellMemoryBytes(config, tenant),
      cpuPercent: (tenant) => tenantBounds(config, tenant).cpuPercent,
      outOfMemory: (tenant) => limits.ranOutOfMemory(tenant),
    });
    const monitor = new RuntimeMonitor({
      events,
      log,
      dataDir: config.solo.data_dir,
      thresholds: pressureThresholds(config),
      cells: () => cells.size,
      instances: () => tenants.instanceCount,
    });
    const compiler = new Compiler({ launch, log });
    const snapshots = new Snapshots({ kv: store.kv, wallMs: () => clock.wallMs() });
    const dormants = new Dormants({ kv: store.kv, snapshots });
    const wakes = new WakeGate();
    const deployments = new Deployments(store.kv);
    const kv = new ServiceKv(store.kv);
    const limits = new LimitsBook({
      clock,
      log,
      events,
      logs,
      kv,
      metrics,
      bounds: (tenant) => tenantBounds(config, tenant),
    });
    const egress = openEgress(config);
    const audit = new CapabilityAudit({
      events,
      clock,
      log,
      verifiedEvery: config.security.audit_verified_every,
    });
    const authority = new Authority({
      ownerToken: options.ownerToken,
      kv: store.kv,
      clock,
      log,
      audit,
      ratePerMinute: () => config.security.rate_limit_per_capability,
    });
    const services = new ServiceAuthority({
      capabilities: () => authority.capabilities,
      audit,
      clock,
    });
    const secrets = new Secrets({ store, events, clock, log, keys: options.masterKeys });
    const powers = {
      clock,
      log,
      events,
      cells,
      compiler,
      snapshots,
      dormants,
      wakes,
      logs,
      metrics,
      secrets,
      limits,
    };
    const revisions = new Revisions({ kv: store.kv, keep: config.limits.revisions_kept });
    const rolloutRecords = new Rollouts(store.kv);
    const defaults = (tenant: string) => specDefaults(config, tenant);
    const hostApi = new HostApi({
      find: (key) => tenants.find(key),
      kv,
      events,
      outbound: new Outbound({ egress, metrics, authority: services }),
      authority: services,
    });
    const sources = new Sources({
      compiler,
      cache: new CompileCache({ kv: store.kv, log, version: options.compilerVersion }),
      level: (tenant) => config.tenants[tenant]?.analysis ?? config.security.analysis,
    });
    const deployer = new Deployer({
      ...powers,
      tenants,
      deployments,
      revisions,
      rollouts: rolloutRecords,
      kv,
      powers,
      sources,
      authority: services,
      hostApi,
      defaults,
      admission: {
        refusal: (tenant) => monitor.refusal() ?? register.refusal(tenant),
        get maxTotal() {
          return config.limits.max_total;
        },
        maxPerTenant: (tenant) =>
          config.tenants[tenant]?.max_per_tenant ?? config.limits.max_per_tenant,
      },
    });
    const changing = {
      tenants,
      deployer,
      snapshots,
      revisions,
      powers,
      hostApi,
      faults: options.faults ?? noFaults,
    };
    const rollouts = new RolloutDriver({ ...changing, dormants, rollouts: rolloutRecords });
    const upgrades = new Upgrades({ ...changing, sources, defaults, rollouts });
    const loader = new BootLoader({
      deployments,
      dormants,
      deployer,
      tenants,
      rollouts,
      events,
      clock,
      log,
    });
    let root: Supervisor | undefined;
    const tree = (): TreeNode => root!.tree();
    const port = new Port({
      authority,
      tenants,
      metrics,
      clock,
      log,
      opened: opened.promise,
      isOpen: () => state.phase === "open",
      handlers: {
        ...serviceHandlers({ clock, tenants, deployer, upgrades }),
        ...upgradeHandlers({ clock, tenants, revisions, upgrades }),
        ...rolloutHandlers({ tenants, rollouts }),
        ...secretHandlers({ secrets }),
        ...messageHandlers({ tenants, logs }),
        ...stateHandlers({ states: new States({ tenants, snapshots, deployer }) }),
        ...eventHandlers({ events, store }),
        ...capabilityHandlers({ authority, audit, tenants }),
        ...tenantHandlers({ register, settings, tenants, deployer, authority, events, secrets }),
        ...configHandlers(settings),
        ...kernelHandlers({
          clock,
          version: options.version,
          startedAt,
          tenants,
          processCount: () => cells.size + 2,
          status: () =>
            state.phase === "stopping" ? "stopping" : store.isAttached ? "ok" : "degraded",
          pressure: () => monitor.high,
          tree,
          isKnown: (principal) => authority.isKnown(principal),
          bootReport: () => loader.report,
          shutdown: options.onShutdown,
        }),
      },
    });
    metrics.observe({
      services: () => tenants.metrics(),
      tenants: () => limits.tenants(),
      cells: () => cells.size,
      runtime: () => monitor.readings,
      eventHead: () => events.head(),
    });
    root = await startTree({
      clock,
      log,
      signal,
      onEvent: auditTree({ events, log }),
      cells: cellsSpec(cells),
      system: [
        eventStoreSpec({ config, clock, store, events, logs }),
        settingsSpec({ settings, register }),
        authoritySpec(authority),
        runtimeMonitorSpec(monitor),
        vaultSpec(secrets),
        compilerSpec(compiler),
        upkeepSpec({ tenants, clock, log, loader, limits, cells }),
        rolloutsSpec(rollouts),
        ...options.gateways.map((gateway) => gatewaySpec(gateway, port)),
      ],
      tenants: tenants.spec(),
    });
    try {
      await loader.boot();
      // Its cells have been starting beside all this: the first deploy shall find one.
      await cells.warm();
    } catch (error) {
      opened.resolve();
      await root.stop({ timeoutMs: START_FAILED_STOP_MS });
      egress.close();
      events[Symbol.dispose]();
      throw error;
    }
    state.phase = "open";
    opened.resolve();
    events.emit({
      type: "system_started",
      payload: {
        version: options.version,
        pid: process.pid,
        started_in_ms: Math.round(clock.now() - startedAt),
      },
    });
    return new Kernel({
      upgrades,
      rollouts,
      options,
      port,
      tenants,
      events,
      root,
      egress,
      state,
      startedAt,
      config,
      loader,
    });
  }

  /** What came back at its start. */
  get bootReport(): BootReport {
    return this.#loader.report!;
  }

  /** Resolves when the kernel has ended by itself: its supervisor gave up. */
  get failed(): Promise<unknown> {
    return this.#root.exited;
  }

  stop(options: { readonly reason: string; readonly drainMs?: number | undefined }): Promise<void> {
    return (this.#stopping ??= this.#stop(options));
  }

  async #stop({
    reason,
    drainMs,
  }: {
    reason: string;
    drainMs?: number | undefined;
  }): Promise<void> {
    const { clock, log } = this.#options;
    const config = this.#config;
    this.#state.phase = "stopping";
    this.#upgrades.close();
    await this.#rollouts.close();
    const deadline = clock.now() + (drainMs ?? config.limits.drain_ms);
    while (this.#inFlight() > 0 && clock.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const left = this.#inFlight();
    if (left > 0) log.warn("messages were not finished in time", { messages: left });
    await flushAll(this.tenants, log);
    const uptime_ms = Math.round(clock.now() - this.#startedAt);
    await this.events
      .append({ type: "system_stopped", payload: { reason, uptime_ms } })
      .catch((error: unknown) => {
        log.error("the stop was not recorded", { error: String(error) });
      });
    await this.#root.stop({ timeoutMs: Math.max(5000, config.limits.drain_ms) });
    this.#egress.close();
    this.events[Symbol.dispose]();
  }

  /** At once: nothing is drained, flushed or recorded. */
  kill(): void {
    this.#upgrades.close();
    void this.#rollouts.close();
    this.#root.kill();
    this.#egress.close();
  }

  #inFlight(): number {
    let count = 0;
    for (const service of this.tenants.all()) count += service.mailboxLength;
    return count;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop({ reason: "disposed" });
  }
}
