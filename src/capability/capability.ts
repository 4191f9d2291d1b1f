/**
 * A capability in memory: a link of a chain that ends at its root. It is also the handle that
 * parts of the kernel hold instead of a token; only this folder changes it.
 */
import type { CallRule } from "#capability/attenuated-service.ts";
import { permissionBits } from "#capability/permission.ts";
import { LastMinute } from "#capability/rate.ts";
import type { CapabilityId, CapabilityRecord } from "#capability/record.ts";
import { parsePattern, type Pattern } from "#capability/resource.ts";

export interface Now {
  /** Monotonic milliseconds: rates. */
  readonly monotonicMs: number;
  /** Milliseconds since the epoch: expiry. */
  readonly wallMs: number;
}

export class Capability {
  readonly id: CapabilityId;
  record: CapabilityRecord;
  readonly parent: Capability | undefined;
  readonly children = new Set<Capability>();
  readonly listeners = new Set<() => void>();
  /** Links up to the root, itself included. */
  readonly chainLength: number;
  readonly bits: number;
  readonly patterns: readonly Pattern[];
  readonly calls: readonly CallRule[] | null;
  /** Infinity: never. */
  readonly expiresAtMs: number;
  /** The same moment on the monotonic clock: setting the wall clock back lengthens no life. */
  readonly deadlineMs: number;
  readonly maxUses: number;
  readonly ratePerMinute: number;
  readonly lastMinute: LastMinute;
  revoked: boolean;
  uses: number;
  /** Children on their way to disk, which count against the cap. */
  unborn = 0;

  constructor(
    record: CapabilityRecord,
    options: { parent: Capability | undefined; uses: number; now: Now },
  ) {
    const { parent, uses, now } = options;
    this.id = record.id;
    this.record = record;
    this.parent = parent;
    this.chainLength = (parent?.chainLength ?? 0) + 1;
    this.bits = permissionBits(record.permissions);
    this.patterns = record.resources.map(parsePattern).filter((each) => each !== undefined);
    this.calls = record.calls;
    this.expiresAtMs = record.expiresAtMs ?? Infinity;
    this.deadlineMs = now.monotonicMs + (this.expiresAtMs - now.wallMs);
    this.maxUses = record.maxUses ?? Infinity;
    this.ratePerMinute = record.ratePerMinute ?? Infinity;
    this.lastMinute = new LastMinute(now.monotonicMs);
    this.revoked = record.revokedAtMs !== null;
    this.uses = uses;
  }

  isExpired(now: Now): boolean {
    return now.wallMs >= this.expiresAtMs || now.monotonicMs >= this.deadlineMs;
  }

  /** From itself to the root. */
  *chain(): Generator<Capability> {
    yield this;
    if (this.parent !== undefined) yield* this.parent.chain();
  }

  /** Itself and all below it, parents first. */
  *subtree(): Generator<Capability> {
    yield this;
    for (const child of this.children) yield* child.subtree();
  }
}
