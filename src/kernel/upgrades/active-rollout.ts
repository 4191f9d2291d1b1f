/** A rollout that is under way in this kernel. One thing is done with it at a time. */
import type { ServiceKey } from "#base/ids.ts";
import type { Rollout } from "#deploy/rollout.ts";
import type { RolloutRecord } from "#deploy/rollouts.ts";
import type { Replica } from "#kernel/services/replica/replica.ts";
import type { Revision } from "#kernel/services/revision.ts";
import type { Service } from "#kernel/services/service.ts";
import type { Regression } from "#kernel/upgrades/judge.ts";
import { sentTo } from "#kernel/upgrades/rollout-look.ts";
import type { Handed } from "#kernel/upgrades/swap.ts";

export interface ActiveRolloutOptions {
  readonly service: Service;
  readonly previous: Revision;
  readonly next: Revision;
  readonly record: RolloutRecord;
  /** What the slots that have moved had before. */
  readonly kept?: ReadonlyMap<number, Handed>;
}

export class ActiveRollout {
  readonly service: Service;
  readonly previous: Revision;
  readonly next: Revision;
  /** As it is on disk. */
  record: RolloutRecord;
  /** By slot, what it had before it moved first. */
  readonly kept: Map<number, Handed>;
  regressions: readonly Regression[] = [];
  /** Nothing is looked at or tried again before; monotonic. */
  restsUntil = 0;
  /** Nobody has seen enough of the new revision before; monotonic. */
  watchedUntil = 0;
  #sentBefore: number;
  #turn: Promise<unknown> = Promise.resolve();
  #isBusy = false;

  constructor({ service, previous, next, record, kept }: ActiveRolloutOptions) {
    this.service = service;
    this.previous = previous;
    this.next = next;
    this.record = record;
    this.kept = new Map(kept);
    this.#sentBefore = sentTo(this.newer);
  }

  get key(): ServiceKey {
    return this.record.key;
  }

  get rollout(): Rollout {
    return this.record.rollout;
  }

  get newer(): readonly Replica[] {
    return this.service.replicas.filter(({ revision }) => revision === this.next);
  }

  get older(): readonly Replica[] {
    return this.service.replicas.filter(({ revision }) => revision !== this.next);
  }

  /** What the new revision has been sent since the step began. */
  get sent(): number {
    return sentTo(this.newer) - this.#sentBefore;
  }

  stepBegins(): void {
    this.#sentBefore = sentTo(this.newer);
  }

  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** Resolves when what was begun is done. */
  get idle(): Promise<unknown> {
    return this.#turn;
  }

  /** After everything that was to be done with it before. */
  inTurn<T>(act: () => Promise<T>): Promise<T> {
    this.#isBusy = true;
    const done = this.#turn.then(act);
    const turn = done.then(
      () => {},
      () => {},
    );
    this.#turn = turn;
    void turn.then(() => {
      if (this.#turn === turn) this.#isBusy = false;
    });
    return done;
  }
}
