/**
 * From a newer revision to an older one: with which state, and when the watchdog says so.
 *
 * 1. When the state that was wished for cannot be had, the one from before the update is
 *    restored, and the event says so.
 */
import { SoloError, toSoloError } from "#base/errors.ts";
import { keyText } from "#base/ids.ts";
import type { Snapshots } from "#deploy/snapshots.ts";
import type { StateOnRollback } from "#deploy/watchdog.ts";
import type { Deployer } from "#kernel/deployer.ts";
import type { HostApi } from "#kernel/services/host-api.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { Replica } from "#kernel/services/replica.ts";
import type { Service } from "#kernel/services/service.ts";
import type { Tenants } from "#kernel/tenants.ts";
import type { Faults } from "#kernel/faults.ts";
import { rounded, type Journal } from "#kernel/upgrades/journal.ts";
import type { Regression } from "#kernel/upgrades/probation.ts";
import { rehearse } from "#kernel/upgrades/rehearsal.ts";
import { present, swap, type Handed, type Swapped } from "#kernel/upgrades/swap.ts";
import type { Probation } from "#kernel/upgrades/watchdog.ts";

const MAX_DETAIL_CHARS = 2000;

export interface WayBackOptions {
  readonly tenants: Tenants;
  readonly deployer: Deployer;
  readonly snapshots: Snapshots;
  readonly powers: ServicePowers;
  readonly hostApi: HostApi;
  readonly faults: Faults;
  readonly journal: Journal;
}

export class WayBack {
  readonly #options: WayBackOptions;

  constructor(options: WayBackOptions) {
    this.#options = options;
  }

  /** The state that a rollback hands over: the newer code makes it, if it knows how. */
  async handOver(service: Service, newer: Replica, older: Replica): Promise<Handed> {
    const traits = newer.instance?.started.traits ?? [];
    const handed = await present(newer, "codeChange");
    if (!traits.includes("downgrade")) return handed;
    return this.#downgraded({ service, newer, older, state: handed.state });
  }

  /** The watchdog's: `again` when somebody else is at the service. */
  async rollBack(
    probation: Probation,
    regressions: readonly Regression[],
  ): Promise<"done" | "again"> {
    const { deployer, powers } = this.#options;
    const { service, isThere } = probation.options;
    try {
      await deployer.exclusively(service.key, async () => {
        if (service.current !== probation.revision || !isThere()) return;
        await this.#restore(probation, regressions);
      });
      return "done";
    } catch (error) {
      const { code, message } = toSoloError(error);
      // What they do may end the probation.
      if (code === "conflict") return "again";
      powers.log.error("a regression could not be rolled back", {
        service: keyText(service.key),
        code,
        detail: message.slice(0, MAX_DETAIL_CHARS),
      });
      return "done";
    }
  }

  async #restore(probation: Probation, regressions: readonly Regression[]): Promise<void> {
    const { deployer, powers, journal } = this.#options;
    const { service, previous, causationId } = probation.options;
    const begun = powers.clock.now();
    const bad = probation.revision;
    let state = bad.spec.watchdog.stateOnRollback;
    let swapped: Swapped;
    try {
      swapped = await this.#swapBack(probation, state, regressions);
    } catch (error) {
      if (state === "restore_old") throw error;
      // The old code, or what is left of the new one, does not take the new state.
      state = "restore_old";
      swapped = await this.#swapBack(probation, state, regressions);
    }
    const payload = {
      from_revision: bad.id,
      revision: previous.id,
      reason: "regression",
      regressions,
      state,
      pause_ms: rounded(swapped.pauseMs),
      state_bytes: swapped.stateBytes,
      took_ms: rounded(powers.clock.now() - begun),
    };
    journal.tell("hot_swap_rolled_back", service.key, payload, causationId);
    void swapped.left.then(() => deployer.discard(bad.handles));
  }

  #swapBack(
    probation: Probation,
    policy: StateOnRollback,
    regressions: readonly Regression[],
  ): Promise<Swapped> {
    const { tenants, powers, faults, journal } = this.#options;
    const { service, previous, handed } = probation.options;
    const message = `Regression: ${regressions.map(({ what }) => what).join(", ")}`;
    const why = { action: "rollback", by: "watchdog", message } as const;
    return swap({
      service,
      revision: previous,
      tenants,
      powers,
      faults,
      drain: policy !== "restore_old",
      evenIfDown: true,
      stateOf: (newer, older) =>
        this.byPolicy(policy, { service, newer, older, before: handed.get(newer.slot) }),
      record: journal.recorder(service, previous, why),
    });
  }

  /** What a policy hands over from a newer revision that did worse; `before`: what the slot
   *  had when the newer one took it. */
  async byPolicy(
    policy: StateOnRollback,
    from: {
      readonly service: Service;
      readonly newer: Replica;
      readonly older: Replica;
      readonly before: Handed | undefined;
    },
  ): Promise<Handed> {
    const { newer, before } = from;
    const state = policy === "restore_old" ? undefined : await this.#newest(newer);
    if (state !== undefined && policy === "downgrade") return this.#downgraded({ ...from, state });
    const kept = state ?? before?.state;
    if (kept !== undefined) return { state: kept, via: "as_it_is" };
    throw new SoloError("unavailable", `No state of slot ${newer.slot} was kept.`);
  }

  /** The state that it has, or stored last if it does not run. */
  async #newest(replica: Replica): Promise<string | undefined> {
    if (replica.instance !== undefined) return (await present(replica, "as_it_is")).state;
    const stored = await this.#options.snapshots.load(replica.stateKey);
    return stored?.sourceHash === replica.revision.sourceHash ? stored.state : undefined;
  }

  async #downgraded(from: {
    readonly service: Service;
    readonly newer: Replica;
    readonly older: Replica;
    readonly state: string;
  }): Promise<Handed> {
    const { powers, hostApi } = this.#options;
    const { service, newer, older, state } = from;
    const { revision } = newer;
    const { version } = older;
    const { state: made } = await rehearse({
      service,
      replica: newer,
      revision,
      powers,
      hostApi,
      adoption: {
        state,
        via: "downgrade",
        ...(version !== undefined && { version }),
        whole: true,
        timeoutMs: revision.spec.restartLimits.codeChangeTimeoutMs,
      },
    });
    return { state: made, via: "as_it_is" };
  }
}
