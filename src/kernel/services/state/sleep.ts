/**
 * How the instance of a replica goes while nobody needs it, and comes back.
 *
 * 1. Only who is idle and waits for nothing sleeps; its state, its timers and what it
 *    listens to are on disk first.
 * 2. What is sent while that is found out waits, and wakes it if it slept.
 * 3. Who was not idle after all is asked again when as much time has passed.
 * 4. While somebody keeps it awake it does not sleep, however idle it is.
 */
import { within } from "#base/deadline.ts";
import { keyText, type ServiceKey } from "#base/ids.ts";
import { rounded } from "#base/rounded.ts";
import type { Dormant } from "#deploy/dormants.ts";
import type { Dormancy } from "#kernel/services/state/dormancy.ts";
import type { Inbox } from "#kernel/services/messages/inbox.ts";
import type { Instance } from "#kernel/services/instance/instance.ts";
import type { ReplicaState } from "#kernel/services/state/replica-state.ts";
import type { Lifecycle } from "#kernel/services/replica/lifecycle.ts";
import type { Listening } from "#kernel/services/messages/listening.ts";
import type { MessageTimers } from "#kernel/services/messages/message-timers.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { ReplicaRecord } from "#kernel/services/replica/record.ts";
import type { Revision } from "#kernel/services/revision.ts";

/** A guest that does not tell its state in time is not idle. */
const IDLE_ANSWER_MS = 2000;

export interface SleepOptions {
  readonly key: ServiceKey;
  readonly revision: Revision;
  readonly powers: Pick<ServicePowers, "clock" | "faults" | "log">;
  readonly dormancy: Dormancy;
  readonly kept: ReplicaState;
  readonly inbox: Inbox;
  readonly timers: MessageTimers;
  readonly listening: Listening;
  readonly record: ReplicaRecord;
  readonly lifecycle: Lifecycle;
  readonly instance: () => Instance | undefined;
  /** The instance goes; its runner waits for `rouse`. */
  readonly evict: () => void;
  readonly rouse: () => void;
}

export class Sleep {
  readonly #options: SleepOptions;
  /** Under way; whether it slept in the end. */
  #falling: Promise<boolean> | undefined;
  #waking: { readonly since: number; readonly done: PromiseWithResolvers<void> } | undefined;
  /** It sleeps since an earlier kernel, and nothing has run yet. */
  #isFirst = false;
  /** When it was last asked whether it is idle; monotonic. */
  #stirredAt = 0;
  /** How many want it awake. */
  #watchers = 0;

  constructor(options: SleepOptions) {
    this.#options = options;
  }

  /** Begins asleep, as an earlier kernel left it. */
  resume(dormant: Dormant): void {
    const { dormancy, record, timers, listening } = this.#options;
    this.#isFirst = true;
    dormancy.resume(dormant);
    record.asleep(dormant);
    timers.revive(dormant.timers);
    listening.revive(dormant.listening ?? []);
  }

  /** Whoever starts awake has no sleep on disk any more, and nobody waits for its wake. */
  async begin(): Promise<void> {
    const { dormancy } = this.#options;
    if (this.#isFirst) return;
    await this.settled();
    dormancy.end();
    await dormancy.clean();
  }

  /** The sleep of an earlier kernel goes on; false when there was none, or it has been used. */
  resumes(): boolean {
    if (!this.#isFirst) return false;
    this.#isFirst = false;
    this.#options.lifecycle.move("hibernated");
    return true;
  }

  /** How long it has had nothing to do, ms; 0 when it has. */
  idleMs(now: number): number {
    const { inbox, lifecycle } = this.#options;
    const instance = this.#options.instance();
    const quiet = lifecycle.state === "running" && instance?.idle === true && inbox.isEmpty;
    return quiet && !inbox.isHeld && this.#watchers === 0
      ? now - Math.max(instance.progressAt, this.#stirredAt)
      : 0;
  }

  /** Evicts the instance if it is idle, and keeps its state; false when it was not. */
  hibernate(): Promise<boolean> {
    this.#falling ??= this.#hibernate().finally(() => (this.#falling = undefined));
    return this.#falling;
  }

  /** From now on it does not fall asleep, until what is returned is called. */
  keepAwake(): () => void {
    this.#watchers += 1;
    let over = false;
    return () => {
      if (over) return;
      over = true;
      this.#watchers -= 1;
    };
  }

  get isWaking(): boolean {
    return this.#waking !== undefined;
  }

  wake(): void {
    const { lifecycle, powers, rouse } = this.#options;
    lifecycle.move("starting");
    this.#waking = { since: powers.clock.now(), done: Promise.withResolvers() };
    rouse();
  }

  /** Resolves when it does not sleep and is not about to, on disk either. */
  async awake(timeoutMs: number): Promise<void> {
    const { key, lifecycle, dormancy } = this.#options;
    await this.#falling;
    if (lifecycle.state === "hibernated") this.wake();
    if (this.#waking !== undefined) {
      const what = `${key.service} to wake`;
      await within(this.#waking.done.promise, { ms: timeoutMs, what, code: "conflict" });
    }
    await dormancy.clean();
  }

  /** Its replica has ended or does: resolves when nothing of it is written to disk any more. */
  async settled(): Promise<void> {
    this.#awoke();
    await this.#falling?.catch(() => {}); // told to whoever sent it to sleep
  }

  /** An instance runs: tells of the sleep that it ended; false when there was none. */
  ended(instance: Instance): boolean {
    const { key, powers, dormancy, record } = this.#options;
    const { clock, log } = powers;
    const { dormant } = dormancy;
    if (dormant === undefined) return false;
    const slept_ms = clock.wallMs() - dormant.sinceMs;
    const took_ms = rounded(clock.now() - (this.#waking?.since ?? clock.now()));
    record.woken(instance, { slept_ms, took_ms });
    this.#endOnDisk().catch((error: unknown) => {
      log.warn("sleep not ended on disk", { service: keyText(key), error: String(error) });
    });
    this.#awoke();
    return true;
  }

  wakeFailed(): void {
    this.#options.lifecycle.move("crashed");
    this.#awoke();
  }

  async #hibernate(): Promise<boolean> {
    const { powers, dormancy, kept, inbox, record, lifecycle, evict } = this.#options;
    const idle_ms = Math.round(this.idleMs(powers.clock.now()));
    const instance = this.#options.instance();
    if (idle_ms === 0 || instance === undefined) return false;
    this.#stirredAt = powers.clock.now();
    const isStillIdle = () =>
      lifecycle.state === "running" &&
      this.#options.instance() === instance &&
      inbox.isEmpty &&
      this.#watchers === 0;
    const name = keyText(this.#options.key);
    inbox.hold();
    try {
      await powers.faults("drowsy", name);
      kept.owe(instance);
      const what = `${this.#options.key.service} to tell its state`;
      const state = await within(instance.snapshot("idle"), { ms: IDLE_ANSWER_MS, what });
      if (state === undefined || !isStillIdle()) return false;
      await powers.faults("idle_told", name);
      await this.#begin(instance, state);
      await powers.faults("sleep_recorded", name);
      if (!isStillIdle()) {
        dormancy.end();
        return false;
      }
      kept.settle();
      lifecycle.move("hibernated");
      evict();
      record.hibernated(instance, { idle_ms, state_bytes: state.length });
      await powers.faults("evicted", name);
      return true;
    } finally {
      inbox.release();
      if (lifecycle.state === "hibernated" && !inbox.isEmpty) this.wake();
    }
  }

  /** Everything it wakes up with to disk. */
  async #begin(instance: Instance, state: string): Promise<void> {
    const { powers, dormancy, kept, timers, listening } = this.#options;
    const { handlers } = instance.started;
    const snapshot = kept.snapshotOf(instance, state);
    const { sourceHash, version } = snapshot;
    const sinceMs = powers.clock.wallMs();
    const dormant = {
      sourceHash,
      version,
      handlers,
      timers: timers.dormant(),
      listening: listening.dormant(),
      sinceMs,
    };
    try {
      await dormancy.begin(dormant, snapshot);
      kept.wrote(state);
    } catch (error) {
      kept.couldNotWrite(error);
      throw error;
    }
  }

  async #endOnDisk(): Promise<void> {
    const { key, revision, powers, dormancy } = this.#options;
    const step = powers.faults("woken", keyText(key));
    // At once: the next state that is saved must find the record stale.
    dormancy.end();
    await step;
    if (revision.spec.persistence === "durable") await dormancy.clean();
    await powers.faults("sleep_ended", keyText(key));
  }

  #awoke(): void {
    this.#waking?.done.resolve();
    this.#waking = undefined;
  }
}
