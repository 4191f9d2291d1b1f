/**
 * What is known and told of a service: events, counters, the last crash.
 *
 * 1. Events of one service keep their order: a restart is recorded after the crash that
 *    led to it, and names it as its cause.
 */
import type { RevisionId, ServiceKey } from "#base/ids.ts";
import type { EventType } from "#events/types.ts";
import { describeCrash, type CrashReport } from "#kernel/services/crash-report.ts";
import type { Instance } from "#kernel/services/instance.ts";
import type { InstanceCrash } from "#kernel/services/outcomes.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { CompiledModule } from "#wire/compiler.ts";

export interface RecordOptions {
  readonly key: ServiceKey;
  readonly revision: RevisionId;
  readonly powers: ServicePowers;
  readonly modules: readonly CompiledModule[];
  /** Of the revision before this one: its counters go on. */
  readonly before?: ServiceRecord | undefined;
}

export class ServiceRecord {
  readonly #options: RecordOptions;
  restarts = 0;
  messages = 0;
  errors = 0;
  lastCrash: CrashReport | undefined;
  /** The last instance's handlers; undefined before the first has started. */
  handlers: ReadonlySet<string> | undefined;
  version: string | undefined;
  startedAt = 0;
  /** CPU time of instances that are gone, ms. */
  #spentCpuMs = 0;
  #instance: Instance | undefined;
  #cause: number | undefined;
  /** Events are recorded one after the other, though a crash report takes a moment. */
  #chain: Promise<void> = Promise.resolve();

  constructor(options: RecordOptions) {
    this.#options = options;
    const { before } = options;
    if (before === undefined) return;
    this.restarts = before.restarts;
    this.messages = before.messages;
    this.errors = before.errors;
    this.lastCrash = before.lastCrash;
    this.#spentCpuMs = before.cpuMs;
  }

  get cpuMs(): number {
    return this.#spentCpuMs + (this.#instance?.cpuMs ?? 0);
  }

  started(instance: Instance): void {
    this.#spentCpuMs = this.cpuMs;
    const again = this.#instance !== undefined;
    this.#instance = instance;
    this.handlers = new Set(instance.started.handlers);
    this.version = instance.started.version;
    this.startedAt = this.#options.powers.clock.now();
    if (again) this.restarts += 1;
    const revision = this.#options.revision;
    const payload = {
      instance_id: instance.id,
      revision,
      ...(again && { restarts: this.restarts }),
    };
    this.#record(again ? "service_restarted" : "service_started", payload);
  }

  /** The crash with its stack in the agent's source. */
  describe(crash: InstanceCrash): Promise<CrashReport> {
    const { modules, powers } = this.#options;
    return describeCrash({
      crash,
      modules,
      compiler: powers.compiler,
      wallMs: powers.clock.wallMs(),
    });
  }

  crashed(crash: InstanceCrash): void {
    const { powers } = this.#options;
    const instance_id = this.#instance?.id ?? "";
    const memory_bytes = this.#instance?.heapBytes ?? 0;
    const restarts = this.restarts;
    powers.metrics.crashed(this.#options.key);
    this.#then(async () => {
      const report = await this.describe(crash);
      const { at: _, ...payload } = report;
      const last_messages = crash.handlers;
      const id = this.#emit("service_crashed", {
        ...payload,
        instance_id,
        revision: this.#options.revision,
        restarts,
        memory_bytes,
        last_messages,
      });
      this.#cause = id;
      this.lastCrash = { ...report, ...(id !== undefined && { event_id: id }) };
    });
  }

  /** A restart did not get as far as running: no instance, but a crash all the same. */
  startFailed(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const at = new Date(this.#options.powers.clock.wallMs()).toISOString();
    this.#then(async () => {
      const report = { reason: "start_failed", message, stack: "" };
      const id = this.#emit("service_crashed", {
        ...report,
        instance_id: "",
        revision: this.#options.revision,
        restarts: this.restarts,
      });
      this.#cause = id;
      this.lastCrash = { at, ...report, ...(id !== undefined && { event_id: id }) };
    });
  }

  /** The cell died under it; nothing is held against it. */
  relocated(crash: InstanceCrash): void {
    this.#record("service_crashed", {
      instance_id: this.#instance?.id ?? "",
      revision: this.#options.revision,
      reason: "cell",
      message: crash.message,
      restarts: this.restarts,
      innocent: true,
    });
  }

  quarantined(failures: number): void {
    this.#record("service_quarantined", { crashes: failures, revision: this.#options.revision });
  }

  /** Resolves when everything so far is recorded. */
  settled(): Promise<void> {
    return this.#chain;
  }

  #record(type: EventType, payload: Record<string, unknown>): void {
    this.#then(async () => {
      const id = this.#emit(type, payload, this.#cause);
      if (type === "service_crashed") this.#cause = id;
    });
  }

  #emit(
    type: EventType,
    payload: Record<string, unknown>,
    causationId?: number,
  ): number | undefined {
    const { events, log } = this.#options.powers;
    const { tenant, service } = this.#options.key;
    try {
      return events.emit({ type, tenantId: tenant, subject: service, payload, causationId });
    } catch (error) {
      // The log is full or gone; the service's life goes on without its record.
      log.error("event not recorded", { type, error: String(error) });
      return undefined;
    }
  }

  #then(act: () => Promise<void>): void {
    this.#chain = this.#chain.then(act).catch((error: unknown) => {
      this.#options.powers.log.error("crash not reported", { error: String(error) });
    });
  }
}
