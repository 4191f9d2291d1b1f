/** What is written of a change: one durable write that makes it so, and its events. */
import type { ServiceKey } from "#base/ids.ts";
import { deploymentOp } from "#deploy/deployments.ts";
import type { NewEntry, Revisions } from "#deploy/revisions.ts";
import type { Snapshots } from "#deploy/snapshots.ts";
import { deploymentWith } from "#kernel/deploys/deployed.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { Revision } from "#kernel/services/revision.ts";
import type { Service } from "#kernel/services/service.ts";
import type { Handed, SwapOptions } from "#kernel/upgrades/swap.ts";
import type { KvOp } from "#storage/protocol.ts";

export interface JournalOptions {
  readonly revisions: Revisions;
  readonly snapshots: Snapshots;
  readonly powers: ServicePowers;
}

/** Who makes a revision current, how, and why. */
export type Reason = Pick<NewEntry, "by" | "action" | "message">;

export class Journal {
  readonly #options: JournalOptions;

  constructor(options: JournalOptions) {
    this.#options = options;
  }

  /** What is written in one batch when `revision` becomes current, with what `beside` makes of
   *  the states that were handed over. What can be read before anybody has to wait is read now. */
  recorder(
    service: Service,
    revision: Revision,
    why: Reason,
    beside: (handed: ReadonlyMap<number, Handed>) => readonly KvOp[],
  ): SwapOptions["record"] {
    const { revisions, snapshots, powers } = this.#options;
    const { key } = service;
    const entry = { ...why, revision: revision.id, atMs: powers.clock.wallMs() };
    const history = revisions.became(key, entry, revision.spec);
    history.catch(() => {}); // told to whoever records
    return async (states, handed) => {
      const deployment = deploymentOp(deploymentWith(service, revision));
      const writes = [deployment, ...(await history), ...beside(handed)];
      await snapshots.saveAll(states, writes);
    };
  }

  /** What is written when a rollout ends with `revision`, which is new to the history if
   *  there is a reason. */
  async ending(service: Service, revision: Revision, why: Reason | undefined): Promise<KvOp[]> {
    const { revisions, powers } = this.#options;
    const deployment = deploymentOp(deploymentWith(service, revision));
    if (why === undefined) return [deployment];
    const entry = { ...why, revision: revision.id, atMs: powers.clock.wallMs() };
    return [deployment, ...(await revisions.became(service.key, entry, revision.spec))];
  }

  /** The event's id, for those that follow from it. */
  tell(
    type: "hot_swap_started" | "hot_swap_rolled_back",
    key: ServiceKey,
    payload: object,
    causationId?: number,
  ): number {
    return this.#options.powers.events.emit({
      type,
      tenantId: key.tenant,
      subject: key.service,
      payload,
      ...(causationId !== undefined && { causationId }),
    });
  }

  /** Resolves when it is on disk. */
  succeeded(key: ServiceKey, payload: object, causationId: number): Promise<number> {
    return this.#options.powers.events.append({
      type: "hot_swap_succeeded",
      tenantId: key.tenant,
      subject: key.service,
      payload,
      causationId,
    });
  }
}
