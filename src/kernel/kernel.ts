/**
 * The kernel's life: it assembles its parts, has the tree start them, and ends in order.
 *
 * 1. `start` resolves when every service is back and every gateway listens.
 * 2. `stop` is idempotent: what is in flight is finished first, until the drain time is over.
 */
import type { KernelPort } from "#api/kernel-port.ts";
import type { EventLog } from "#events/event-log.ts";
import { assemble, type Assembly, type AssemblyOptions } from "#kernel/assembly.ts";
import { auditTree } from "#kernel/audit.ts";
import type { BootReport } from "#kernel/boot.ts";
import { allHandlers } from "#kernel/operations/all.ts";
import {
  authoritySpec,
  cellsSpec,
  compilerSpec,
  eventStoreSpec,
  gatewaySpec,
  rolloutsSpec,
  runtimeMonitorSpec,
  settingsSpec,
  upkeepSpec,
  vaultSpec,
  type GatewayPart,
} from "#kernel/parts.ts";
import { Port } from "#kernel/port.ts";
import type { Tenants } from "#kernel/tenants.ts";
import { startTree } from "#kernel/tree.ts";
import { flushAll } from "#kernel/upkeep.ts";
import type { Supervisor } from "#supervisor/supervisor.ts";

export interface KernelOptions extends AssemblyOptions {
  readonly version: string;
  /** Started in this order, after everything they serve. */
  readonly gateways: readonly GatewayPart[];
  /** Somebody asked for the end through the API. */
  readonly onShutdown: (drainMs: number | undefined) => void;
}

const START_FAILED_STOP_MS = 5000;
const STOP_MS = 5000;
const DRAIN_POLL_MS = 10;

export class Kernel implements AsyncDisposable {
  readonly port: KernelPort;
  readonly #options: KernelOptions;
  readonly #parts: Assembly;
  readonly #startedAt: number;
  readonly #opened = Promise.withResolvers<void>();
  #phase: "starting" | "open" | "stopping" = "starting";
  #root: Supervisor | undefined;
  #stopping: Promise<void> | undefined;

  private constructor(options: KernelOptions) {
    this.#options = options;
    this.#startedAt = options.clock.now();
    this.#parts = assemble(options);
    this.port = this.#makePort();
  }

  static async start(
    options: KernelOptions,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<Kernel> {
    const kernel = new Kernel(options);
    await kernel.#start(signal);
    return kernel;
  }

  get tenants(): Tenants {
    return this.#parts.tenants;
  }

  get events(): EventLog {
    return this.#parts.events;
  }

  /** What came back at its start. */
  get bootReport(): BootReport {
    return this.#parts.loader.report!;
  }

  /** Resolves when the kernel has ended by itself: its supervisor gave up. */
  get failed(): Promise<unknown> {
    return this.#root!.exited;
  }

  stop(options: { readonly reason: string; readonly drainMs?: number | undefined }): Promise<void> {
    return (this.#stopping ??= this.#stop(options));
  }

  /** At once: nothing is drained, flushed or recorded. */
  kill(): void {
    const { probations, rollouts, egress } = this.#parts;
    probations.close();
    void rollouts.close();
    this.#root!.kill();
    egress.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop({ reason: "disposed" });
  }

  #makePort(): KernelPort {
    const { version, onShutdown } = this.#options;
    const parts = this.#parts;
    const { clock, tenants, cells, store, monitor, authority, loader } = parts;
    return new Port({
      ...parts,
      opened: this.#opened.promise,
      isOpen: () => this.#phase === "open",
      handlers: allHandlers(parts, {
        clock,
        version,
        startedAt: this.#startedAt,
        tenants,
        processCount: () => cells.size + 2,
        status: () => {
          if (this.#phase === "stopping") return "stopping";
          return store.isAttached ? "ok" : "degraded";
        },
        pressure: () => monitor.high,
        tree: () => this.#root!.tree(),
        isKnown: (principal) => authority.isKnown(principal),
        bootReport: () => loader.report,
        shutdown: onShutdown,
      }),
    });
  }

  async #start(signal: AbortSignal): Promise<void> {
    const { gateways, version } = this.#options;
    const parts = this.#parts;
    const { clock, log, events, tenants, limits, cells, monitor, loader, metrics } = parts;
    metrics.observe({
      services: () => tenants.metrics(),
      tenants: () => limits.tenants(),
      cells: () => cells.size,
      runtime: () => monitor.readings,
      eventHead: () => events.head(),
    });
    this.#root = await startTree({
      clock,
      log,
      signal,
      onEvent: auditTree({ events, log }),
      cells: cellsSpec(cells),
      system: [
        eventStoreSpec(parts),
        settingsSpec(parts),
        authoritySpec(parts.authority),
        runtimeMonitorSpec(monitor),
        vaultSpec(parts.secrets),
        compilerSpec(parts.compilers),
        upkeepSpec(parts),
        rolloutsSpec(parts.rollouts),
        ...gateways.map((gateway) => gatewaySpec(gateway, this.port)),
      ],
      tenants: tenants.spec(),
    });
    try {
      await loader.boot();
      // Its cells have been starting beside all this: the first deploy shall find one.
      await cells.warm();
    } catch (error) {
      this.#opened.resolve();
      await this.#root.stop({ timeoutMs: START_FAILED_STOP_MS });
      this.#close();
      throw error;
    }
    this.#phase = "open";
    this.#opened.resolve();
    const started_in_ms = Math.round(clock.now() - this.#startedAt);
    events.emit({ type: "system_started", payload: { version, pid: process.pid, started_in_ms } });
  }

  async #stop({
    reason,
    drainMs,
  }: {
    reason: string;
    drainMs?: number | undefined;
  }): Promise<void> {
    const { clock, log, config, events, tenants, probations, rollouts, sources } = this.#parts;
    this.#phase = "stopping";
    probations.close();
    await rollouts.close();
    const deadline = clock.now() + (drainMs ?? config.limits.drain_ms);
    while (this.#inFlight() > 0 && clock.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
    const left = this.#inFlight();
    if (left > 0) log.warn("messages were not finished in time", { messages: left });
    await Promise.all([flushAll(tenants, log), sources.close()]);
    const uptime_ms = Math.round(clock.now() - this.#startedAt);
    await events
      .append({ type: "system_stopped", payload: { reason, uptime_ms } })
      .catch((error: unknown) => {
        log.error("the stop was not recorded", { error: String(error) });
      });
    await this.#root!.stop({ timeoutMs: Math.max(STOP_MS, config.limits.drain_ms) });
    this.#close();
  }

  /** What has no place in the tree. */
  #close(): void {
    this.#parts.egress.close();
    this.#parts.events[Symbol.dispose]();
  }

  /** A handler whose caller is gone gets no more time than its service has to terminate. */
  #inFlight(): number {
    let count = 0;
    for (const service of this.tenants.all()) count += service.awaitedMessages;
    return count;
  }
}
