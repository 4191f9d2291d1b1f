/**
 * A deployed service: a name, the revision that is current, and the replicas in its slots.
 *
 * 1. A message goes to one replica, chosen by the router; with one replica there is no choice.
 * 2. A replica that crashes stops no other; the service is quarantined when all of them are.
 * 3. A slot changes its revision only by `replace`, with the state of the slot.
 * 4. Slots run another revision than the current one only during a rollout.
 * 5. A slot that has gone comes back only when whoever was in it has stored the last of it.
 */
import type { RevisionId, ServiceKey } from "#base/ids.ts";
import type { Capability } from "#capability/capability.ts";
import { shareOf, type Rollout } from "#deploy/rollout.ts";
import type { ServiceSpec } from "#deploy/spec.ts";
import type { CrashReport } from "#kernel/services/replica/crash-report.ts";
import type { Dispatch } from "#kernel/services/messages/dispatch.ts";
import type { HostApi } from "#kernel/services/host/host-api.ts";
import type { Instance } from "#kernel/services/instance/instance.ts";
import { stateOfAll, type ServiceState } from "#kernel/services/replica/lifecycle.ts";
import type { ServiceBounds } from "#kernel/limits/book.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { Message } from "#kernel/services/messages/inbox.ts";
import type { HeldBack } from "#kernel/services/messages/refusals.ts";
import { Replica, type ReplicaOptions } from "#kernel/services/replica/replica.ts";
import type { Revision } from "#kernel/services/revision.ts";
import { Router } from "#kernel/services/router.ts";
import { Split } from "#kernel/services/split.ts";

/** More revisions than this do not finish their last responses side by side. */
const MAX_LEAVING = 8;

/** A rollout that is under way, and the revision that it brings. */
export interface Incoming {
  readonly rollout: Rollout;
  readonly revision: Revision;
}

export interface ServiceOptions {
  readonly key: ServiceKey;
  readonly revision: Revision;
  readonly incoming?: Incoming | undefined;
  readonly deployedAtMs: number;
  readonly powers: ServicePowers;
  readonly hostApi: HostApi;
  /** All of its replicas crashed too often: it is left alone from now on. */
  readonly quarantined: (service: Service) => void;
}

/** What its replicas have counted together. */
export interface ServiceTotals {
  readonly restarts: number;
  readonly messages: number;
  readonly errors: number;
  readonly cpuMs: number;
  readonly memoryBytes: number;
  readonly lastCrash: CrashReport | undefined;
}

export class Service {
  readonly key: ServiceKey;
  readonly deployedAtMs: number;
  /** Told of every crash of a replica. */
  watch: (() => void) | undefined;
  /** What waits beside its replicas to take over from them; goes when the service stops. */
  standby: { giveUp(): Promise<void> } | undefined;
  readonly bounds: ServiceBounds;
  readonly #options: ServiceOptions;
  readonly #router = new Router();
  #revision: Revision;
  /** By slot. */
  #replicas: readonly Replica[];
  /** Replaced ones that still have something in hand. */
  readonly #leaving = new Set<Replica>();
  /** Whose slots have gone, each until it has ended. */
  readonly #departing = new Map<Replica, Promise<unknown>>();
  /** The only replica, when there is one: no choice to make. */
  #only: Replica | undefined;
  #incoming: Incoming | undefined;
  /** How many replicas each slot has had. */
  readonly #generations = new Map<number, number>();
  /** While a share of the messages goes to the incoming revision. */
  #split: Split<Replica> | undefined;

  constructor(options: ServiceOptions) {
    this.key = options.key;
    this.deployedAtMs = options.deployedAtMs;
    this.#options = options;
    this.#revision = options.revision;
    this.bounds = options.powers.limits.open(options.key, options.revision.spec.limits);
    const { incoming } = options;
    const moved = new Set(incoming?.rollout.slots);
    const slots = Array.from({ length: options.revision.spec.instances }, (_, slot) => slot);
    this.#replicas = [...new Set([...slots, ...moved])].map((slot) =>
      this.newReplica(slot, moved.has(slot) ? incoming!.revision : options.revision),
    );
    this.#only = this.#replicas.length === 1 ? this.#replicas[0] : undefined;
    this.incoming = incoming;
  }

  /** Set while a rollout is under way. */
  get incoming(): Incoming | undefined {
    return this.#incoming;
  }

  set incoming(incoming: Incoming | undefined) {
    this.#incoming = incoming;
    this.#split = this.#splitNow();
  }

  get rollout(): Rollout | undefined {
    return this.#incoming?.rollout;
  }

  get current(): Revision {
    return this.#revision;
  }

  get revision(): RevisionId {
    return this.#revision.id;
  }

  get spec(): ServiceSpec {
    return this.#revision.spec;
  }

  get handles(): readonly Capability[] {
    return this.#revision.handles;
  }

  get replicas(): readonly Replica[] {
    return this.#replicas;
  }

  get state(): ServiceState {
    return this.#only?.state ?? stateOfAll(this.#replicas.map(({ state }) => state));
  }

  /** The running instances, by slot. */
  get instances(): readonly Instance[] {
    return this.#replicas.flatMap(({ instance }) => instance ?? []);
  }

  get mailboxLength(): number {
    let length = 0;
    for (const replica of this.#replicas) length += replica.mailboxLength;
    return length;
  }

  /** Messages that are not handled yet, and that their senders have not given up. */
  get awaitedMessages(): number {
    return this.#replicas.reduce((total, each) => total + each.awaitedMessages, 0);
  }

  get longestMailbox(): number {
    return this.#replicas.reduce((most, each) => Math.max(most, each.mailboxLength), 0);
  }

  /** CPU time of all instances that it ever had, ms. */
  get cpuMs(): number {
    return this.#replicas.reduce((total, { record }) => total + record.cpuMs, 0);
  }

  /** What can be called; undefined before the first start. */
  get handlers(): ReadonlySet<string> | undefined {
    return this.#replicas.find(({ record }) => record.handlers !== undefined)?.record.handlers;
  }

  /** What the service calls its own version. */
  get version(): string | undefined {
    return this.#replicas.find(({ record }) => record.version !== undefined)?.record.version;
  }

  get totals(): ServiceTotals {
    const sum = (read: (replica: Replica) => number) =>
      this.#replicas.reduce((total, replica) => total + read(replica), 0);
    const crashes = this.#replicas.flatMap(({ record }) => record.counts.lastCrash ?? []);
    return {
      restarts: sum(({ record }) => record.counts.restarts),
      messages: sum(({ record }) => record.counts.messages),
      errors: sum(({ record }) => record.counts.errors),
      cpuMs: this.cpuMs,
      memoryBytes: sum(({ instance }) => instance?.heapBytes ?? 0),
      lastCrash: crashes.toSorted((a, b) => (a.at < b.at ? -1 : 1)).at(-1),
    };
  }

  send(message: Message): Dispatch {
    return (this.#only ?? this.#choose(message.key)).send(message);
  }

  #choose(key: string | undefined): Replica {
    const { routing } = this.spec;
    return this.#split?.choose(routing, key) ?? this.#router.choose(this.#replicas, routing, key);
  }

  /** Where a key means a slot, the slots that have moved are the share. */
  #splitNow(): Split<Replica> | undefined {
    if (this.#incoming === undefined) return undefined;
    const { rollout, revision: incoming } = this.#incoming;
    const percent = shareOf(rollout);
    if (percent === undefined) return undefined;
    const { beside, split } = rollout.strategy;
    if (this.spec.routing === "key" && !beside) return undefined;
    const isNewer = ({ revision }: Replica) => revision === incoming;
    const newer = this.#replicas.filter(isNewer);
    const older = this.#replicas.filter((replica) => !isNewer(replica));
    if (newer.length === 0 || older.length === 0) return undefined;
    return new Split({ share: { percent, by: split }, newer, older });
  }

  /** A replica of this service that nobody sends to yet. */
  newReplica(
    slot: number,
    revision: Revision,
    predecessor?: ReplicaOptions["predecessor"],
  ): Replica {
    const { key, powers, hostApi } = this.#options;
    const generation = this.#generations.get(slot) ?? 0;
    this.#generations.set(slot, generation + 1);
    return new Replica({
      key,
      slot,
      generation,
      revision,
      powers,
      bounds: this.bounds,
      asked: (request) =>
        this.bounds.limits.hostRequest(request.instance, () =>
          hostApi.handle({ service: this, ...request }),
        ),
      crashed: () => this.watch?.(),
      quarantined: () => {
        this.watch?.();
        if (this.state === "quarantined") this.#options.quarantined(this);
      },
      ...(predecessor !== undefined && { predecessor }),
    });
  }

  /** These are its replicas from now on, by slot. */
  replace(
    replicas: readonly Replica[],
    { current, incoming }: { readonly current: Revision; readonly incoming?: Incoming | undefined },
  ): void {
    this.#replicas = replicas;
    this.#only = replicas.length === 1 ? replicas[0] : undefined;
    this.#revision = current;
    this.incoming = incoming;
    this.bounds.limits.relimit(current.spec.limits);
  }

  /** Lets a replica that has been replaced end what it has in hand. */
  async letGo(replica: Replica, lingerMs: number): Promise<void> {
    const [oldest] = this.#leaving;
    if (oldest !== undefined && this.#leaving.size >= MAX_LEAVING) oldest.kill();
    this.#leaving.add(replica);
    try {
      await replica.handOver.retire(lingerMs);
    } finally {
      this.#leaving.delete(replica);
    }
  }

  /** Lets a replica whose slot has gone end as it would at any stop: its state stays on disk for
   *  the day the slot comes back. */
  async depart(replica: Replica): Promise<void> {
    const { shutdownTimeoutMs: timeoutMs } = replica.spec.restartLimits;
    const departed = replica.stop({ force: false, timeoutMs });
    this.#departing.set(replica, departed);
    try {
      await departed;
    } finally {
      this.#departing.delete(replica);
    }
  }

  /** Resolves when nobody is left in these slots who is none of its replicas. */
  async vacated(slots: readonly number[]): Promise<void> {
    const left = [...this.#departing].filter(([{ slot }]) => slots.includes(slot));
    await Promise.allSettled(left.map(([, departed]) => departed));
  }

  holdInQuarantine(): void {
    for (const replica of this.#replicas) replica.holdInQuarantine();
  }

  /** It did not come back after the kernel's start. */
  holdBack(why: HeldBack): void {
    for (const { record } of this.#replicas) record.heldBack = why;
  }

  /** Why it did not come back after the kernel's start; undefined when it did, or runs since. */
  get heldBack(): HeldBack | undefined {
    return this.#replicas.find(({ record }) => record.heldBack !== undefined)?.record.heldBack;
  }

  /** Hybrid state to disk, if something may have changed it. */
  async flush(): Promise<void> {
    await Promise.all(this.#replicas.map((replica) => replica.flush()));
  }

  checkProgress(now: number): void {
    for (const replica of this.#replicas) replica.checkProgress(now);
  }

  /** Orderly end of all replicas: what is in flight is finished, `terminate` runs. */
  async stop(options: { force: boolean; timeoutMs: number }): Promise<{ forced: boolean }> {
    for (const replica of this.#leaving) replica.kill();
    await this.standby?.giveUp();
    const all = [...this.#replicas, ...this.#departing.keys()];
    const ends = await Promise.all(all.map((replica) => replica.stop(options)));
    return { forced: ends.some(({ forced }) => forced) };
  }

  /** Resolves when what happened so far is recorded. */
  async settled(): Promise<void> {
    await Promise.all(this.#replicas.map(({ record }) => record.settled()));
  }
}
