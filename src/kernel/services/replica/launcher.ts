/**
 * Starts the instances of one replica, each as the ends of those before it have taught.
 *
 * 1. What may have ended a shared cell starts in a cell of its own for ten minutes.
 * 2. What did not end its turn on the fast lane starts off it from then on.
 */
import { newInstanceId, type ServiceKey } from "#base/ids.ts";
import { Instance, type InstanceEvents } from "#kernel/services/instance/instance.ts";
import type { InstanceCrash } from "#kernel/services/instance/outcomes.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { ReplicaSecrets } from "#kernel/services/host/replica-secrets.ts";
import type { Revision } from "#kernel/services/revision.ts";
import { startMessage } from "#kernel/services/instance/start-message.ts";
import type { StateSource } from "#wire/messages.ts";

const APART_MS = 600_000;

export interface LauncherOptions {
  readonly key: ServiceKey;
  readonly revision: Revision;
  readonly powers: Pick<ServicePowers, "cells" | "clock">;
  readonly secrets: ReplicaSecrets;
  /** What an instance that starts now begins with. */
  readonly source: () => Promise<StateSource>;
  readonly events: InstanceEvents;
}

export class Launcher {
  readonly #options: LauncherOptions;
  #fastLane = true;
  /** When a cell ended and this may have been the cause. */
  #blamedAt: number | undefined;

  constructor(options: LauncherOptions) {
    this.#options = options;
  }

  async start(signal: AbortSignal): Promise<Instance> {
    const { key, revision, powers, secrets, source, events } = this.#options;
    const { cells, clock } = powers;
    const id = newInstanceId();
    const [modules, cell, state] = await Promise.all([
      revision.code.modules(),
      this.#isAlone ? cells.dedicated(key.tenant) : cells.shared(key.tenant),
      source(),
      secrets.prepare(),
    ]);
    const { spec } = revision;
    const start = startMessage({ key, id, spec, modules, state, fastLane: this.#fastLane });
    const instance = await Instance.start(
      { id, cell, start, now: () => clock.now(), events },
      signal,
    );
    void instance.exited.then(() => cells.release(cell));
    return instance;
  }

  learn({ down, withCell, blame }: InstanceCrash): void {
    if (down.fastLane) this.#fastLane = false;
    if (withCell && blame !== "innocent") this.#blamedAt = this.#options.powers.clock.now();
  }

  /** It asked for a cell of its own, or may have ended the shared one. */
  get #isAlone(): boolean {
    const { revision, powers } = this.#options;
    const at = this.#blamedAt;
    if (revision.spec.isolation === "dedicated") return true;
    return at !== undefined && powers.clock.now() - at < APART_MS;
  }
}
