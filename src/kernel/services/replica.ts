/**
 * One slot of a service at one revision: its mailbox, the supervisor of its instance, and
 * what is known of it.
 *
 * 1. Messages reach the instance in the order in which they were sent.
 * 2. While the instance restarts, messages wait; their deadlines run on.
 * 3. Every message ends: with a reply, or with an error that says what became of it.
 * 4. State belongs to the slot: only a successor in the same slot is given it.
 */
import { within } from "#base/deadline.ts";
import { SoloError, toSoloError } from "#base/errors.ts";
import { keyText, newInstanceId, type ServiceKey } from "#base/ids.ts";
import type { Dormant } from "#deploy/dormants.ts";
import type { Snapshot, StateKey } from "#deploy/snapshots.ts";
import type { Capability } from "#capability/capability.ts";
import type { ServiceSpec } from "#deploy/spec.ts";
import {
  Dispatch,
  type DispatchBodies,
  type DispatchKind,
  type Outcome,
} from "#kernel/services/dispatch.ts";
import { Dormancy } from "#kernel/services/dormancy.ts";
import { Instance } from "#kernel/services/instance.ts";
import { Lifecycle, type ServiceState } from "#kernel/services/lifecycle.ts";
import { Mailbox } from "#kernel/services/mailbox.ts";
import { MessageTimers, type MessageTimersOptions } from "#kernel/services/message-timers.ts";
import { InstanceCrash } from "#kernel/services/outcomes.ts";
import type { ServiceBounds } from "#kernel/limits/book.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import { ReplicaRecord } from "#kernel/services/record.ts";
import { noHandler, notUp, replaced } from "#kernel/services/refusals.ts";
import type { Revision } from "#kernel/services/revision.ts";
import { Runner } from "#kernel/services/runner.ts";
import { ReplicaSecrets } from "#kernel/services/replica-secrets.ts";
import { keepsState, startMessage } from "#kernel/services/start-message.ts";
import { Vitals } from "#kernel/services/vitals.ts";
import { isOrderly, type ChildSpec, type ExitReason, type StopOptions } from "#supervisor/child.ts";
import { settledWithin } from "#supervisor/effort.ts";
import type { SupervisorEvent } from "#supervisor/events.ts";
import { Supervisor } from "#supervisor/supervisor.ts";
import type { Adoption, StateSource } from "#wire/messages.ts";

const BACKOFF = { baseMs: 50, factor: 2, maxMs: 5000 };
/** Beyond its own time limit a message has this long before the instance is stopped. */
const OVERDUE_GRACE_MS = 75;
/** What may have ended a shared cell starts in a cell of its own for so long. */
const APART_MS = 600_000;
/** At a hand-over a concurrent service has so long before its requests are left behind. */
const CONCURRENT_GRACE_MS = 250;
const RETIRE_MS = 1000;
const RESTART_POLL_MS = 5;
/** A guest that does not tell its state in time is not idle. */
const IDLE_ANSWER_MS = 2000;

export interface ReplicaOptions {
  readonly key: ServiceKey;
  readonly slot: number;
  readonly revision: Revision;
  readonly powers: ServicePowers;
  /** What the service may use, shared by its replicas. */
  readonly bounds: ServiceBounds;
  /** Answers what the guest asks for. */
  readonly asked: (request: ReplicaRequest) => void;
  readonly crashed: () => void;
  /** It crashed too often and is left alone from now on. */
  readonly quarantined: () => void;
  /** The replica that this one replaces in its slot. */
  readonly predecessor?: {
    readonly replica: Replica;
    /** It runs: this one is loaded beside it and serves once it has adopted its state. */
    readonly hot: boolean;
  };
}

export interface StoredState {
  /** Wall clock of the last write of this kernel, and its size. */
  readonly atMs?: number;
  readonly bytes?: number;
  /** The newest state is not on disk. */
  readonly failure?: { readonly error: SoloError; readonly sinceMs: number };
}

/** A request of the guest, from this replica's instance. */
export interface ReplicaRequest {
  readonly replica: Replica;
  readonly instance: Instance;
  readonly request: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

export interface Message {
  readonly kind: DispatchKind;
  /** `calls.get`, `casts.reset`, `info`, `fetch`. */
  readonly handler: string;
  readonly payload: string;
  readonly outcome: Outcome;
  readonly bodies?: DispatchBodies;
  readonly timeoutMs?: number | undefined;
  /** What the sender wants to be routed by; see router.ts. */
  readonly key?: string | undefined;
}

export class Replica {
  readonly key: ServiceKey;
  readonly slot: number;
  readonly revision: Revision;
  readonly record: ReplicaRecord;
  readonly vitals: Vitals;
  readonly timers: MessageTimers;
  /** What is known of its state on disk. */
  stored: StoredState = {};
  readonly secrets: ReplicaSecrets;
  /** How many replicas the slot has had before this one. */
  readonly generation: number;
  readonly #options: Omit<ReplicaOptions, "predecessor">;
  readonly #powers: ServicePowers;
  readonly #stateKey: StateKey;
  readonly #mailbox: Mailbox;
  readonly #lifecycle: Lifecycle;
  readonly #dormancy: Dormancy;
  #runner: Runner | undefined;
  /** Under way; whether it slept in the end. */
  #fallingAsleep: Promise<boolean> | undefined;
  #waking: { readonly since: number; readonly done: PromiseWithResolvers<void> } | undefined;
  #supervisor: Supervisor | undefined;
  #instance: Instance | undefined;
  #fastLane = true;
  /** When a cell ended and this may have been the cause. */
  #blamedAt: number | undefined;
  /** The deadline that a message passed last, ms. */
  #deadlineMs: number | undefined;
  /** Messages wait in the mailbox although the instance runs: its successor is being made. */
  #held = false;
  /** Messages come here. Until then nothing of it is told. */
  #serving: boolean;
  readonly #isHot: boolean;
  /** A successor serves in the slot: nothing of this one is stored any more. */
  #retired = false;
  /** It has been given the state that it shall begin with. */
  #adopted = false;
  /** Until this one serves. */
  #predecessor: Replica | undefined;
  /** Its supervisor gave up before it served. */
  #gaveUp: SupervisorEvent | undefined;
  /** A retired instance has so long for what it has in hand. */
  #lingerMs = 0;
  #sleepsAtStart = false;
  /** When it was last asked whether it is idle; monotonic. */
  #stirredAt = 0;
  #flushing: Promise<unknown> | undefined;
  /** The guest has told a state that is not on disk. */
  #unsaved = false;

  constructor(options: ReplicaOptions) {
    const { key, slot, revision, powers } = options;
    const { spec } = revision;
    this.key = key;
    this.slot = slot;
    this.revision = revision;
    // A successor must not hold on to those before it.
    const { predecessor: _predecessor, ...rest } = options;
    this.#options = rest;
    this.#powers = powers;
    this.#stateKey = { ...key, slot };
    this.#dormancy = new Dormancy({
      dormants: powers.dormants,
      key: this.#stateKey,
      stateless: !keepsState(spec),
    });
    const predecessor = options.predecessor?.replica;
    this.#predecessor = predecessor;
    this.#isHot = options.predecessor?.hot === true;
    this.#serving = !this.#isHot;
    this.vitals = new Vitals(() => powers.clock.now());
    this.generation = predecessor === undefined ? 0 : predecessor.generation + 1;
    this.record = new ReplicaRecord({ key, slot, revision, powers, before: predecessor?.record });
    this.secrets = new ReplicaSecrets({
      key,
      bindings: spec.secrets ?? [],
      vault: powers.secrets,
      before: predecessor?.secrets,
    });
    this.#lifecycle = new Lifecycle((_, to) => powers.metrics.stateChanged(key, to));
    this.#mailbox = new Mailbox({
      limit: spec.limits.mailbox,
      policy: spec.limits.mailboxPolicy,
      withdraw: (why) => {
        const oldest = this.#instance?.oldestWaiting;
        oldest?.cancel(why);
        return oldest !== undefined;
      },
      overflow: () => this.#instance?.overLimit("Its mailbox was full and its policy is kill."),
    });
    const inherited = this.#serving ? undefined : predecessor?.timers;
    this.timers = inherited ?? new MessageTimers(this.#timerOptions);
  }

  get state(): ServiceState {
    return this.#lifecycle.state;
  }

  get instance(): Instance | undefined {
    return this.#instance;
  }

  /** The instance runs, will soon, or sleeps: messages are taken. */
  get isUp(): boolean {
    return (
      this.state === "running" ||
      this.state === "restarting" ||
      this.state === "starting" ||
      this.state === "crashed" ||
      this.state === "hibernated"
    );
  }

  get spec(): ServiceSpec {
    return this.revision.spec;
  }

  get handles(): readonly Capability[] {
    return this.revision.handles;
  }

  get mailboxLength(): number {
    return this.#mailbox.length + (this.#instance?.openCount ?? 0);
  }

  /** It is known but left alone, as before the kernel's restart. */
  holdInQuarantine(): void {
    if (this.#lifecycle.can("quarantined")) this.#lifecycle.move("quarantined");
  }

  /** Starts the supervisor of the instance; rejects when the first start fails. */
  async start(signal?: AbortSignal): Promise<Supervisor> {
    if (this.state !== "starting") this.#lifecycle.move("starting");
    if (!this.#sleepsAtStart) await this.#dormancy.end();
    const { restartLimits, restart } = this.spec;
    const child: ChildSpec = {
      id: "instance",
      restart,
      // A retired one may finish what it has in hand; whoever stops the supervisor has a limit.
      shutdown: "infinity",
      type: "worker",
      start: (abort) => this.#startRunner(abort),
    };
    try {
      this.#supervisor = await Supervisor.start({
        id: keyText(this.key),
        strategy: "one_for_one",
        clock: this.#powers.clock,
        children: [child],
        maxRestarts: restartLimits.maxRestarts,
        maxSeconds: restartLimits.maxSeconds,
        backoff: BACKOFF,
        onEvent: (event) => this.#supervised(event),
        log: this.#powers.log,
        ...(signal !== undefined && { signal }),
      });
    } catch (error) {
      this.#mailbox.failAll(notUp(this.key.service, this.state));
      throw error;
    }
    return this.#supervisor;
  }

  send(message: Message): Dispatch {
    this.record.counts.messages += 1;
    const { limits } = this.#options.bounds;
    const { kind, bodies } = message;
    const chars = message.payload.length;
    const refusal = this.#refusalOf(message) ?? limits.refusalOf(kind, chars, this);
    const dispatch = new Dispatch({
      ...message,
      over: (failed) => {
        if (failed) this.record.counts.errors += 1;
        if (refusal === undefined && bodies === undefined) limits.left(kind, chars);
      },
    });
    if (refusal !== undefined) {
      dispatch.fail(refusal);
      return dispatch;
    }
    limits.entered(kind, chars);
    limits.meter.read("mailbox", this.mailboxLength + 1);
    // The bodies of a request may flow for long after its head was answered.
    void bodies?.finished.then(() => limits.left(kind, chars));
    const { callTimeoutMs } = this.spec.limits;
    const timeoutMs = Math.min(message.timeoutMs ?? callTimeoutMs, callTimeoutMs);
    if (message.kind === "call" || message.kind === "fetch") {
      dispatch.expireAfter(timeoutMs, () => this.#expired(dispatch, timeoutMs));
    }
    const instance = this.#instance;
    if (
      !this.#held &&
      instance?.hasRoom &&
      this.#mailbox.length === 0 &&
      instance.openCount < this.spec.limits.mailbox
    ) {
      instance.dispatch(dispatch);
    } else this.#mailbox.push(dispatch, instance?.openCount ?? 0);
    if (this.state === "hibernated") this.#wake();
    return dispatch;
  }

  /** A limit was passed whose action is kill. */
  overLimit(message: string): void {
    this.#instance?.overLimit(message);
  }

  /** Hybrid state to disk, if something may have changed it. */
  async flush(): Promise<void> {
    await this.#dormancy.clean();
    const instance = this.#instance;
    if (this.spec.persistence !== "hybrid" || !instance?.dirty) return;
    this.#flushing ??= this.#store(instance).finally(() => {
      this.#flushing = undefined;
    });
    await this.#flushing;
  }

  /** The present state of a running instance, stored by then if it is kept; undefined when
   *  none runs. */
  async tellState(): Promise<Snapshot | undefined> {
    const instance = this.#instance;
    if (instance === undefined) return undefined;
    // The guest tells a state once: what it tells here must be stored like any other.
    const state = await instance.snapshot("present");
    if (state === undefined) return undefined;
    if (this.spec.persistence === "hybrid") await this.#keep(instance, state);
    return this.snapshotOf(state);
  }

  async #keep(instance: Instance, state: string): Promise<void> {
    try {
      await this.#save(instance, state);
    } catch (error) {
      this.#unsaved = true;
      instance.dirty = true;
      throw error;
    }
  }

  /** The changed state to disk: the guest tells a state only once, so one that could not be
   *  stored is asked for again. */
  async #store(instance: Instance): Promise<void> {
    try {
      const state = await instance.snapshot(this.#unsaved ? "present" : "changed");
      if (state !== undefined) await this.#save(instance, state);
      this.#unsaved = false;
    } catch (error) {
      this.#unsaved = true;
      instance.dirty = true;
      throw error;
    }
  }

  /** From now on messages wait, until `release` or a successor's `takeOver`. */
  hold(): void {
    this.#held = true;
  }

  get isHeld(): boolean {
    return this.#held;
  }

  release(): void {
    this.#held = false;
    this.#pump();
  }

  /**
   * Resolves when nothing is in hand that could change the state. Requests that a concurrent
   * service still answers after CONCURRENT_GRACE_MS are left to it.
   */
  async drained(timeoutMs: number): Promise<void> {
    const { clock } = this.#powers;
    const begun = clock.now();
    for (;;) {
      const instance = this.#instance;
      const left = begun + timeoutMs - clock.now();
      if (instance?.openCount === 0) return;
      const graceLeft = begun + CONCURRENT_GRACE_MS - clock.now();
      const onlyRequests =
        instance?.started.traits?.includes("concurrent") === true && instance.openMessages === 0;
      if (onlyRequests && graceLeft <= 0) return;
      if (left <= 0) throw this.#stillBusy(timeoutMs);
      const patience = onlyRequests ? Math.min(left, graceLeft) : left;
      if (instance === undefined) await pause(Math.min(RESTART_POLL_MS, left));
      else await settledWithin([instance.headway()], patience);
    }
  }

  #stillBusy(timeoutMs: number): SoloError {
    return new SoloError(
      "conflict",
      `${this.key.service} did not finish its messages within ${timeoutMs} ms.`,
      { hint: "Update it when it is less busy.", retryAfterMs: 1000 },
    );
  }

  /** The state as it is now, encoded; the instance is idle or does not mind. */
  async peek(timeoutMs: number): Promise<string> {
    const instance = this.#instance;
    if (instance === undefined) throw notUp(this.key.service, this.state);
    const state = await within(instance.snapshot("whole"), {
      ms: timeoutMs,
      what: `${this.key.service} to tell its state`,
      code: "conflict",
    });
    return state!;
  }

  /** It is loaded beside a replica that serves, and has yet to adopt its state. */
  get isHot(): boolean {
    return this.#isHot;
  }

  /** A successor that was loaded beside it serves in its place. */
  get isRetired(): boolean {
    return this.#retired;
  }

  /** At once, whatever it has in hand. */
  kill(): void {
    this.#supervisor?.kill();
  }

  /** Gives a loaded replica the state to begin with; resolves with what it made of it. */
  async adopt(adoption: Adoption): Promise<string> {
    const instance = this.#instance;
    if (instance === undefined) throw notUp(this.key.service, this.state);
    const state = await instance.adopt(adoption);
    this.#adopted = true;
    return state;
  }

  /** Serves in the predecessor's place: its waiting messages and timers are this one's now. */
  takeOver(): void {
    const predecessor = this.#predecessor;
    this.#predecessor = undefined;
    if (predecessor === undefined) return;
    predecessor.#retired = this.#isHot;
    predecessor.#held = true;
    this.timers.redirect(this.#timerOptions);
    this.#mailbox.unshift(predecessor.#mailbox.takeAll());
    if (this.#serving) return;
    this.#serving = true;
    if (this.#instance !== undefined) this.#runs(this.#instance);
    else this.#lifecycle.move("crashed");
    if (this.#gaveUp !== undefined) this.#supervised(this.#gaveUp);
  }

  /** How the kernel keeps the state of this slot in one write with other things. */
  snapshotOf(state: string): Snapshot {
    return { state, version: this.version, sourceHash: this.revision.sourceHash };
  }

  get stateKey(): StateKey {
    return this.#stateKey;
  }

  /** What the service calls the version that runs here. */
  get version(): string | undefined {
    return this.#instance?.started.version ?? this.record.version;
  }

  /**
   * Ends a replica whose successor has taken over, or that never served: nothing of it is
   * told or stored. What it has in hand may end within `lingerMs`.
   */
  async retire(lingerMs = 0): Promise<void> {
    this.#retired = true;
    this.#held = true;
    this.#predecessor = undefined;
    this.#lingerMs = lingerMs;
    if (!this.#lifecycle.can("draining")) return;
    this.#lifecycle.move("draining");
    await this.#supervisor?.stop({ timeoutMs: lingerMs + RETIRE_MS });
    this.#lifecycle.move("stopped");
  }

  /** Called now and then: an instance that makes no headway is ended. */
  checkProgress(now: number): void {
    const instance = this.#instance;
    if (instance === undefined || instance.openCount === 0) return;
    const limit = this.spec.limits.callTimeoutMs + OVERDUE_GRACE_MS;
    if (now - instance.progressAt > limit) {
      instance.endOverdue(`A message was not handled within ${this.spec.limits.callTimeoutMs} ms.`);
    }
  }

  /** Orderly end: no new messages, what is in flight is finished, `terminate` runs. */
  async stop(options: { force: boolean; timeoutMs: number }): Promise<{ forced: boolean }> {
    const deadline = this.#powers.clock.now() + options.timeoutMs;
    if (this.#lifecycle.can("draining")) this.#lifecycle.move("draining");
    this.timers.clear();
    const stopped = new SoloError("service_not_running", "The service was stopped.", {
      hint: "Deploy it again to use it.",
    });
    let forced = options.force;
    if (!forced) forced = !(await this.#drained(deadline));
    this.#mailbox.failAll(stopped);
    const instance = this.#instance;
    if (forced) instance?.kill();
    const timeoutMs = Math.max(1, deadline - this.#powers.clock.now());
    await this.#supervisor?.stop({ timeoutMs });
    const reason = await instance?.exited;
    if (this.#lifecycle.can("stopped")) this.#lifecycle.move("stopped");
    return { forced: forced || (reason !== undefined && !isOrderly(reason)) };
  }

  async #drained(deadline: number): Promise<boolean> {
    while (this.mailboxLength > 0) {
      if (this.#instance === undefined || this.#powers.clock.now() >= deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return true;
  }

  get #timerOptions(): MessageTimersOptions {
    const { limits } = this.#options.bounds;
    return {
      clock: this.#powers.clock,
      deliver: (json) => this.#info(json),
      started: () => limits.timerStarted(this),
      ended: () => limits.timerEnded(),
    };
  }

  #info(json: string): Dispatch {
    const nobody = { reply: () => {}, fail: () => {} };
    return this.send({ kind: "info", handler: "info", payload: json, outcome: nobody });
  }

  /** Its instance gets a cell of its own: it asked for one, or may have ended the shared one. */
  get #alone(): boolean {
    const at = this.#blamedAt;
    if (this.spec.isolation === "dedicated") return true;
    return at !== undefined && this.#powers.clock.now() - at < APART_MS;
  }

  #noteBlame({ withCell, blame }: InstanceCrash): void {
    if (withCell && blame !== "innocent") this.#blamedAt = this.#powers.clock.now();
  }

  async #startRunner(signal: AbortSignal): Promise<Runner> {
    const options = {
      start: (abort: AbortSignal) => this.#startInstance(abort),
      current: (instance: Instance | undefined) => this.#currentChanged(instance),
      now: () => this.#powers.clock.now(),
      relocated: (crash: InstanceCrash) => {
        this.#noteBlame(crash);
        if (this.#serving) this.record.relocated(crash);
      },
      stop: (instance: Instance, stop: StopOptions) =>
        this.#retired ? instance.finish(this.#lingerMs, replaced()) : instance.stop(stop),
      turn: () => this.#powers.wakes.enter(),
      wakeFailed: () => {
        this.#lifecycle.move("crashed");
        this.#awoke();
      },
    };
    if (this.#sleepsAtStart) {
      this.#sleepsAtStart = false;
      this.#lifecycle.move("hibernated");
      this.#runner = Runner.asleep(options);
    } else {
      if (this.#serving && this.#lifecycle.can("restarting")) this.#lifecycle.move("restarting");
      this.#runner = await Runner.start(options, signal);
    }
    return this.#runner;
  }

  async #startInstance(signal: AbortSignal): Promise<Instance> {
    const { spec, key } = this;
    const { cells, snapshots, clock } = this.#powers;
    const { bounds } = this.#options;
    const id = newInstanceId();
    const [modules, cell, snapshot] = await Promise.all([
      this.revision.code.modules(),
      this.#alone ? cells.dedicated(key.tenant) : cells.shared(key.tenant),
      keepsState(spec) || this.#dormancy.dormant !== undefined
        ? snapshots.load(this.#stateKey)
        : undefined,
      this.secrets.prepare(),
    ]);
    if (snapshot?.fellBack === true) this.record.fellBack(snapshot.savedAtMs);
    if (snapshot !== undefined) bounds.storage.stateSaved(this.slot, snapshot.state.length);
    const start = startMessage({
      key,
      id,
      spec,
      modules,
      state: this.#stateSource(snapshot),
      fastLane: this.#fastLane,
    });
    const instance = await Instance.start(
      {
        id,
        cell,
        start,
        now: () => clock.now(),
        events: {
          request: (from, request, method, args) =>
            this.#options.asked({ replica: this, instance: from, request, method, args }),
          log: (from, line) => bounds.log.write({ instance: from.id, ...line }, from),
          redact: this.secrets.redact,
          state: (from, text) => this.#save(from, text),
          room: () => this.#pump(),
          settled: (_, tookMs, failed) => this.vitals.ended(tookMs, failed),
          handBack: (_, dispatches) => this.#mailbox.unshift(dispatches),
        },
      },
      signal,
    );
    void instance.exited.then(() => cells.release(cell));
    return instance;
  }

  #stateSource(snapshot: Snapshot | undefined): StateSource {
    if (this.isHot && !this.#adopted) return { from: "handover" };
    if (snapshot === undefined) return { from: "init" };
    if (this.#dormancy.dormant?.sourceHash === snapshot.sourceHash) {
      return { from: "asleep", state: snapshot.state };
    }
    const { state, version, sourceHash } = snapshot;
    const migrate = sourceHash !== this.revision.sourceHash;
    return { from: "stored", state, migrate, ...(version !== undefined && { version }) };
  }

  async #save(instance: Instance, state: string): Promise<void> {
    if (this.#retired) return;
    const { version } = instance.started;
    const { sourceHash } = this.revision;
    const snapshot = { state, version, sourceHash };
    const { snapshots, clock } = this.#powers;
    this.#options.bounds.storage.stateSaved(this.slot, state.length);
    try {
      await snapshots.save(this.#stateKey, snapshot, this.#dormancy.beside);
      this.stored = { atMs: clock.wallMs(), bytes: Buffer.byteLength(state) };
    } catch (error) {
      const sinceMs = this.stored.failure?.sinceMs ?? clock.wallMs();
      this.stored = { ...this.stored, failure: { error: toSoloError(error), sinceMs } };
      throw error;
    }
  }

  #currentChanged(instance: Instance | undefined): void {
    this.#instance = instance;
    if (instance === undefined) {
      // Timers of one that was held may be its successor's by now.
      if (!this.#held && this.#serving) this.timers.clear();
    } else if (this.#serving) this.#runs(instance);
  }

  #runs(instance: Instance): void {
    if (this.#lifecycle.can("running")) this.#lifecycle.move("running");
    this.#noteStart(instance);
    this.#pump();
  }

  #noteStart(instance: Instance): void {
    const { dormant } = this.#dormancy;
    if (dormant === undefined) return this.record.started(instance);
    const { clock, log } = this.#powers;
    const slept_ms = clock.wallMs() - dormant.sinceMs;
    const took_ms = Math.round((clock.now() - (this.#waking?.since ?? clock.now())) * 1000) / 1000;
    this.record.woken(instance, { slept_ms, took_ms });
    this.#dormancy.end().catch((error: unknown) => {
      log.warn("sleep not ended on disk", { service: keyText(this.key), error: String(error) });
    });
    this.#awoke();
  }

  #wake(): void {
    this.#lifecycle.move("starting");
    this.#waking = { since: this.#powers.clock.now(), done: Promise.withResolvers() };
    this.#runner?.wake();
  }

  #awoke(): void {
    this.#waking?.done.resolve();
    this.#waking = undefined;
  }

  /** Resolves when it does not sleep and is not about to. */
  async awake(timeoutMs: number): Promise<void> {
    await this.#fallingAsleep;
    if (this.state === "hibernated") this.#wake();
    if (this.#waking === undefined) return;
    const what = `${this.key.service} to wake`;
    await within(this.#waking.done.promise, { ms: timeoutMs, what, code: "conflict" });
  }

  /** Starts asleep, as an earlier kernel left it; before `start`. */
  resumeSleep(dormant: Dormant): void {
    this.#sleepsAtStart = true;
    this.#dormancy.resume(dormant);
    this.record.asleep(dormant);
    this.timers.revive(dormant.timers);
  }

  /** How long it has had nothing to do, ms; 0 when it has. */
  idleMs(now: number): number {
    const instance = this.#instance;
    const quiet = this.state === "running" && instance?.idle === true && this.#mailbox.length === 0;
    return quiet && !this.#held ? now - Math.max(instance.progressAt, this.#stirredAt) : 0;
  }

  /** Evicts the instance if it is idle, and keeps its state; false when it was not. */
  hibernate(): Promise<boolean> {
    this.#fallingAsleep ??= this.#hibernate().finally(() => (this.#fallingAsleep = undefined));
    return this.#fallingAsleep;
  }

  async #hibernate(): Promise<boolean> {
    const { clock } = this.#powers;
    const idle_ms = Math.round(this.idleMs(clock.now()));
    const instance = this.#instance;
    if (idle_ms === 0 || instance === undefined) return false;
    // Whoever is not idle after all is asked again when as much time has passed.
    this.#stirredAt = clock.now();
    this.#held = true;
    const still = () =>
      this.state === "running" && this.#instance === instance && this.#mailbox.length === 0;
    try {
      // The guest tells a state once: until it is stored, the next flush asks for it again.
      this.#unsaved = true;
      instance.dirty = true;
      const what = `${this.key.service} to tell its state`;
      const state = await within(instance.snapshot("idle"), { ms: IDLE_ANSWER_MS, what });
      if (state === undefined || !still()) return false;
      const { version } = instance.started;
      const { sourceHash } = this.revision;
      await this.#dormancy.begin(
        {
          sourceHash,
          version,
          handlers: instance.started.handlers,
          timers: this.timers.dormant(),
          sinceMs: clock.wallMs(),
        },
        { state, version, sourceHash },
      );
      if (!still()) {
        await this.#dormancy.end();
        return false;
      }
      this.#instance = undefined;
      this.#unsaved = false;
      this.#lifecycle.move("hibernated");
      this.#runner!.sleep();
      this.revision.code.forget();
      this.record.hibernated(instance, { idle_ms, state_bytes: state.length });
      return true;
    } finally {
      this.#held = false;
      if (this.state === "hibernated" && this.#mailbox.length > 0) this.#wake();
      else this.#pump();
    }
  }

  #pump(): void {
    const instance = this.#instance;
    if (instance === undefined || this.#held) return;
    while (instance.hasRoom) {
      const dispatch = this.#mailbox.shift();
      if (dispatch === undefined) return;
      instance.dispatch(dispatch);
    }
  }

  #refusalOf({ kind, handler }: Message): SoloError | undefined {
    if (!this.isUp) return notUp(this.key.service, this.state);
    const { handlers } = this.record;
    // Before the first start there is nothing to check against; the guest refuses then.
    if (handlers === undefined || kind === "info" || handlers.has(handler)) return undefined;
    return noHandler(this.key.service, handler, handlers);
  }

  #expired(dispatch: Dispatch, timeoutMs: number): void {
    this.#deadlineMs = timeoutMs;
    dispatch.cancel(
      new SoloError(
        "deadline_exceeded",
        `${dispatch.handler} did not answer within ${timeoutMs} ms.`,
        {
          hint: "It may still take effect. Give a longer timeout_ms, or look at the service's logs.",
        },
      ),
    );
  }

  #supervised(event: SupervisorEvent): void {
    if (this.#retired) return;
    if (!this.#serving) {
      if (event.kind === "gave_up") this.#gaveUp = event;
      return;
    }
    if (event.kind === "child_exited" && !event.asked) this.#exited(event.reason);
    else if (event.kind === "child_start_failed") this.#crashed(event.error);
    else if (event.kind === "gave_up") {
      if (this.#lifecycle.can("quarantined")) this.#lifecycle.move("quarantined");
      this.timers.clear();
      this.#mailbox.failAll(notUp(this.key.service, this.state));
      this.record.quarantined(event.failures);
      this.#options.quarantined();
    }
  }

  #exited(reason: ExitReason): void {
    if (reason.kind === "crashed") this.#crashed(reason.error);
    else if (this.#lifecycle.can("crashed")) this.#lifecycle.move("crashed");
    const { restart } = this.spec;
    const staysDown = restart === "temporary" || (restart === "transient" && isOrderly(reason));
    if (!staysDown || !this.#lifecycle.can("stopped")) return;
    this.#lifecycle.move("stopped");
    this.#mailbox.failAll(notUp(this.key.service, this.state));
  }

  #crashed(error: unknown): void {
    // A first start that fails is the deployer's news; the service was never there.
    if (this.state === "starting") return;
    if (this.#lifecycle.can("crashed")) this.#lifecycle.move("crashed");
    this.vitals.crashed();
    queueMicrotask(this.#options.crashed);
    if (!(error instanceof InstanceCrash)) return this.record.startFailed(error);
    if (error.down.fastLane) this.#fastLane = false;
    this.#noteBlame(error);
    this.#options.bounds.limits.crashed(error.down.reason, this.#deadlineMs);
    this.record.crashed(error);
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
