/**
 * Whose turn it is when more tenants have source to compile than there are processes. Pure.
 *
 * 1. No more processes are held than the limit, and none is held twice for one tenant.
 * 2. A process stays with its tenant until somebody else needs its place. Then the one goes
 *    that has been idle longest; one with more to do goes when it had its turn.
 * 3. A place is never empty while somebody waits for one.
 */

/** A process that a tenant has. */
export interface Held {
  readonly tenant: string;
  readonly isAtWork: boolean;
  readonly sinceMs: number;
  /** When it was last given something to do. */
  readonly usedMs: number;
}

export interface TurnsView {
  readonly held: readonly Held[];
  /** Tenants with something to compile, who waits longest first. */
  readonly waiting: readonly string[];
  readonly limit: number;
  readonly nowMs: number;
}

/** All by tenant; what is ended has ended before anything begins. */
export interface Turns {
  readonly end: readonly string[];
  readonly begin: readonly string[];
  /** Idle, with something to do. */
  readonly goOn: readonly string[];
}

/** A tenant keeps its process so long, at least, and for one request: making another costs
 *  about as much. */
export const TURN_MS = 250;

export function decideTurns({ held, waiting, limit, nowMs }: TurnsView): Turns {
  const wanting = new Set(waiting);
  const holders = new Set(held.map(({ tenant }) => tenant));
  const without = waiting.filter((tenant) => !holders.has(tenant));
  const isDue = ({ tenant, sinceMs }: Held) => !wanting.has(tenant) || nowMs - sinceMs >= TURN_MS;
  const dispensable = held
    .filter((each) => !each.isAtWork && isDue(each))
    .toSorted((a, b) => order(a, wanting) - order(b, wanting) || a.usedMs - b.usedMs);
  const free = limit - held.length;
  const missing = Math.min(Math.max(0, without.length - free), dispensable.length);
  const end = dispensable.slice(0, missing).map(({ tenant }) => tenant);
  const goOn = held
    .filter(({ tenant, isAtWork }) => !isAtWork && wanting.has(tenant) && !end.includes(tenant))
    .map(({ tenant }) => tenant);
  return { end, begin: without.slice(0, Math.max(0, free + missing)), goOn };
}

const order = ({ tenant }: Held, wanting: ReadonlySet<string>): number =>
  wanting.has(tenant) ? 1 : 0;
