/**
 * Which of two groups of replicas takes a message while a share of them goes to the newer one.
 *
 * 1. By weight: of any 100 messages in a row exactly `percent` go to the newer group.
 * 2. By key: a key that has come to the newer group stays there as the share rises; a message
 *    without a key goes by weight.
 * 3. A group of which nothing is up is passed over, unless that holds for both.
 */
import type { Routing } from "#deploy/spec.ts";
import { hashText, mix } from "#kernel/services/hash.ts";
import { Router, type Candidate } from "#kernel/services/router.ts";

export interface Share {
  readonly percent: number;
  readonly by: "weight" | "key";
}

const BUCKETS = 10_000;

/** Each takes turns of its own. */
interface Group<R> {
  readonly replicas: readonly R[];
  readonly router: Router;
}

export class Split<R extends Candidate> {
  readonly #share: Share;
  readonly #newer: Group<R>;
  readonly #older: Group<R>;
  #credit = 0;

  /** Both groups hold somebody. */
  constructor(options: { share: Share; newer: readonly R[]; older: readonly R[] }) {
    this.#share = options.share;
    this.#newer = { replicas: options.newer, router: new Router() };
    this.#older = { replicas: options.older, router: new Router() };
  }

  choose(routing: Routing, key?: string): R {
    const [first, second] = this.#goesNewer(key)
      ? [this.#newer, this.#older]
      : [this.#older, this.#newer];
    const { replicas, router } = !hasUp(first) && hasUp(second) ? second : first;
    return router.choose(replicas, routing, key);
  }

  #goesNewer(key: string | undefined): boolean {
    const { percent, by } = this.#share;
    if (by === "key" && key !== undefined) return isWithin(key, percent);
    this.#credit += percent;
    if (this.#credit < 100) return false;
    this.#credit -= 100;
    return true;
  }
}

/** A key's place among all keys is fixed: what is within a share is within any greater one. */
export const isWithin = (key: string, percent: number): boolean =>
  mix(hashText(key)) % BUCKETS < (percent / 100) * BUCKETS;

const hasUp = ({ replicas }: Group<Candidate>): boolean => replicas.some(({ isUp }) => isUp);
