/**
 * A uid for each owner of cells, from its name alone, so that it is the same after a restart.
 * Two owners may meet on one uid (with 1000 tenants: about 1 chance in 200 over the default
 * range); then this wall is missing between the two, and the others stand.
 */
import { createHash } from "node:crypto";

export interface UidRange {
  readonly first: number;
  readonly count: number;
}

/** Above what systemd, user databases and container managers hand out. */
export const DEFAULT_UID_RANGE: UidRange = { first: 1_900_000_000, count: 100_000_000 };

/** `owner` is a tenant, or a name that no tenant can have: a spare cell's own. */
export function uidOf(owner: string, range: UidRange): number {
  const digest = createHash("sha256").update(`solo uid\0${owner}`).digest();
  return range.first + (digest.readUInt32BE(0) % range.count);
}
