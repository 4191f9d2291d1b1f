/**
 * A supervisor: starts children in order, restarts them by its strategy, stops them in
 * reverse, and is a child itself, so that trees nest.
 *
 * 1. Start is all or nothing: when one child does not start, those before it are stopped
 *    in reverse and the start rejects with what that child's start threw.
 * 2. Whatever concerns a child runs in its lane, one thing at a time. Under `one_for_one`
 *    each child has its own lane, since no decision there touches two; under the other
 *    strategies all share one. Only cancelling a start and `kill` do not wait their turn.
 * 3. What to do after an exit is decided by decideExit; this file only performs it.
 *    A restart without delay begins in the microtasks after the exit, without a timer.
 * 4. Giving up stops all children and exits `shutdown`, as OTP does: a parent restarts
 *    a `permanent` supervisor after that, and leaves a `transient` or `temporary` one down.
 * 5. When `exited` settles, no child runs and no timer is left, but for children that
 *    outlived their kill; those were reported as `child_abandoned`.
 * 6. At most MAX_PENDING_COMMANDS commands wait, and one exit for each child.
 */
import { SoloError } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import { checkChild, checkSupervisor } from "#supervisor/check.ts";
import type {
  Child,
  ChildSpec,
  ExitReason,
  RestartKind,
  ShutdownKind,
  StopOptions,
  TreeNode,
} from "#supervisor/child.ts";
import { Children } from "#supervisor/children.ts";
import {
  decideExit,
  type Failure,
  type RestartDecision,
  type RestartRules,
} from "#supervisor/decide.ts";
import { Lane } from "#supervisor/lane.ts";
import { MAX_PENDING_COMMANDS } from "#supervisor/limits.ts";
import {
  rulesOf,
  type ChildCounts,
  type ChildInfo,
  type SupervisorOptions,
} from "#supervisor/options.ts";
import type { ChildRecord, Pause } from "#supervisor/record.ts";

export class Supervisor implements Child, AsyncDisposable {
  readonly id: string;
  readonly exited: Promise<ExitReason>;
  readonly #options: SupervisorOptions;
  readonly #rules: RestartRules;
  readonly #children: Children;
  readonly #sharedLane: Lane | undefined;
  readonly #exit: (reason: ExitReason) => void;
  #failures: readonly Failure[] = [];
  #pendingCommands = 0;
  #phase: "starting" | "running" | "stopping" | "stopped" = "starting";
  #killed = false;

  static async start(options: SupervisorOptions): Promise<Supervisor> {
    const { id, children = [], dynamic = false, signal } = options;
    const rules = rulesOf(options);
    checkSupervisor({ id, rules, dynamic, children });
    const supervisor = new Supervisor(options, rules);
    await supervisor.#startFirst(children, signal);
    return supervisor;
  }

  private constructor(options: SupervisorOptions, rules: RestartRules) {
    const { promise, resolve } = Promise.withResolvers<ExitReason>();
    this.id = options.id;
    this.exited = promise;
    this.#exit = resolve;
    this.#options = options;
    this.#rules = rules;
    this.#sharedLane = rules.strategy === "one_for_one" ? undefined : new Lane();
    this.#children = new Children({
      supervisor: options.id,
      onEvent: options.onEvent,
      log: options.log ?? silentLogger,
      onExit: (record, reason) => this.#recover(record, reason),
    });
  }

  // Commands

  /** Adds a child and starts it; when it does not start, its spec is dropped. */
  async startChild<C extends Child>(spec: ChildSpec<C>): Promise<C> {
    checkChild(spec);
    const lane = this.#sharedLane ?? new Lane();
    return this.#command(lane, async () => {
      const record = this.#children.add(spec, lane);
      try {
        return (await this.#children.startOrThrow(record)) as C;
      } catch (error) {
        this.#children.forget(record);
        throw error;
      }
    });
  }

  /** Stops a child, also one that starts or waits; its spec is kept unless it is temporary. */
  async terminateChild(id: string): Promise<void> {
    const record = this.#children.find(id);
    record.starting?.cancel();
    await this.#command(record.lane, async () => {
      await this.#stop(record);
      if (record.restart === "temporary") this.#children.forget(record);
    });
  }

  /** Starts a stopped child again. */
  async restartChild(id: string): Promise<Child> {
    return this.#commandFor(id, (record) => {
      this.#checkStopped(record);
      return this.#children.startOrThrow(record);
    });
  }

  /** Drops the spec of a stopped child. */
  async deleteChild(id: string): Promise<void> {
    await this.#commandFor(id, async (record) => {
      this.#checkStopped(record);
      this.#children.forget(record);
    });
  }

  async #commandFor<T>(id: string, act: (record: ChildRecord) => Promise<T>): Promise<T> {
    const record = this.#children.find(id);
    return this.#command(record.lane, () => {
      if (this.#children.find(id) === record) return act(record);
      throw new SoloError("conflict", `The child ${id} of ${this.id} was replaced meanwhile.`);
    });
  }

  async #command<T>(lane: Lane, act: () => Promise<T>): Promise<T> {
    this.#checkRunning();
    if (this.#pendingCommands >= MAX_PENDING_COMMANDS) {
      throw new SoloError("overloaded", `${this.id} has ${MAX_PENDING_COMMANDS} commands waiting.`);
    }
    this.#pendingCommands += 1;
    try {
      return await lane.run(async () => {
        this.#checkRunning();
        return act();
      });
    } finally {
      this.#pendingCommands -= 1;
    }
  }

  // Queries

  findChild(id: string): Child | undefined {
    return this.#children.records.get(id)?.child;
  }

  whichChildren(): ChildInfo[] {
    return [...this.#children.records.values()].map(({ spec, state, restarts, child }) => {
      const { id, type, restart } = spec;
      return { id, type, restart, state, restarts, child };
    });
  }

  countChildren(): ChildCounts {
    const records = [...this.#children.records.values()];
    const supervisors = records.filter(({ spec }) => spec.type === "supervisor").length;
    const active = records.filter(({ alive }) => alive).length;
    return { specs: records.length, active, supervisors, workers: records.length - supervisors };
  }

  /** How often it was restarted itself is its parent's to say: 0 here. */
  tree(): TreeNode {
    const children = [...this.#children.records.values()].map((record) => record.tree());
    return { id: this.id, type: "supervisor", state: this.#phase, restarts: 0, children };
  }

  // Start

  async #startFirst(specs: readonly ChildSpec[], signal: AbortSignal | undefined): Promise<void> {
    const records = specs.map((spec) => this.#children.add(spec, this.#sharedLane ?? new Lane()));
    // Every lane is held until all is up: exits that come before are handled after.
    const { promise: over, resolve: release } = Promise.withResolvers<void>();
    for (const { lane } of records) void lane.run(() => over);
    const cancel = () => records.forEach((record) => record.starting?.cancel());
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      for (const record of records) {
        if (signal?.aborted) {
          throw new SoloError("cancelled", `The start of ${this.id} was cancelled.`);
        }
        await this.#children.startOrThrow(record);
      }
      this.#phase = "running";
      release();
    } catch (error) {
      const ended = this.#end({ kind: "shutdown", why: "a child did not start" });
      release();
      await ended;
      throw error;
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  // Exit and restart

  /** After an exit or a failed start; in the record's lane. */
  async #recover(record: ChildRecord, reason: ExitReason): Promise<void> {
    if (this.#phase !== "running") return;
    const exit = { id: record.spec.id, reason, now: this.#options.clock.now() };
    const decision = decideExit(
      { rules: this.#rules, children: this.#children.records, failures: this.#failures },
      exit,
    );
    switch (decision.kind) {
      case "leave":
        return;
      case "forget":
        return this.#children.forget(record);
      case "restart":
        return this.#restart(record, reason, decision);
      case "give_up":
        this.#children.tell(record, {
          kind: "gave_up",
          reason,
          failures: decision.failures.length,
        });
        // Not awaited: the end needs the lane that this runs in.
        void this.#end({ kind: "shutdown", why: "reached the maximum restart intensity" });
    }
  }

  async #restart(
    failed: ChildRecord,
    reason: ExitReason,
    decision: RestartDecision,
  ): Promise<void> {
    const { attempt, delayMs } = decision;
    this.#failures = decision.failures;
    this.#children.tell(failed, { kind: "child_restarting", reason, attempt, delayMs });
    const pause: Pause = { waiting: new Set(), timer: undefined };
    failed.await(pause);
    for (const id of decision.stop) await this.#stop(this.#children.find(id));
    for (const id of decision.forget) this.#children.forget(this.#children.find(id));
    for (const id of decision.start) this.#children.find(id).await(pause);
    const resume = () => void failed.lane.run(() => this.#resume(pause));
    if (delayMs === 0) resume();
    else pause.timer = setTimeout(resume, delayMs);
  }

  async #resume(pause: Pause): Promise<void> {
    for (const record of pause.waiting) {
      if (this.#phase !== "running") return;
      record.restarts += 1;
      const outcome = await this.#children.start(record);
      // Deciding again takes the others that wait along.
      if (outcome.kind === "failed") {
        return this.#recover(record, { kind: "crashed", error: outcome.error });
      }
    }
  }

  // Stop

  /** Stops all children in reverse, each by its shutdown kind; after `timeoutMs` kills them. */
  async stop({ timeoutMs }: StopOptions): Promise<void> {
    const timer = timeoutMs === "infinity" ? undefined : setTimeout(() => this.kill(), timeoutMs);
    try {
      await this.#end({ kind: "shutdown" });
    } finally {
      clearTimeout(timer);
    }
  }

  kill(): void {
    if (this.#killed || this.#phase === "stopped") return;
    this.#killed = true;
    void this.#end({ kind: "killed" });
    for (const record of this.#children.records.values()) {
      this.#children.beginStop(record, { brutally: true });
      record.starting?.hurry();
      record.stopping?.hurry();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop({ timeoutMs: "infinity" });
  }

  async #end(reason: ExitReason): Promise<void> {
    if (this.#phase === "stopping" || this.#phase === "stopped") {
      await this.exited;
      return;
    }
    this.#phase = "stopping";
    const records = [...this.#children.records.values()].reverse();
    for (const record of records) record.starting?.cancel();
    const stop = (record: ChildRecord) => record.lane.run(() => this.#stop(record));
    if (this.#options.dynamic) await Promise.all(records.map(stop));
    else for (const record of records) await stop(record);
    this.#phase = "stopped";
    this.#exit(this.#killed ? { kind: "killed" } : reason);
  }

  #stop(record: ChildRecord): Promise<void> {
    return this.#children.stop(record, { brutally: this.#killed });
  }

  #checkRunning(): void {
    if (this.#phase === "running") return;
    throw new SoloError("shutting_down", `The supervisor ${this.id} is ${this.#phase}.`);
  }

  #checkStopped({ spec, state }: ChildRecord): void {
    if (state === "stopped") return;
    throw new SoloError("conflict", `The child ${spec.id} of ${this.id} is ${state}.`);
  }
}

export interface NestedOptions extends Omit<SupervisorOptions, "signal"> {
  readonly restart: RestartKind;
  /** `infinity` unless told otherwise: its own children bound its stop. */
  readonly shutdown?: ShutdownKind;
}

/** A supervisor as a child of another. */
export const supervisorSpec = (options: NestedOptions): ChildSpec<Supervisor> => ({
  id: options.id,
  type: "supervisor",
  restart: options.restart,
  shutdown: options.shutdown ?? "infinity",
  start: (signal) => Supervisor.start({ ...options, signal }),
});
