/**
 * The hand-over of a service from one revision to another.
 *
 * 1. Until everything is on disk the old revision is untouched: any failure lets it go on.
 * 2. Which revision is current is decided by one durable write, with the states it begins with.
 * 3. Messages that come while the old replicas are held wait, and are the new ones' first.
 */
import type { KeptState } from "#deploy/kept-states.ts";
import type { Snapshot, StateKey } from "#deploy/snapshots.ts";
import { adoptionError, startError } from "#kernel/deploys/start-error.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { Replica } from "#kernel/services/replica/replica.ts";
import type { Revision } from "#kernel/services/revision.ts";
import type { Incoming, Service } from "#kernel/services/service.ts";
import { keepsState } from "#kernel/services/instance/start-message.ts";
import type { Tenants } from "#kernel/tenants.ts";
import type { Faults } from "#kernel/faults.ts";
import type { Adoption } from "#wire/messages.ts";

/** A swap waits so long for the messages that the old revision has in hand. */
const DRAIN_MS = 5000;
/** The old revision has so long for responses that are still under way after the hand-over. */
const LINGER_MS = 10_000;
const RETIRE_MS = 1000;

/** A state on its way from one revision to another. */
export interface Handed extends Pick<Adoption, "state" | "via" | "version"> {
  /** The same without keys that are never stored; unless given there are none. */
  readonly storable?: string;
}

/** What may be kept on disk of states that have been handed over. */
export const keptOf = (handed: ReadonlyMap<number, Handed>): Map<number, KeptState> =>
  new Map(
    [...handed].map(([slot, { state, storable = state, version }]) => [
      slot,
      { state: storable, version },
    ]),
  );

/** States that were kept for a way back, as if they had just been handed over. */
export const handedOf = (kept: ReadonlyMap<number, KeptState>): Map<number, Handed> =>
  new Map(
    [...kept].map(([slot, { state, version }]) => [
      slot,
      { state, via: "codeChange", ...(version !== undefined && { version }) },
    ]),
  );

/** The part of a swap that is a step of a rollout. */
export interface Part {
  /** These slots move to the revision; those that were not there come beside the others. */
  readonly slots: readonly number[];
  /** These go. */
  readonly dropped: readonly number[];
  /** What the service is afterwards. */
  readonly becomes: { readonly current: Revision; readonly incoming?: Incoming | undefined };
}

export interface SwapOptions {
  readonly service: Service;
  readonly revision: Revision;
  /** Unless given, all slots move. */
  readonly part?: Part;
  readonly tenants: Tenants;
  readonly powers: ServicePowers;
  readonly faults: Faults;
  /** What a held replica's successor is to begin with. */
  readonly stateOf: (old: Replica, successor: Replica) => Promise<Handed>;
  /** Wait until nothing is in hand that could still change the state. */
  readonly drain: boolean;
  /** Take over from replicas that do not run, too. */
  readonly evenIfDown: boolean;
  /** Replicas of the revision that are loaded already, by slot. */
  readonly loaded?: ReadonlyMap<number, Replica>;
  /** Runs once the new revision is loaded, before anybody has to wait. */
  readonly rehearse?: (successor: Replica) => Promise<void>;
  /** The one durable write. */
  readonly record: (
    snapshots: readonly (readonly [StateKey, Snapshot])[],
    handed: ReadonlyMap<number, Handed>,
  ) => Promise<void>;
}

export interface Swapped {
  /** How long messages had to wait. */
  readonly pauseMs: number;
  /** Of all slots together, encoded. */
  readonly stateBytes: number;
  /** What each slot had handed over. */
  readonly handed: ReadonlyMap<number, Handed>;
  /** The old replicas have let go of what they had in hand. */
  readonly left: Promise<void>;
}

interface Pair {
  readonly old: Replica;
  readonly successor: Replica;
}

export async function swap(options: SwapOptions): Promise<Swapped> {
  // Whoever is idle meanwhile must not go to sleep before it is asked for its state.
  const letSleep = whatMoves(options).old.map((replica) => replica.keepAwake());
  try {
    return await handOver(options);
  } finally {
    for (const release of letSleep) release();
  }
}

async function handOver(options: SwapOptions): Promise<Swapped> {
  const { service, revision, tenants, faults, powers } = options;
  const { old, slots, kept, becomes } = whatMoves(options);
  const holders = new Map(old.map((replica) => [replica.slot, replica]));
  await Promise.all(old.map((replica) => replica.awake(DRAIN_MS)));
  await service.vacated(slots);
  const { loaded = new Map<number, Replica>() } = options;
  const successors = slots.map(
    (slot) => loaded.get(slot) ?? successorOf(holders.get(slot), slot, options),
  );
  const pairs: Pair[] = successors
    .filter((each) => each.handOver.isHot)
    .map((successor) => ({ successor, old: holders.get(successor.slot)! }));
  const cold = successors.filter((each) => !each.handOver.isHot);
  const down = cold.flatMap(({ slot }) => holders.get(slot) ?? []);
  const replaced = [...down, ...pairs.map((pair) => pair.old)];
  let pausedAt = 0;
  let handed: readonly Handed[];
  let states: readonly string[];
  const bySlot = () =>
    new Map(pairs.map(({ successor }, at) => [successor.slot, handed[at]!] as const));
  // It could come back meanwhile, and answer with a state that its successor does not know.
  for (const replica of down) replica.handOver.suspend();
  try {
    const unloaded = successors.filter((successor) => !loaded.has(successor.slot));
    await tenants.startReplicas(unloaded).catch(async (error: unknown) => {
      throw await startError({ error, revision, powers });
    });
    await faults("warmed");
    for (const { successor } of pairs.slice(0, 1)) await options.rehearse?.(successor);
    pausedAt = powers.clock.now();
    for (const pair of pairs) pair.old.handOver.hold();
    const wait = { timeoutMs: DRAIN_MS, mustRun: !options.evenIfDown };
    if (options.drain) await Promise.all(pairs.map((pair) => pair.old.handOver.drained(wait)));
    // What is told from now on must not follow what is recorded.
    await Promise.all(replaced.map((replica) => replica.handOver.stopStoring()));
    await faults("held");
    handed = await Promise.all(pairs.map((pair) => options.stateOf(pair.old, pair.successor)));
    await faults("told");
    const { codeChangeTimeoutMs: timeoutMs } = revision.spec.restartLimits;
    states = await Promise.all(
      pairs.map(({ successor }, at) =>
        successor.handOver.adopt(adoptionOf(handed[at]!, timeoutMs)),
      ),
    ).catch(async (error: unknown) => {
      throw await adoptionError({ error, revision, powers });
    });
    await faults("adopted");
    const snapshots = successors.flatMap((successor) => {
      const { made } = successor.handOver;
      return made === undefined ? [] : [[successor.stateKey, made] as const];
    });
    await options.record(keepsState(revision.spec) ? snapshots : [], bySlot());
  } catch (error) {
    await Promise.all(successors.map((replica) => replica.handOver.retire()));
    for (const replica of replaced) replica.handOver.release();
    throw error;
  }
  await faults("recorded");
  service.replace(
    [...kept, ...successors].toSorted((a, b) => a.slot - b.slot),
    becomes,
  );
  for (const successor of successors) successor.handOver.takeOver();
  const pauseMs = powers.clock.now() - pausedAt;
  await faults("switched");
  return {
    pauseMs,
    stateBytes: states.reduce((total, state) => total + Buffer.byteLength(state), 0),
    handed: bySlot(),
    left: Promise.all(old.map((replica) => leave(replica, service))).then(() => {}),
  };
}

/** `storable` is the disk's: the successor is given everything. */
const adoptionOf = ({ state, via, version }: Handed, timeoutMs: number): Adoption => ({
  state,
  via,
  timeoutMs,
  ...(version !== undefined && { version }),
});

/** `old`: who is replaced or goes. */
function whatMoves({ service, revision, part }: SwapOptions) {
  const { replicas } = service;
  if (part === undefined) {
    const slots = Array.from({ length: revision.spec.instances }, (_, slot) => slot);
    return { old: replicas, slots, kept: [], becomes: { current: revision } };
  }
  const { slots, dropped, becomes } = part;
  const leaving = new Set([...slots, ...dropped]);
  const kept = replicas.filter(({ slot }) => !leaving.has(slot));
  return { old: replicas.filter(({ slot }) => leaving.has(slot)), slots, kept, becomes };
}

function successorOf(
  replica: Replica | undefined,
  slot: number,
  { service, revision, evenIfDown }: SwapOptions,
): Replica {
  if (replica === undefined) return service.newReplica(slot, revision);
  // The state of one that does not run is on disk, as after any end.
  const hot = evenIfDown || replica.state === "running";
  return service.newReplica(slot, revision, { replica, hot });
}

/** The present state of a replica that is held. */
export async function present(replica: Replica, via: Handed["via"]): Promise<Handed> {
  const { version } = replica;
  const leavesOut = replica.spec.persistenceExclude.length > 0;
  const [state, storable] = await Promise.all([
    replica.handOver.peek(DRAIN_MS),
    leavesOut ? replica.handOver.peek(DRAIN_MS, "present") : undefined,
  ]);
  return {
    state,
    via,
    ...(version !== undefined && { version }),
    ...(storable !== undefined && { storable }),
  };
}

/** The present state, for a revision to take over: only other source has anything to migrate. */
export const presentFor = (replica: Replica, { sourceHash }: Revision): Promise<Handed> =>
  present(replica, replica.revision.sourceHash === sourceHash ? "as_it_is" : "codeChange");

/** What becomes of a replica that is not the service's any more. */
async function leave(replica: Replica, service: Service): Promise<void> {
  if (replica.slot >= service.replicas.length) await service.depart(replica);
  else if (replica.handOver.isReplaced) await service.letGo(replica, LINGER_MS);
  else await replica.stop({ force: true, timeoutMs: RETIRE_MS });
}
