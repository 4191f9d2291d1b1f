/**
 * From a newer revision to an older one: with which state.
 *
 * 1. When the state that was wished for cannot be had, a simpler one is tried, and the event
 *    says which it was. What only failed to happen is tried again before, for a while.
 */
import { SoloError, toSoloError, type ErrorCode } from "#base/errors.ts";
import type { Snapshots } from "#deploy/snapshots.ts";
import type { StateOnRollback } from "#deploy/watchdog.ts";
import type { HostApi } from "#kernel/services/host/host-api.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { Replica } from "#kernel/services/replica/replica.ts";
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

/** The service's own code does not go that way: again it would not. */
const FINAL: ReadonlySet<ErrorCode> = new Set(["startup_failed", "startup_timeout", "not_found"]);

/** What only failed to happen is waited out for so long before the state is given up for it:
 *  longer than a message takes. */
const PATIENCE_MS = 45_000;

/** Whether a failure, `sinceMs` after the first, is waited out, and the same way tried again. */
export const isWaitedOut = ({ code }: SoloError, sinceMs: number): boolean =>
  !FINAL.has(code) && sinceMs < PATIENCE_MS;

/** What comes of the first way that works; rejects as the last one did, or with the first
 *  failure that is to be waited out. */
export async function firstThatWorks<T>(
  ways: readonly Way[],
  go: (way: Way) => Promise<T>,
  waits: (error: SoloError) => boolean,
): Promise<{ readonly way: Way; readonly came: T }> {
  let failure = new SoloError("internal", "There is no way back.");
  for (const way of ways) {
    try {
      return { way, came: await go(way) };
    } catch (error) {
      failure = toSoloError(error);
      if (waits(failure)) throw failure;
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
    const { newer, older, before } = from;
    const isRestored = policy === "restore_old" && before !== undefined;
    const newest = isRestored ? undefined : await this.#newest(newer);
    const state = newest ?? before?.state;
    if (state === undefined) {
      throw new SoloError("not_found", `No state of slot ${newer.slot} was kept.`);
    }
    // What is handed on between revisions of one source nobody makes anything of.
    const isOther = older.revision.sourceHash !== newer.revision.sourceHash;
    if (newest === undefined || !isOther || policy === "keep_new") return asItIs(state);
    if (policy === "downgrade") return this.#downgraded({ ...from, state });
    // Nothing came before what it has: what goes on is what goes on when somebody asks.
    if (newer.instance !== undefined) return this.handOver(from.service, newer, older);
    const { version } = newer;
    return { state, via: "codeChange", ...(version !== undefined && { version }) };
  }

  /** The state that it has, or stored last if it does not run. */
  async #newest(replica: Replica): Promise<string | undefined> {
    const { instance } = replica;
    const told = instance && present(replica, "as_it_is");
    try {
      if (told !== undefined) return (await told).state;
    } catch (error) {
      if (!instance!.hasEnded) throw error;
      // It ended under the question: what it had acknowledged is on disk.
    }
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
    return asItIs(made);
  }
}

const asItIs = (state: string): Handed => ({ state, via: "as_it_is" });
