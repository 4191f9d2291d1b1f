/**
 * The children of one supervisor: how one of them is started and stopped, and the account
 * given of it. What should happen to them is the supervisor's business.
 *
 * 1. `start` and `stop` are called in the record's lane only; `beginStop` and what hangs
 *    from `starting` and `stopping` may be called from anywhere.
 * 2. An exit nobody asked for is handed to `onExit` in the record's lane, with the record
 *    `stopped`; an exit that was asked for ends the stop that asked for it.
 * 3. A listener that throws changes nothing.
 */
import { SoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Child, ChildSpec, ExitReason } from "#supervisor/child.ts";
import { bringUp, exitOf, takeDown } from "#supervisor/effort.ts";
import type { ChildEvent, SupervisorEvent } from "#supervisor/events.ts";
import type { Lane } from "#supervisor/lane.ts";
import { MAX_CHILDREN } from "#supervisor/limits.ts";
import { ChildRecord } from "#supervisor/record.ts";

export interface ChildrenOptions {
  readonly supervisor: string;
  readonly onEvent: ((event: SupervisorEvent) => void) | undefined;
  readonly log: Logger;
  readonly onExit: (record: ChildRecord, reason: ExitReason) => Promise<void>;
}

export type StartOutcome =
  | { readonly kind: "up"; readonly child: Child }
  | { readonly kind: "failed" | "cancelled"; readonly error: unknown };

export class Children {
  /** In start order. */
  readonly records = new Map<string, ChildRecord>();
  readonly #options: ChildrenOptions;

  constructor(options: ChildrenOptions) {
    this.#options = options;
  }

  add(spec: ChildSpec, lane: Lane): ChildRecord {
    const { supervisor } = this.#options;
    if (this.records.has(spec.id)) {
      throw new SoloError("already_exists", `${supervisor} already has a child ${spec.id}.`);
    }
    if (this.records.size >= MAX_CHILDREN) {
      throw new SoloError("limit_exceeded", `${supervisor} already has ${MAX_CHILDREN} children.`);
    }
    const record = new ChildRecord(spec, lane);
    this.records.set(spec.id, record);
    return record;
  }

  forget(record: ChildRecord): void {
    if (this.records.get(record.spec.id) === record) this.records.delete(record.spec.id);
  }

  find(id: string): ChildRecord {
    const record = this.records.get(id);
    if (record !== undefined) return record;
    throw new SoloError("not_found", `${this.#options.supervisor} has no child ${id}.`);
  }

  async start(record: ChildRecord): Promise<StartOutcome> {
    record.move("starting");
    const starting = bringUp(record.spec);
    record.starting = starting;
    try {
      const child = await starting.done;
      record.child = child;
      record.move("running");
      this.tell(record, { kind: "child_started", restarts: record.restarts });
      void exitOf(child).then((reason) => this.#exited(record, { child, reason }));
      return { kind: "up", child };
    } catch (error) {
      record.move("stopped");
      if (starting.signal.aborted) return { kind: "cancelled", error };
      this.tell(record, { kind: "child_start_failed", error });
      return { kind: "failed", error };
    } finally {
      record.starting = undefined;
    }
  }

  async startOrThrow(record: ChildRecord): Promise<Child> {
    const outcome = await this.start(record);
    if (outcome.kind === "up") return outcome.child;
    throw outcome.error;
  }

  #exited(record: ChildRecord, exit: { child: Child; reason: ExitReason }): void {
    const { child, reason } = exit;
    void record.lane.run(async () => {
      // Being stopped, or stopped and perhaps started again in the meantime.
      if (record.stopping !== undefined || record.child !== child) return;
      record.child = undefined;
      record.move("stopped");
      this.tell(record, { kind: "child_exited", reason, asked: false });
      await this.#options.onExit(record, reason);
    });
  }

  /** Asks a running child to stop; once. */
  beginStop(record: ChildRecord, options: { brutally: boolean }): void {
    if (record.child === undefined || record.stopping !== undefined) return;
    record.move("stopping");
    record.stopping = takeDown(
      record.child,
      options.brutally ? "brutal_kill" : record.spec.shutdown,
    );
  }

  /** Afterwards the record is `stopped`, whatever it was before. */
  async stop(record: ChildRecord, options: { brutally: boolean }): Promise<void> {
    this.beginStop(record, options);
    if (record.stopping === undefined) {
      if (record.state !== "stopped") record.move("stopped");
      return;
    }
    const reason = await record.stopping.done;
    record.child = undefined;
    record.stopping = undefined;
    record.move("stopped");
    if (reason === undefined) this.tell(record, { kind: "child_abandoned" });
    else this.tell(record, { kind: "child_exited", reason, asked: true });
  }

  tell(record: ChildRecord, event: ChildEvent): void {
    const { supervisor, onEvent, log } = this.#options;
    try {
      onEvent?.({ ...event, supervisor, id: record.spec.id });
    } catch {
      log.error("a listener to supervisor events threw", { supervisor, event: event.kind });
    }
  }
}
