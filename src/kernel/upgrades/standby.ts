/**
 * Replicas of the revision that a service had, loaded beside those on probation, so that it
 * can come back at once.
 *
 * 1. Nothing of them runs but the top level of their modules, until they are given a state.
 * 2. Each costs an isolate: they go when memory gets short, and are not made when it is. A
 *    rollback without them loads the revision anew.
 * 3. They are taken once, or given up, and nothing of them stays.
 */
import { toSoloError } from "#base/errors.ts";
import { keyText } from "#base/ids.ts";
import type { Logger } from "#base/log.ts";
import type { Replica } from "#kernel/services/replica/replica.ts";
import type { Revision } from "#kernel/services/revision.ts";
import type { Service } from "#kernel/services/service.ts";
import type { Tenants } from "#kernel/tenants.ts";

export interface StandbyOptions {
  readonly service: Service;
  readonly previous: Revision;
  readonly tenants: Tenants;
  readonly log: Logger;
  /** There is memory for it. */
  readonly hasRoom: () => boolean;
}

export class Standby {
  readonly #options: StandbyOptions;
  readonly #loading: Promise<readonly Replica[]>;
  #isOver = false;

  /** Loads them meanwhile. */
  constructor(options: StandbyOptions) {
    this.#options = options;
    this.#loading = options.hasRoom() ? this.#load() : Promise.resolve([]);
    options.service.standby = this;
  }

  /** Those that are ready to take over from the service's present replicas, by slot. */
  async take(): Promise<ReadonlyMap<number, Replica>> {
    if (this.#isOver) return new Map();
    this.#leave();
    const replicas = await this.#loading;
    const ready = replicas.filter(({ handOver }) => handOver.standsBy);
    await retire(replicas.filter((replica) => !ready.includes(replica)));
    return new Map(ready.map((replica) => [replica.slot, replica]));
  }

  /** Called now and then. */
  check(): void {
    if (!this.#isOver && !this.#options.hasRoom()) void this.giveUp();
  }

  async giveUp(): Promise<void> {
    if (this.#isOver) return;
    this.#leave();
    await retire(await this.#loading);
  }

  async #load(): Promise<readonly Replica[]> {
    const { service, previous, tenants, log } = this.#options;
    const replicas = service.replicas
      .filter(({ slot }) => slot < previous.spec.instances)
      .map((replica) => service.newReplica(replica.slot, previous, { replica, hot: true }));
    try {
      await tenants.startReplicas(replicas);
      return replicas;
    } catch (error) {
      const { code, message } = toSoloError(error);
      log.debug("nothing stands by", { service: keyText(service.key), code, detail: message });
      return [];
    }
  }

  #leave(): void {
    this.#isOver = true;
    const { service } = this.#options;
    if (service.standby === this) service.standby = undefined;
  }
}

const retire = async (replicas: readonly Replica[]): Promise<void> => {
  await Promise.all(replicas.map((replica) => replica.handOver.retire()));
};
