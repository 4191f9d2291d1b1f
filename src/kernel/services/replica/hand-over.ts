/**
 * The hand-over of a slot from a replica to its successor, with what either of them does for it.
 *
 * 1. Messages, timers, subscriptions and state go to the successor at once; from then on nothing of
 *    the one before is told or stored. Nothing of the successor is before.
 */
import type { Clock } from "#base/clock.ts";
import { within } from "#base/deadline.ts";
import type { ServiceKey } from "#base/ids.ts";
import type { Snapshot } from "#deploy/snapshots.ts";
import { drain } from "#kernel/services/replica/drain.ts";
import type { Inbox } from "#kernel/services/messages/inbox.ts";
import type { Infos } from "#kernel/services/messages/infos.ts";
import type { Instance } from "#kernel/services/instance/instance.ts";
import type { Life } from "#kernel/services/replica/life.ts";
import type { Lifecycle } from "#kernel/services/replica/lifecycle.ts";
import type { ReplicaRecord } from "#kernel/services/replica/record.ts";
import { notUp } from "#kernel/services/messages/refusals.ts";
import type { ReplicaSecrets } from "#kernel/services/host/replica-secrets.ts";
import type { ReplicaState } from "#kernel/services/state/replica-state.ts";
import type { Revision } from "#kernel/services/revision.ts";
import { keepsState } from "#kernel/services/instance/start-message.ts";
import type { Adoption, StateSource } from "#wire/messages.ts";

/** The parts of one replica. */
export interface HandOverOptions {
  readonly key: ServiceKey;
  readonly revision: Revision;
  readonly clock: Clock;
  readonly lifecycle: Lifecycle;
  readonly inbox: Inbox;
  readonly infos: Infos;
  readonly kept: ReplicaState;
  readonly life: Life;
  readonly record: ReplicaRecord;
  readonly secrets: ReplicaSecrets;
  /** It begins with what its predecessor hands over, not with what is on disk. */
  readonly isHot: boolean;
}

export class HandOver {
  readonly #options: HandOverOptions;
  /** Until this one serves: a successor must not hold on to those before it. */
  #predecessor: HandOver | undefined;
  /** What it has made of the state that it was given, until it serves. */
  #adopted: string | undefined;
  /** What it has made of the state on disk, until it serves. */
  #made: Snapshot | undefined;

  constructor(options: HandOverOptions, predecessor: HandOver | undefined) {
    this.#options = options;
    this.#predecessor = predecessor;
  }

  // ---- who is replaced ----

  get isHeld(): boolean {
    return this.#options.inbox.isHeld;
  }

  /** From now on messages wait, until `release` or a successor's `takeOver`. */
  hold(): void {
    this.#options.inbox.hold();
  }

  /** The same for one that does not run, and nothing starts it meanwhile: what is on disk stays
   *  its newest state. */
  suspend(): void {
    this.hold();
    this.#options.life.suspend();
  }

  release(): void {
    const { kept, life, inbox } = this.#options;
    kept.goOn();
    life.resume();
    inbox.release();
  }

  /** Resolves when nothing is in hand that could change the state; see drain.ts. */
  drained(options: { readonly timeoutMs: number; readonly mustRun: boolean }): Promise<void> {
    const { key, clock, life } = this.#options;
    const instance = () => life.instance;
    return drain({ service: key.service, clock, instance, ...options });
  }

  /** Resolves when its state on disk stays as it is, until `release` or a successor's `takeOver`. */
  stopStoring(): Promise<void> {
    return this.#options.kept.holdBack();
  }

  /** The state as it is now, encoded; the instance is idle or does not mind. `present`: without
   *  what is never stored. */
  async peek(timeoutMs: number, wish: "whole" | "present" = "whole"): Promise<string> {
    const { key, kept } = this.#options;
    const what = `${key.service} to tell its state`;
    const told = this.#running.snapshot(wish);
    if (wish === "present") kept.owe(this.#running);
    return (await within(told, { ms: timeoutMs, what, code: "conflict" }))!;
  }

  /** A successor that was loaded beside it serves in its place. */
  get isReplaced(): boolean {
    return this.#options.life.standing === "replaced";
  }

  // ---- who replaces ----

  get isHot(): boolean {
    return this.#options.isHot;
  }

  /** It is loaded beside one that serves, and could take over now. */
  get standsBy(): boolean {
    const { life } = this.#options;
    return life.standing === "loaded" && life.instance !== undefined;
  }

  /** What an instance that starts now begins with. */
  async source(): Promise<StateSource> {
    const { kept, isHot, life } = this.#options;
    // Its instance ended before the adopted state was on disk, where the one before still stands.
    if (this.#adopted !== undefined) return this.#adoptedAgain(this.#adopted);
    const isBeside = isHot && life.standing === "loaded";
    const stored = await kept.load();
    return isBeside ? { from: "handover" } : stored;
  }

  /** Gives a loaded replica the state to begin with; resolves with what it made of it. */
  async adopt(adoption: Adoption): Promise<string> {
    const predecessor = this.#predecessor;
    // It may have been loaded long ago; the state holds what the one before learned since.
    if (predecessor !== undefined) this.#options.secrets.learn(predecessor.#options.secrets);
    this.#adopted = await this.#running.adopt(adoption);
    return this.#adopted;
  }

  /** What an instance tells of its state: to be stored, unless it is its predecessor's until this
   *  one serves, also when it ends with the kernel. */
  async keep(instance: Instance, text: string): Promise<void> {
    const { kept, life, isHot } = this.#options;
    if (life.standing !== "loaded") await kept.save(instance, text);
    else if (!isHot) this.#made = kept.snapshotOf(instance, text);
  }

  /** What it has made of the state that it begins with, to be kept in one write with other things. */
  get made(): Snapshot | undefined {
    const { life, record, revision } = this.#options;
    if (this.#adopted === undefined) return this.#made;
    const version = life.instance?.started.version ?? record.version;
    return { state: this.#adopted, version, sourceHash: revision.sourceHash };
  }

  /** Serves in the predecessor's place: its waiting messages, timers and subscriptions are this
   *  one's now. */
  takeOver(): void {
    const { inbox, infos, life, isHot } = this.#options;
    const predecessor = this.#predecessor;
    this.#predecessor = undefined;
    this.#made = undefined;
    this.#adopted = undefined;
    if (predecessor === undefined) return;
    if (isHot) predecessor.#leaveSlot();
    else predecessor.#options.kept.close();
    infos.redirect();
    inbox.takeOver(predecessor.#options.inbox);
    life.serve();
  }

  /**
   * Ends a replica whose successor has taken over, or that never served: nothing of it is
   * told or stored. What it has in hand may end within `lingerMs`.
   */
  async retire(lingerMs = 0): Promise<void> {
    this.#leaveSlot();
    this.#predecessor = undefined;
    await this.#options.life.retire(lingerMs);
  }

  #leaveSlot(): void {
    const { life, kept, inbox } = this.#options;
    life.leave();
    kept.close();
    inbox.hold();
  }

  #adoptedAgain(state: string): StateSource {
    const { revision, record } = this.#options;
    if (!keepsState(revision.spec)) return { from: "init" };
    const { version } = record;
    return { from: "stored", state, migrate: false, ...(version !== undefined && { version }) };
  }

  get #running(): Instance {
    const { key, life, lifecycle } = this.#options;
    if (life.instance === undefined) throw notUp(key.service, lifecycle.state);
    return life.instance;
  }
}
