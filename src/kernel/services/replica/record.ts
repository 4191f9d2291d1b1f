/**
 * What is known and told of a replica: events, counters, the last crash.
 *
 * 1. Events of one replica keep their order: a restart is recorded after the crash that
 *    led to it, and names it as its cause.
 */
import type { SoloError } from "#base/errors.ts";
import type { ServiceKey } from "#base/ids.ts";
import type { Dormant } from "#deploy/dormants.ts";
import type { EventType } from "#events/types.ts";
import type { Down } from "#kernel/services/messages/channels.ts";
import {
  crashText,
  describeCrash,
  type CrashReport,
} from "#kernel/services/replica/crash-report.ts";
import type { Instance } from "#kernel/services/instance/instance.ts";
import type { InstanceCrash } from "#kernel/services/instance/outcomes.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { HeldBack } from "#kernel/services/messages/refusals.ts";
import type { Revision } from "#kernel/services/revision.ts";

export interface RecordOptions {
  readonly key: ServiceKey;
  readonly slot: number;
  readonly revision: Revision;
  readonly powers: ServicePowers;
  /** Of the slot's replica before this one: its counters go on. */
  readonly before?: ReplicaRecord | undefined;
}

export class ReplicaRecord {
  readonly #options: Omit<RecordOptions, "before">;
  /** Of all replicas that the slot has had. */
  readonly counts: {
    restarts: number;
    messages: number;
    errors: number;
    lastCrash: CrashReport | undefined;
  };
  /** The last instance's handlers; undefined before the first has started. */
  handlers: ReadonlySet<string> | undefined;
  version: string | undefined;
  /** Why it does not run, and when it is tried again; until it has started. */
  heldBack: HeldBack | undefined;
  /** What the last crash said; its report, with the stack, takes a moment. */
  crashText: string | undefined;
  startedAt = 0;
  /** CPU time of instances that are gone, ms. */
  #spentCpuMs = 0;
  /** Until the first instance of this one has started. */
  #before: ReplicaRecord | undefined;
  /** The one that runs or ran last; a sleeper holds on to none. */
  #instance: Instance | undefined;
  #hasRun = false;
  #cause: number | undefined;
  /** Events are recorded one after the other, though a crash report takes a moment. */
  #chain: Promise<void> = Promise.resolve();

  constructor({ before, ...options }: RecordOptions) {
    this.#options = options;
    this.#before = before;
    this.counts = before?.counts ?? { restarts: 0, messages: 0, errors: 0, lastCrash: undefined };
  }

  get cpuMs(): number {
    return this.#spentCpuMs + (this.#instance?.cpuMs ?? 0);
  }

  started(instance: Instance): void {
    this.#spentCpuMs = this.#before?.cpuMs ?? this.cpuMs;
    this.#before = undefined;
    this.heldBack = undefined;
    const again = this.#hasRun;
    this.#hasRun = true;
    this.#instance = instance;
    this.handlers = new Set(instance.started.handlers);
    this.version = instance.started.version;
    this.startedAt = this.#options.powers.clock.now();
    if (again) this.counts.restarts += 1;
    const payload = {
      instance_id: instance.id,
      ...(again && { restarts: this.counts.restarts }),
    };
    this.#record(again ? "service_restarted" : "service_started", payload);
  }

  /** An instance that goes on where a sleeping one stopped: nothing was restarted. */
  woken(
    instance: Instance,
    payload: { readonly slept_ms: number; readonly took_ms: number },
  ): void {
    this.#spentCpuMs = this.cpuMs;
    this.#hasRun = true;
    this.#instance = instance;
    this.handlers = new Set(instance.started.handlers);
    this.version = instance.started.version;
    this.startedAt = this.#options.powers.clock.now();
    this.#record("service_woken", { instance_id: instance.id, ...payload });
  }

  hibernated(
    instance: Instance,
    payload: { readonly idle_ms: number; readonly state_bytes: number },
  ): void {
    this.#record("service_hibernated", { instance_id: instance.id, ...payload });
    this.#spentCpuMs = this.cpuMs;
    this.#instance = undefined;
  }

  /** As it was when an earlier kernel ended. */
  asleep({ handlers, version }: Dormant): void {
    this.handlers = new Set(handlers);
    this.version = version;
  }

  /** The newest stored state was damaged; it starts with the one before it. */
  fellBack(savedAtMs: number | undefined): void {
    this.#record("state_recovered", {
      ...(savedAtMs !== undefined && { saved_at: new Date(savedAtMs).toISOString() }),
    });
  }

  /** Its newest state could not be written; it is tried again. */
  notStored({ code, message }: SoloError): void {
    this.#record("state_not_stored", { code, detail: message });
  }

  storedAgain(): void {
    this.#record("state_stored_again", {});
  }

  /** It counts against the restart intensity. */
  crashed(crash: InstanceCrash): void {
    this.#options.powers.metrics.crashed(this.#options.key);
    this.crashText = crashText(crash);
    this.#ended(crash, { innocent: false });
  }

  /** The cell ended under it; nothing is held against it, though it may be a suspect. */
  relocated(crash: InstanceCrash): void {
    this.#ended(crash, { innocent: true });
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
        restarts: this.counts.restarts,
      });
      this.#cause = id;
      this.counts.lastCrash = { at, ...report, ...(id !== undefined && { event_id: id }) };
      this.#tell("crashed", message);
    });
  }

  quarantined(failures: number): void {
    this.#record("service_quarantined", { crashes: failures });
    this.#then(async () => this.#tell("quarantined", `It crashed ${failures} times.`));
  }

  /** Resolves when everything so far is recorded. */
  settled(): Promise<void> {
    return this.#chain;
  }

  #ended(crash: InstanceCrash, { innocent }: { readonly innocent: boolean }): void {
    const { powers, revision } = this.#options;
    const instance_id = this.#instance?.id ?? "";
    const memory_bytes = this.#instance?.heapBytes ?? 0;
    const { restarts } = this.counts;
    this.#then(async () => {
      const report = {
        ...(await describeCrash({ crash, revision, powers })),
        ...(innocent && { innocent }),
      };
      const { at: _, ...payload } = report;
      const id = this.#emit("service_crashed", { ...payload, instance_id, restarts, memory_bytes });
      this.#cause = id;
      this.counts.lastCrash = { ...report, ...(id !== undefined && { event_id: id }) };
      this.#tell("crashed", report.message);
    });
  }

  /** Those who monitor it hear of it once it is on record. */
  #tell(reason: Down["reason"], message: string): void {
    const { key, powers } = this.#options;
    powers.channels.down(key.tenant, { service: key.service, reason, message });
  }

  #record(type: EventType, payload: Record<string, unknown>): void {
    this.#then(async () => void this.#emit(type, payload, this.#cause));
  }

  #emit(
    type: EventType,
    payload: Record<string, unknown>,
    causationId?: number,
  ): number | undefined {
    const { key, slot, revision, powers } = this.#options;
    const { events, log } = powers;
    const where = { revision: revision.id, ...(revision.spec.instances > 1 && { slot }) };
    try {
      return events.emit({
        type,
        tenantId: key.tenant,
        subject: key.service,
        payload: { ...payload, ...where },
        causationId,
      });
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
