/**
 * Which replica of a service takes a message.
 *
 * 1. A key always means the same slot, as long as the number of slots stays; a slot that is
 *    down refuses, because its state is nowhere else.
 * 2. Without a key, and for the other policies, a replica that is up is chosen if there is one.
 */
import type { Routing } from "#deploy/spec.ts";
import { hashText, mix } from "#kernel/services/hash.ts";

export interface Candidate {
  readonly slot: number;
  readonly isUp: boolean;
  readonly mailboxLength: number;
}

export class Router {
  #turn = 0;

  /** `replicas`: at least one. */
  choose<R extends Candidate>(replicas: readonly R[], routing: Routing, key?: string): R {
    if (routing === "key" && key !== undefined) return ownerOf(replicas, key);
    if (routing === "least_busy") return leastBusy(replicas, this.#next(replicas.length));
    return inTurn(replicas, this.#next(replicas.length));
  }

  #next(count: number): number {
    this.#turn = (this.#turn + 1) % count;
    return this.#turn;
  }
}

/** The first that is up from `start` on; the one at `start` when none is. */
function inTurn<R extends Candidate>(replicas: readonly R[], start: number): R {
  for (let step = 0; step < replicas.length; step += 1) {
    const replica = replicas[(start + step) % replicas.length]!;
    if (replica.isUp) return replica;
  }
  return replicas[start]!;
}

/** Equally busy ones take turns. */
function leastBusy<R extends Candidate>(replicas: readonly R[], start: number): R {
  let best = inTurn(replicas, start);
  for (let step = 1; step < replicas.length; step += 1) {
    const replica = replicas[(start + step) % replicas.length]!;
    if (replica.isUp && replica.mailboxLength < best.mailboxLength) best = replica;
  }
  return best;
}

/** Rendezvous hashing: another slot more or less moves only the keys that it gains or loses. */
function ownerOf<R extends Candidate>(replicas: readonly R[], key: string): R {
  const keyHash = hashText(key);
  let best = replicas[0]!;
  let bestWeight = -1;
  for (const replica of replicas) {
    const weight = mix(keyHash ^ Math.imul(replica.slot + 1, 0x9e37_79b1));
    if (weight > bestWeight) {
      best = replica;
      bestWeight = weight;
    }
  }
  return best;
}
