/**
 * One slot of a service at one revision: it holds together what lives there. Messages wait in
 * its inbox, a life keeps its instance under a supervisor, its state is kept on disk, and it
 * sleeps when nobody needs it.
 *
 * 1. Messages, timers, subscriptions and state go to a successor at once; from then on nothing of this one
 *    is told or stored. Nothing of the successor is before.
 */
import { within } from "#base/deadline.ts";
import type { ServiceKey } from "#base/ids.ts";
import type { Capability } from "#capability/capability.ts";
import type { Dormant } from "#deploy/dormants.ts";
import type { Snapshot, StateKey } from "#deploy/snapshots.ts";
import type { ServiceSpec } from "#deploy/spec.ts";
import type { ServiceBounds } from "#kernel/limits/book.ts";
import type { Dispatch } from "#kernel/services/dispatch.ts";
import { Dormancy } from "#kernel/services/dormancy.ts";
import { drain } from "#kernel/services/drain.ts";
import { Inbox, type Message } from "#kernel/services/inbox.ts";
import type { Instance, InstanceEvents } from "#kernel/services/instance.ts";
import { ReplicaState, type StoredState } from "#kernel/services/replica-state.ts";
import { Launcher } from "#kernel/services/launcher.ts";
import { Life } from "#kernel/services/life.ts";
import { Lifecycle, takesMessages, type ServiceState } from "#kernel/services/lifecycle.ts";
import { Listening, type ListeningOptions } from "#kernel/services/listening.ts";
import { MessageTimers, type MessageTimersOptions } from "#kernel/services/message-timers.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import { ReplicaRecord } from "#kernel/services/record.ts";
import { notUp } from "#kernel/services/refusals.ts";
import { ReplicaSecrets } from "#kernel/services/replica-secrets.ts";
import type { Revision } from "#kernel/services/revision.ts";
import { Sleep } from "#kernel/services/sleep.ts";
import { keepsState } from "#kernel/services/start-message.ts";
import { Vitals } from "#kernel/services/vitals.ts";
import type { Supervisor } from "#supervisor/supervisor.ts";
import type { Adoption, StateSource } from "#wire/messages.ts";

/** Beyond its own time limit a message has this long before the instance is stopped. */
const OVERDUE_GRACE_MS = 75;

export interface ReplicaOptions {
  readonly key: ServiceKey;
  readonly slot: number;
  /** How many replicas the slot has had before this one. */
  readonly generation: number;
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
    /** It runs: this one adopts its state, which it hands over. Otherwise this one begins with
     *  what is on disk. */
    readonly hot: boolean;
  };
}

/** A request of the guest, from this replica's instance. */
export interface ReplicaRequest {
  readonly replica: Replica;
  readonly instance: Instance;
  readonly request: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

export class Replica {
  readonly key: ServiceKey;
  readonly slot: number;
  readonly stateKey: StateKey;
  readonly revision: Revision;
  readonly generation: number;
  /** It begins with what its predecessor hands over. */
  readonly isHot: boolean;
  readonly record: ReplicaRecord;
  readonly vitals: Vitals;
  readonly timers: MessageTimers;
  readonly listening: Listening;
  readonly secrets: ReplicaSecrets;
  readonly #options: Omit<ReplicaOptions, "predecessor">;
  readonly #lifecycle: Lifecycle;
  readonly #inbox: Inbox;
  readonly #kept: ReplicaState;
  readonly #sleep: Sleep;
  readonly #life: Life;
  /** Until this one serves. */
  #predecessor: Replica | undefined;
  /** What it has made of the state that it was given, until it serves. */
  #adopted: string | undefined;
  /** What it has made of the state on disk, until it serves. */
  #made: Snapshot | undefined;

  constructor({ predecessor: replacing, ...options }: ReplicaOptions) {
    const { key, slot, generation, revision, powers, bounds, crashed, quarantined } = options;
    const { spec } = revision;
    const predecessor = replacing?.replica;
    const stateKey = { ...key, slot };
    this.key = key;
    this.slot = slot;
    this.stateKey = stateKey;
    this.revision = revision;
    // A successor must not hold on to those before it.
    this.#options = options;
    this.#predecessor = predecessor;
    this.generation = generation;
    this.isHot = replacing?.hot === true;
    const vitals = new Vitals(() => powers.clock.now());
    const record = new ReplicaRecord({ key, slot, revision, powers, before: predecessor?.record });
    const secrets = new ReplicaSecrets({
      key,
      bindings: spec.secrets ?? [],
      vault: powers.secrets,
      before: predecessor?.secrets,
    });
    this.vitals = vitals;
    this.record = record;
    this.secrets = secrets;
    const inherited = this.isHot ? predecessor?.timers : undefined;
    const timers = inherited ?? new MessageTimers(this.#timerOptions);
    const listening =
      (this.isHot ? predecessor?.listening : undefined) ?? new Listening(this.#listeningOptions);
    this.timers = timers;
    this.listening = listening;
    const lifecycle = new Lifecycle((_, to) => powers.metrics.stateChanged(key, to));
    const inbox = new Inbox({
      key,
      limits: spec.limits,
      bounds,
      record,
      clock: powers.clock,
      receiver: this,
      wake: () => this.#sleep.wake(),
    });
    const dormancy = new Dormancy({
      dormants: powers.dormants,
      key: stateKey,
      stateless: !keepsState(spec),
    });
    const { storage, limits } = bounds;
    const kept = new ReplicaState({ key: stateKey, revision, powers, dormancy, record, storage });
    const sleep = new Sleep({
      key,
      revision,
      powers,
      dormancy,
      kept,
      inbox,
      timers,
      listening,
      record,
      lifecycle,
      instance: () => this.instance,
      evict: () => this.#life.evict(),
      rouse: () => this.#life.rouse(),
    });
    const source = () => this.#source();
    const events = this.#instanceEvents;
    const launcher = new Launcher({ key, revision, powers, secrets, source, events });
    this.#lifecycle = lifecycle;
    this.#inbox = inbox;
    this.#kept = kept;
    this.#sleep = sleep;
    this.#life = new Life({
      key,
      spec,
      powers,
      limits,
      lifecycle,
      launcher,
      inbox,
      ties: [timers, listening],
      sleep,
      record,
      vitals,
      beside: predecessor !== undefined,
      crashed,
      quarantined,
    });
  }

  get state(): ServiceState {
    return this.#lifecycle.state;
  }

  get instance(): Instance | undefined {
    return this.#life.instance;
  }

  get isUp(): boolean {
    return takesMessages(this.state);
  }

  get spec(): ServiceSpec {
    return this.revision.spec;
  }

  get handles(): readonly Capability[] {
    return this.revision.handles;
  }

  /** What the service calls the version that runs here. */
  get version(): string | undefined {
    return this.instance?.started.version ?? this.record.version;
  }

  /** What is known of its state on disk. */
  get stored(): StoredState {
    return this.#kept.stored;
  }

  /** The same, looked up on disk when nothing is known yet. */
  lookUpStored(): Promise<StoredState> {
    return this.#kept.lookUp();
  }

  get mailboxLength(): number {
    return this.#inbox.length;
  }

  /** The same without messages that their senders have given up. */
  get awaitedMessages(): number {
    return this.#inbox.awaited;
  }

  // ---- its life ----

  /** Starts the supervisor of the instance; rejects when the first start fails. */
  start(signal?: AbortSignal): Promise<Supervisor> {
    return this.#life.start(signal);
  }

  /** Starts asleep, as an earlier kernel left it; before `start`. */
  resumeSleep(dormant: Dormant): void {
    this.#sleep.resume(dormant);
  }

  /** It is known but left alone, as before the kernel's restart. */
  holdInQuarantine(): void {
    this.#life.quarantine();
  }

  /** Orderly end: no new messages, what is in flight is finished, `terminate` runs. */
  stop(options: { force: boolean; timeoutMs: number }): Promise<{ forced: boolean }> {
    return this.#life.stop(options);
  }

  /** At once, whatever it has in hand. */
  kill(): void {
    this.#life.kill();
  }

  // ---- its work ----

  send(message: Message): Dispatch {
    return this.#inbox.send(message);
  }

  /** A limit was passed whose action is kill. */
  overLimit(message: string): void {
    this.instance?.overLimit(message);
  }

  /** Called now and then: an instance that makes no headway is ended. */
  checkProgress(now: number): void {
    const { instance } = this;
    if (instance === undefined || instance.openCount === 0) return;
    const limit = this.spec.limits.callTimeoutMs + OVERDUE_GRACE_MS;
    if (now - instance.progressAt > limit) {
      instance.endOverdue(`A message was not handled within ${this.spec.limits.callTimeoutMs} ms.`);
    }
  }

  /** Hybrid state to disk, if something may have changed it. */
  flush(): Promise<void> {
    return this.#kept.flush(this.instance);
  }

  /** The present state of a running instance, stored by then if it is kept; undefined when
   *  none runs. */
  async tellState(): Promise<Snapshot | undefined> {
    return this.instance && this.#kept.tell(this.instance);
  }

  // ---- its sleep ----

  /** How long it has had nothing to do, ms; 0 when it has. */
  idleMs(now: number): number {
    return this.#sleep.idleMs(now);
  }

  /** Evicts the instance if it is idle, and keeps its state; false when it was not. */
  hibernate(): Promise<boolean> {
    return this.#sleep.hibernate();
  }

  /** From now on it does not fall asleep, until what is returned is called. */
  keepAwake(): () => void {
    return this.#sleep.keepAwake();
  }

  /** It slept, and its instance is on its way. */
  get isWaking(): boolean {
    return this.#sleep.isWaking;
  }

  /** Resolves when it does not sleep and is not about to. */
  awake(timeoutMs: number): Promise<void> {
    return this.#sleep.awake(timeoutMs);
  }

  // ---- its hand-over to a successor ----

  get isHeld(): boolean {
    return this.#inbox.isHeld;
  }

  /** From now on messages wait, until `release` or a successor's `takeOver`. */
  hold(): void {
    this.#inbox.hold();
  }

  /** The same for one that does not run, and nothing starts it meanwhile: what is on disk stays
   *  its newest state. */
  suspend(): void {
    this.hold();
    this.#life.suspend();
  }

  release(): void {
    this.#kept.goOn();
    this.#life.resume();
    this.#inbox.release();
  }

  /** Resolves when nothing is in hand that could change the state; see drain.ts. */
  drained(options: { readonly timeoutMs: number; readonly mustRun: boolean }): Promise<void> {
    const { clock } = this.#options.powers;
    const instance = () => this.instance;
    return drain({ service: this.key.service, clock, instance, ...options });
  }

  /** Resolves when its state on disk stays as it is, until `release` or a successor's `takeOver`. */
  stopStoring(): Promise<void> {
    return this.#kept.holdBack();
  }

  /** The state as it is now, encoded; the instance is idle or does not mind. `present`: without
   *  what is never stored. */
  async peek(timeoutMs: number, wish: "whole" | "present" = "whole"): Promise<string> {
    const what = `${this.key.service} to tell its state`;
    const told = this.#running.snapshot(wish);
    if (wish === "present") this.#kept.owe(this.#running);
    return (await within(told, { ms: timeoutMs, what, code: "conflict" }))!;
  }

  /** Gives a loaded replica the state to begin with; resolves with what it made of it. */
  async adopt(adoption: Adoption): Promise<string> {
    const predecessor = this.#predecessor;
    // It may have been loaded long ago; the state holds what the one before learned since.
    if (predecessor !== undefined) this.secrets.learn(predecessor.secrets);
    this.#adopted = await this.#running.adopt(adoption);
    return this.#adopted;
  }

  /** How the kernel keeps what this one made of it, in one write with other things. */
  snapshotOf(adopted: string): Snapshot {
    return { state: adopted, version: this.version, sourceHash: this.revision.sourceHash };
  }

  /** What one that waits to take over has made of the state on disk, to be kept as well. */
  get made(): Snapshot | undefined {
    return this.#made;
  }

  /** Serves in the predecessor's place: its waiting messages, timers and subscriptions are this
   *  one's now. */
  takeOver(): void {
    const predecessor = this.#predecessor;
    this.#predecessor = undefined;
    this.#made = undefined;
    this.#adopted = undefined;
    if (predecessor === undefined) return;
    if (this.isHot) predecessor.#leaveSlot();
    else predecessor.#kept.close();
    this.timers.redirect(this.#timerOptions);
    this.listening.redirect(this.#listeningOptions);
    this.#inbox.takeOver(predecessor.#inbox);
    this.#life.serve();
  }

  /** It is loaded beside one that serves, and could take over now. */
  get standsBy(): boolean {
    return this.#life.standing === "loaded" && this.instance !== undefined;
  }

  /** A successor that was loaded beside it serves in its place. */
  get isReplaced(): boolean {
    return this.#life.standing === "replaced";
  }

  /**
   * Ends a replica whose successor has taken over, or that never served: nothing of it is
   * told or stored. What it has in hand may end within `lingerMs`.
   */
  async retire(lingerMs = 0): Promise<void> {
    this.#leaveSlot();
    this.#predecessor = undefined;
    await this.#life.retire(lingerMs);
  }

  #leaveSlot(): void {
    this.#life.leave();
    this.#kept.close();
    this.#inbox.hold();
  }

  /** The state is its predecessor's until this one serves, also when it ends with the kernel. */
  async #keep(instance: Instance, text: string): Promise<void> {
    if (this.#life.standing !== "loaded") await this.#kept.save(instance, text);
    else if (!this.isHot) this.#made = this.#kept.snapshotOf(instance, text);
  }

  get #running(): Instance {
    if (this.instance === undefined) throw notUp(this.key.service, this.state);
    return this.instance;
  }

  async #source(): Promise<StateSource> {
    // Its instance ended before the adopted state was on disk, where the one before still stands.
    if (this.#adopted !== undefined) return this.#adoptedAgain(this.#adopted);
    const isBeside = this.isHot && this.#life.standing === "loaded";
    const stored = await this.#kept.load();
    return isBeside ? { from: "handover" } : stored;
  }

  #adoptedAgain(state: string): StateSource {
    if (!keepsState(this.spec)) return { from: "init" };
    const { version } = this.record;
    return { from: "stored", state, migrate: false, ...(version !== undefined && { version }) };
  }

  get #timerOptions(): MessageTimersOptions {
    const { bounds, powers } = this.#options;
    const outcome = { reply: () => {}, fail: () => {} };
    return {
      clock: powers.clock,
      deliver: (payload) => this.send({ kind: "info", handler: "info", payload, outcome }),
      started: () => bounds.limits.timerStarted(this),
      ended: () => bounds.limits.timerEnded(),
    };
  }

  get #listeningOptions(): ListeningOptions {
    const { channels } = this.#options.powers;
    const deliver = (payload: string): boolean => {
      let taken = true;
      const outcome = { reply: () => {}, fail: () => void (taken = false) };
      this.send({ kind: "info", handler: "info", payload, outcome });
      // A refusal comes within `send`; what becomes of it later is nobody's answer.
      return taken;
    };
    return { channels, tenant: this.key.tenant, listener: { actor: this, deliver } };
  }

  get #instanceEvents(): InstanceEvents {
    const { asked, bounds } = this.#options;
    return {
      request: (instance, request, method, args) =>
        asked({ replica: this, instance, request, method, args }),
      log: (instance, line) => bounds.log.write({ instance: instance.id, ...line }, instance),
      exceeded: (instance, { what, value }) => {
        if (what === "state") bounds.limits.meter.violated("state", value);
        else bounds.log.droppedThere(value, instance.id);
      },
      redact: this.secrets.redact,
      state: (instance, text) => this.#keep(instance, text),
      room: () => this.#inbox.pump(),
      settled: (_, tookMs, failed) => this.vitals.ended(tookMs, failed),
      handBack: (_, dispatches) => this.#inbox.takeBack(dispatches),
    };
  }
}
