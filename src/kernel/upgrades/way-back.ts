/**
 * From a newer revision to an older one: with which state.
 *
 * 1. When the state that was wished for cannot be had, a simpler one is tried, and the event
 *    says which it was. What only failed to happen is tried once more before.
 */
import { SoloError, toSoloError, type ErrorCode } from "#base/errors.ts";
import type { Snapshots } from "#deploy/snapshots.ts";
import type { StateOnRollback } from "#deploy/watchdog.ts";
import type { HostApi } from "#kernel/services/host-api.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { Replica } from "#kernel/services/replica.ts";
import type { Service } from "#kernel/services/service.ts";
import { rehearse } from "#kernel/upgrades/rehearsal.ts";
import { present, presentFor, type Handed, type SwapOptions } from "#kernel/upgrades/swap.ts";

/** How a slot on the way back gets its state: as a policy says, or as when somebody asks. */
export type Way = StateOnRollback | "asked";

export interface WayBackOptions {
  readonly snapshots: Snapshots;
  readonly powers: ServicePowers;
  readonly hostApi: HostApi;
}

/** The ways after a regression, the wished one first. */
export const waysBack = (policy: StateOnRollback): readonly Way[] => [
  ...new Set<Way>([policy, "restore_old", "asked"]),
];

/** The service's own code does not go that way, or was given its time: again it would not. */
const FINAL: ReadonlySet<ErrorCode> = new Set(["startup_failed", "startup_timeout", "conflict"]);

/** What comes of the first way that works; rejects as the last one did, or with the first
 *  failure that is to be waited out. */
export async function firstThatWorks<T>(
  ways: readonly Way[],
  go: (way: Way) => Promise<T>,
  waits: (error: SoloError) => boolean = () => false,
): Promise<{ readonly way: Way; readonly came: T }> {
  let failure = new SoloError("internal", "There is no way back.");
  for (const way of ways) {
    for (let tries = 0; tries < 2; tries += 1) {
      try {
        return { way, came: await go(way) };
      } catch (error) {
        failure = toSoloError(error);
        if (waits(failure)) throw failure;
        if (FINAL.has(failure.code)) break;
      }
    }
  }
  throw failure;
}

export class WayBack {
  readonly #options: WayBackOptions;

  constructor(options: WayBackOptions) {
    this.#options = options;
  }

  /** The state that a rollback hands over: the newer code makes it, if it knows how. */
  async handOver(service: Service, newer: Replica, older: Replica): Promise<Handed> {
    const traits = newer.instance?.started.traits ?? [];
    const handed = await presentFor(newer, older.revision);
    if (handed.via === "as_it_is" || !traits.includes("downgrade")) return handed;
    return this.#downgraded({ service, newer, older, state: handed.state });
  }

  /** How a swap goes that way; `before`: what each slot had when the newer revision took it. */
  swapBy(
    way: Way,
    service: Service,
    before: ReadonlyMap<number, Handed>,
  ): Pick<SwapOptions, "drain" | "evenIfDown" | "stateOf"> {
    return {
      drain: way !== "restore_old",
      // What does not run, and has nothing kept, begins with what is on disk.
      evenIfDown: way !== "asked",
      stateOf: (newer, older) =>
        way === "asked"
          ? this.handOver(service, newer, older)
          : this.#byPolicy(way, { service, newer, older, before: before.get(newer.slot) }),
    };
  }

  /** What a policy hands over from a newer revision that did worse. */
  async #byPolicy(
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
