/**
 * One slot of a service at one revision: it holds together what lives there. Messages wait in
 * its inbox, a life keeps its instance under a supervisor, its state is kept on disk, it sleeps
 * when nobody needs it, and hands all of it over to the replica that follows in its slot.
 */
import type { ServiceKey } from "#base/ids.ts";
import type { Capability } from "#capability/capability.ts";
import type { Dormant } from "#deploy/dormants.ts";
import type { Snapshot, StateKey } from "#deploy/snapshots.ts";
import type { ServiceSpec } from "#deploy/spec.ts";
import type { ServiceBounds } from "#kernel/limits/book.ts";
import type { Dispatch } from "#kernel/services/messages/dispatch.ts";
import { Dormancy } from "#kernel/services/state/dormancy.ts";
import { HandOver } from "#kernel/services/replica/hand-over.ts";
import { Inbox, type Message } from "#kernel/services/messages/inbox.ts";
import { Infos } from "#kernel/services/messages/infos.ts";
import type { Instance, InstanceEvents } from "#kernel/services/instance/instance.ts";
import { ReplicaState, type StoredState } from "#kernel/services/state/replica-state.ts";
import { Launcher } from "#kernel/services/replica/launcher.ts";
import { Life } from "#kernel/services/replica/life.ts";
import { Lifecycle, takesMessages, type ServiceState } from "#kernel/services/replica/lifecycle.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import { ReplicaRecord } from "#kernel/services/replica/record.ts";
import { ReplicaSecrets } from "#kernel/services/host/replica-secrets.ts";
import type { Revision } from "#kernel/services/revision.ts";
import { Sleep } from "#kernel/services/state/sleep.ts";
import { keepsState } from "#kernel/services/instance/start-message.ts";
import { Vitals } from "#kernel/services/replica/vitals.ts";
import type { Supervisor } from "#supervisor/supervisor.ts";

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
  readonly record: ReplicaRecord;
  readonly vitals: Vitals;
  readonly infos: Infos;
  readonly secrets: ReplicaSecrets;
  readonly handOver: HandOver;
  readonly #options: Omit<ReplicaOptions, "predecessor">;
  readonly #lifecycle: Lifecycle;
  readonly #inbox: Inbox;
  readonly #kept: ReplicaState;
  readonly #sleep: Sleep;
  readonly #life: Life;

  constructor({ predecessor: replacing, ...options }: ReplicaOptions) {
    const { key, slot, generation, revision, powers, bounds, crashed, quarantined } = options;
    const { spec } = revision;
    const predecessor = replacing?.replica;
    const stateKey = { ...key, slot };
    this.key = key;
    this.slot = slot;
    this.stateKey = stateKey;
    this.revision = revision;
    this.#options = options;
    this.generation = generation;
    const isHot = replacing?.hot === true;
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
    const { storage, limits } = bounds;
    const before = isHot ? predecessor?.infos : undefined;
    const infos = new Infos({ powers, limits, receiver: this }, before);
    const { timers, listening } = infos;
    this.infos = infos;
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
    const source = () => this.handOver.source();
    const events = this.#instanceEvents;
    const launcher = new Launcher({ key, revision, powers, secrets, source, events });
    this.#lifecycle = lifecycle;
    this.#inbox = inbox;
    this.#kept = kept;
    this.#sleep = sleep;
    const life = new Life({
      key,
      spec,
      powers,
      limits,
      lifecycle,
      launcher,
      inbox,
      infos,
      sleep,
      record,
      vitals,
      beside: predecessor !== undefined,
      crashed,
      quarantined,
    });
    this.#life = life;
    const parts = { lifecycle, inbox, infos, kept, life, record, secrets };
    this.handOver = new HandOver(
      { key, revision, clock: powers.clock, ...parts, isHot },
      predecessor?.handOver,
    );
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
      state: (instance, text) => this.handOver.keep(instance, text),
      room: () => this.#inbox.pump(),
      settled: (_, tookMs, failed) => this.vitals.ended(tookMs, failed),
      handBack: (_, dispatches) => this.#inbox.takeBack(dispatches),
    };
  }
}
