/**
 * The kernel's long-lived parts, each made once, from the ground up. Nothing runs yet: what
 * runs, and in which order, is the tree's.
 */
import { randomUUID } from "node:crypto";
import type { Clock } from "#base/clock.ts";
import type { Logger } from "#base/log.ts";
import type { LoadedConfig } from "#config/load.ts";
import type { Config } from "#config/schema.ts";
import { BootAttempts } from "#deploy/boot-attempts.ts";
import { CompileCache } from "#deploy/compile-cache.ts";
import { Deployments } from "#deploy/deployments.ts";
import { Dormants } from "#deploy/dormants.ts";
import { Revisions } from "#deploy/revisions.ts";
import { Probations } from "#deploy/probations.ts";
import { Rollouts } from "#deploy/rollouts.ts";
import { Snapshots } from "#deploy/snapshots.ts";
import { EventLog } from "#events/event-log.ts";
import { ServiceLogs } from "#events/service-logs.ts";
import { Authority } from "#kernel/authority.ts";
import { BootLoader } from "#kernel/boot.ts";
import { CapabilityAudit } from "#kernel/capability-audit.ts";
import type { Launcher } from "#kernel/cells/launcher.ts";
import { CellPool } from "#kernel/cells/pool.ts";
import { CompilerPool } from "#kernel/compilers/pool.ts";
import {
  cellMemoryBytes,
  pressureThresholds,
  specDefaults,
  tenantBounds,
} from "#kernel/defaults.ts";
import { Deployer } from "#kernel/deploys/deployer.ts";
import { Handles } from "#kernel/deploys/handles.ts";
import { ServiceLocks } from "#kernel/deploys/locks.ts";
import { Remover } from "#kernel/deploys/remover.ts";
import { Restarter } from "#kernel/deploys/restarter.ts";
import { Reviver } from "#kernel/deploys/reviver.ts";
import { ServiceFactory } from "#kernel/deploys/service-factory.ts";
import { Sources } from "#kernel/deploys/sources.ts";
import { LimitsBook } from "#kernel/limits/book.ts";
import { Metrics } from "#kernel/metrics.ts";
import { RuntimeMonitor } from "#kernel/runtime-monitor.ts";
import { type MasterKeys, Secrets } from "#kernel/secrets.ts";
import { Channels } from "#kernel/services/messages/channels.ts";
import { HostApi } from "#kernel/services/host/host-api.ts";
import { openEgress, Outbound } from "#kernel/services/host/outbound.ts";
import { ServiceAuthority } from "#kernel/services/host/service-authority.ts";
import { ServiceKv } from "#kernel/services/host/service-kv.ts";
import { WakeGate } from "#kernel/services/state/wake-gate.ts";
import { Settings } from "#kernel/settings.ts";
import { States } from "#kernel/states.ts";
import { Store } from "#kernel/store.ts";
import { TenantRegister } from "#kernel/tenant-register.ts";
import { Tenants } from "#kernel/tenants.ts";
import { noFaults, type Faults } from "#kernel/faults.ts";
import { ProbationKeeper } from "#kernel/upgrades/probation-keeper.ts";
import { RolloutDriver } from "#kernel/upgrades/rollout-driver.ts";
import { Upgrades } from "#kernel/upgrades/upgrades.ts";

export interface AssemblyOptions {
  readonly loaded: LoadedConfig;
  readonly clock: Clock;
  readonly log: Logger;
  readonly ownerToken: string;
  readonly masterKeys: MasterKeys;
  readonly launch: Launcher;
  readonly cellArgs: readonly string[];
  /** Changes whenever the compiler's output might. */
  readonly compilerVersion: string;
  /** What happens between the steps of what must survive; nothing unless given. */
  readonly faults?: Faults;
  /** Called with every configuration that comes into force. */
  readonly onConfig?: (config: Config) => void;
}

export type Assembly = ReturnType<typeof assemble>;

export function assemble(options: AssemblyOptions) {
  const ground = makeGround(options);
  const authorities = makeAuthorities(options, ground);
  const cells = makeCells(options, ground);
  const world = makeWorld(options, { ...ground, ...authorities, ...cells });
  const alive = { ...ground, ...authorities, ...cells, ...world };
  const deploys = makeDeploys(options, alive);
  const ready = { ...alive, ...deploys };
  return { ...ready, ...makeChanges(ready) };
}

type Ground = ReturnType<typeof makeGround>;

/** What everything else stands on: storage, events, settings, and who is there. */
function makeGround({ loaded, clock, log, onConfig }: AssemblyOptions) {
  const store = new Store();
  const { kv } = store;
  const events = new EventLog({ clock, bootId: randomUUID() });
  const settings = new Settings({ loaded, kv, events, log, onChange: onConfig });
  const config = settings.live;
  const tenants = new Tenants({ clock, log });
  const snapshots = new Snapshots({ kv, wallMs: () => clock.wallMs() });
  return {
    clock,
    log,
    store,
    events,
    settings,
    config,
    logs: new ServiceLogs({ clock }),
    metrics: new Metrics(),
    tenants,
    register: new TenantRegister({ kv, clock, tenants, config }),
    snapshots,
    dormants: new Dormants({ kv, snapshots }),
    deployments: new Deployments(kv),
    attempts: new BootAttempts(kv),
    revisions: new Revisions({ kv, keep: config.limits.revisions_kept }),
    rolloutRecords: new Rollouts(kv),
    probationRecords: new Probations(kv),
  };
}

type Authorities = ReturnType<typeof makeAuthorities>;

/** Who may do what, and with which secrets. */
function makeAuthorities(
  { ownerToken, masterKeys }: AssemblyOptions,
  { clock, log, events, store, config }: Ground,
) {
  const verifiedEvery = config.security.audit_verified_every;
  const audit = new CapabilityAudit({ events, clock, log, verifiedEvery });
  const authority = new Authority({
    ownerToken,
    kv: store.kv,
    clock,
    log,
    audit,
    ratePerMinute: () => config.security.rate_limit_per_capability,
  });
  const capabilities = () => authority.capabilities;
  return {
    audit,
    authority,
    serviceAuthority: new ServiceAuthority({ capabilities, audit, clock }),
    secrets: new Secrets({ store, events, clock, log, keys: masterKeys }),
  };
}

type Cells = ReturnType<typeof makeCells>;

/** The untrusted processes, what may be used in them, and the eye on the host. */
function makeCells(
  { launch, cellArgs }: AssemblyOptions,
  { clock, log, events, logs, metrics, store, tenants, config }: Ground,
) {
  const kv = new ServiceKv(store.kv);
  const bounds = (tenant: string) => tenantBounds(config, tenant);
  const limits = new LimitsBook({ clock, log, events, logs, kv, metrics, bounds });
  const cells = new CellPool({
    launch,
    clock,
    log,
    spares: config.limits.spare_cells,
    cellArgs,
    memoryBytes: (tenant) => cellMemoryBytes(config, tenant),
    cpuPercent: (tenant) => bounds(tenant).cpuPercent,
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
  const compilers = new CompilerPool({ launch, clock, log, limit: config.limits.compilers });
  return { kv, limits, cells, monitor, compilers };
}

type World = ReturnType<typeof makeWorld>;

/** What services live with, and what they may ask for. */
function makeWorld({ faults = noFaults }: AssemblyOptions, parts: Ground & Authorities & Cells) {
  const { config, tenants, events, kv, metrics, serviceAuthority: authority } = parts;
  const channels = new Channels(authority);
  const egress = openEgress(config);
  const outbound = new Outbound({ egress, metrics, authority });
  const find = tenants.find.bind(tenants);
  return {
    egress,
    faults,
    powers: { ...parts, faults, wakes: new WakeGate(), channels },
    hostApi: new HostApi({ find, kv, events, outbound, channels, authority }),
  };
}

type Deploys = ReturnType<typeof makeDeploys>;

/** From a request to a service, from its record to a service, and back to nothing. */
function makeDeploys(options: AssemblyOptions, parts: Ground & Authorities & Cells & World) {
  const { store, config, log, register, monitor, compilers, serviceAuthority: authority } = parts;
  const sources = new Sources({
    compilers,
    cache: new CompileCache({ kv: store.kv, log, version: options.compilerVersion }),
    level: (tenant) => config.tenants[tenant]?.analysis ?? config.security.analysis,
  });
  const defaults = (tenant: string) => specDefaults(config, tenant);
  const { rolloutRecords: rollouts, probationRecords: probations } = parts;
  const locks = new ServiceLocks();
  const handles = new Handles({ ...parts, authority });
  const factory = new ServiceFactory({ ...parts, sources, authority, defaults, locks });
  const remover = new Remover({ ...parts, locks, rollouts, probations, authority });
  const making = { sources, defaults, locks, handles, factory, remover };
  return {
    ...making,
    restarter: new Restarter({ ...parts, locks }),
    reviver: new Reviver({ ...parts, authority, factory }),
    deployer: new Deployer({
      ...parts,
      ...making,
      admission: {
        refusal: (tenant) => monitor.refusal() ?? register.refusal(tenant),
        maxTotal: () => config.limits.max_total,
        maxPerTenant: (tenant) =>
          config.tenants[tenant]?.max_per_tenant ?? config.limits.max_per_tenant,
      },
    }),
  };
}

/** Changes of services that run, and the start that goes on with them. */
function makeChanges(parts: Ground & Authorities & Cells & World & Deploys) {
  const { monitor, limits } = parts;
  const { rolloutRecords, probationRecords } = parts;
  const rollouts = new RolloutDriver({ ...parts, rollouts: rolloutRecords });
  const probations = new ProbationKeeper({
    ...parts,
    probations: probationRecords,
    hasRoom: (tenant) =>
      monitor.high.length === 0 && limits.tenant(tenant).meter.levelOf("tenant_memory") === "ok",
  });
  return {
    rollouts,
    probations,
    upgrades: new Upgrades({ ...parts, rollouts, probations }),
    states: new States({ ...parts, probations }),
    loader: new BootLoader({ ...parts, rollouts, probations }),
  };
}
