/**
 * The capabilities of this machine: made, found, checked and ended here.
 *
 * 1. A capability is on disk before its token is known to anybody; the handle of a service, which
 *    has none, with the deployment that names it.
 * 2. Everything comes from the owner's capability, which is never stored, listed or revoked.
 * 3. Revoking stops a capability and all below it before the call returns control; the disk
 *    follows. Whoever listens with `onEnd` hears of it in the same turn.
 * 4. A use of a capability with limited uses is on disk when `recorded` resolves; the caller
 *    awaits that before acting. Rates are counted in memory: a restart begins a new minute.
 */
import type { Clock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import type { TenantId } from "#base/ids.ts";
import type { Capability, Now } from "#capability/capability.ts";
import { type Ask, charge, covers, faultOf, hasEnded } from "#capability/check.ts";
import { type Denial, denialOf, nothingHeld, strangerDenial } from "#capability/denial.ts";
import { revokedEvent } from "#capability/events.ts";
import { DEFAULT_RATE_PER_MINUTE, MAX_LIST } from "#capability/limits.ts";
import {
  type DeriveRequest,
  type Handle,
  type Made,
  Mint,
  OWNER_ID,
  ownerRecord,
} from "#capability/mint.ts";
import type { CapabilityId, CapabilityRecord, Holder } from "#capability/record.ts";
import { forgettable } from "#capability/sweep.ts";
import { CapabilityTable } from "#capability/table.ts";
import { MAX_TOKEN_CHARS, tokenHash } from "#capability/token.ts";
import { CapabilityTree } from "#capability/tree.ts";
import { UseLog } from "#capability/use-log.ts";
import { type CapabilityView, viewOf } from "#capability/view.ts";
import type { NewEvent } from "#events/event.ts";
import type { Kv } from "#storage/kv.ts";

export interface CapabilitiesOptions {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly random: (bytes: number) => Uint8Array;
  /** Identifies the owner; without it the owner's capability can only be used as a handle. */
  readonly ownerToken?: string | undefined;
  /** Of a capability that says none itself, and whose parent has none. */
  readonly defaultRatePerMinute?: (() => number) | undefined;
}

export interface GrantRequest extends DeriveRequest {
  readonly tenant: TenantId | null;
  readonly holder: Holder;
  readonly permissions: readonly string[];
  readonly resources: readonly string[];
}

export type Verdict =
  | {
      readonly allowed: true;
      readonly capability: Capability;
      /** To be awaited before acting; undefined when nothing has to be on disk. */
      readonly recorded: Promise<void> | undefined;
    }
  | { readonly allowed: false; readonly denial: Denial };

export interface ListRequest {
  readonly tenant?: TenantId | null | undefined;
  readonly holder?: Holder | undefined;
  readonly includeEnded?: boolean | undefined;
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}

export class Capabilities {
  readonly owner: Capability;
  /** Rows that could not be read, or whose parent could not; they grant nothing. */
  readonly unreadable: readonly string[];
  readonly #options: CapabilitiesOptions;
  readonly #table: CapabilityTable;
  readonly #tree: CapabilityTree;
  readonly #uses: UseLog;
  readonly #mint: Mint;

  static async open(options: CapabilitiesOptions): Promise<Capabilities> {
    const table = new CapabilityTable(options.kv);
    const { records, uses, unreadable } = await table.load();
    const now = nowOf(options.clock);
    const tree = new CapabilityTree(
      ownerRecord({ token: options.ownerToken, wallMs: now.wallMs }),
      now,
    );
    const children = Map.groupBy(records, ({ parent }) => parent);
    const add = (record: CapabilityRecord): void => {
      tree.add(record, { uses: uses.get(record.id) ?? 0, now });
      children.get(record.id)?.forEach(add);
    };
    children.get(OWNER_ID)?.forEach(add);
    const orphans = records.filter(({ id }) => tree.get(id) === undefined).map(({ id }) => id);
    return new Capabilities(options, { table, tree, unreadable: [...unreadable, ...orphans] });
  }

  private constructor(
    options: CapabilitiesOptions,
    parts: { table: CapabilityTable; tree: CapabilityTree; unreadable: readonly string[] },
  ) {
    this.#options = options;
    this.#table = parts.table;
    this.#tree = parts.tree;
    this.unreadable = parts.unreadable;
    this.owner = parts.tree.owner;
    this.#uses = new UseLog(parts.table);
    const { clock, random, defaultRatePerMinute = () => DEFAULT_RATE_PER_MINUTE } = options;
    this.#mint = new Mint({ ...parts, clock, random, defaultRatePerMinute });
  }

  /** From the owner's own authority: the caller has made sure that the owner asks. */
  async grant(request: GrantRequest): Promise<Made> {
    return await this.#mint.derive(this.owner, { ...request, to: request.holder });
  }

  /** Less of it, for the same holder. */
  async attenuate(parent: Capability, request: DeriveRequest): Promise<Made> {
    return await this.#mint.derive(parent, { ...request, to: parent.record.holder });
  }

  /** As much of it or less, for somebody else. */
  async delegate(
    parent: Capability,
    request: DeriveRequest & { readonly to: Holder },
  ): Promise<Made> {
    return await this.#mint.derive(parent, request);
  }

  /** The same for a service, which holds it without a token. */
  hand(
    parent: Capability,
    request: DeriveRequest & { readonly to: Extract<Holder, { kind: "service" }> },
  ): Handle {
    return this.#mint.hand(parent, request);
  }

  /** What the token stands for, whether it still works or not. */
  find(token: string): Capability | undefined {
    return token.length > MAX_TOKEN_CHARS ? undefined : this.#tree.byHash(tokenHash(token));
  }

  get(id: string): Capability | undefined {
    return this.#tree.get(id);
  }

  /** What the holder can use now. */
  heldBy(holder: Holder): Capability[] {
    const now = this.#now();
    return [...this.#tree.heldBy(holder)].filter((each) => !hasEnded(each, now));
  }

  /** Also what has ended but is not forgotten. */
  everHeldBy(holder: Holder): Capability[] {
    return [...this.#tree.heldBy(holder)];
  }

  verify(token: string, ask: Ask): Verdict {
    const capability = this.find(token);
    if (capability === undefined) return { allowed: false, denial: strangerDenial(ask) };
    return this.check(capability, ask);
  }

  /** One use of the capability, counted when it passes. */
  check(capability: Capability, ask: Ask): Verdict {
    const now = this.#now();
    const fault = faultOf(capability, ask, now);
    if (fault !== undefined) {
      const { holder } = capability.record;
      // Bearers have nothing in common: what one holds is not the other's to know.
      const held = holder.kind === "bearer" ? [] : this.#tree.heldBy(holder);
      return { allowed: false, denial: denialOf({ capability, ask, fault, held, now }) };
    }
    if (!charge(capability, now)) return { allowed: true, capability, recorded: undefined };
    const recorded = this.#uses.record(capability);
    recorded.catch(() => {}); // told to whoever awaits it
    return { allowed: true, capability, recorded };
  }

  /** As `check`, but nothing is counted: the answer may be another a moment later. */
  foresee(capability: Capability, ask: Ask): Verdict {
    const now = this.#now();
    const fault = faultOf(capability, ask, now);
    if (fault === undefined) return { allowed: true, capability, recorded: undefined };
    return { allowed: false, denial: denialOf({ capability, ask, fault, held: [], now }) };
  }

  isOver(capability: Capability): boolean {
    return hasEnded(capability, this.#now());
  }

  /** One use of the first of them that allows it; otherwise the first one's denial. */
  checkAny(capabilities: readonly Capability[], ask: Ask): Verdict {
    const now = this.#now();
    const fit = capabilities.find((each) => faultOf(each, ask, now) === undefined);
    const chosen = fit ?? capabilities.find((each) => covers(each, ask)) ?? capabilities[0];
    return chosen ? this.check(chosen, ask) : { allowed: false, denial: nothingHeld(ask) };
  }

  /** Resolves when it is on disk; it has taken effect before. */
  async revoke(
    id: string,
  ): Promise<{ readonly ended: number; readonly event: NewEvent | undefined }> {
    const capability = this.#tree.get(id);
    if (capability === undefined || capability === this.owner) throw notFound(id);
    if (capability.record.revokedAtMs !== null) return { ended: 0, event: undefined };
    capability.revoked = true;
    const below = [...capability.subtree()];
    endListeners(below);
    const record = { ...capability.record, revokedAtMs: this.#now().wallMs };
    await this.#table.put(record);
    capability.record = Object.freeze(record);
    return { ended: below.length, event: revokedEvent(capability, below.length) };
  }

  /** Ends a capability that nobody has a token of, and forgets it at once with all below it. */
  async withdraw(capability: Capability): Promise<NewEvent | undefined> {
    if (this.#tree.get(capability.id) !== capability) return undefined;
    capability.revoked = true;
    endListeners(capability.subtree());
    const ids = this.#tree.remove(capability);
    await this.#table.remove(ids);
    return revokedEvent(capability, ids.length);
  }

  /**
   * Calls the listener once: when the capability or one above it is revoked, at the sweep after
   * it expired, at once if it is over already. `endsAtMs` tells the expiry to the millisecond.
   */
  onEnd(capability: Capability, listener: () => void): () => void {
    const { listeners } = capability;
    if (hasEnded(capability, this.#now())) {
      listener();
      return () => {};
    }
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** The wall time at which the first of its chain expires; Infinity: never. */
  endsAtMs(capability: Capability): number {
    return Math.min(...[...capability.chain()].map(({ expiresAtMs }) => expiresAtMs));
  }

  /** Whether the first is the second or was derived from it: then the second's holder may revoke it. */
  comesFrom(capability: Capability, ancestor: Capability): boolean {
    return capability.chain().some((link) => link === ancestor);
  }

  list(request: ListRequest = {}): CapabilityView[] {
    const { tenant, holder, includeEnded = false, after, limit = MAX_LIST } = request;
    const now = this.#now();
    let passed = after === undefined;
    const source = holder === undefined ? this.#tree.all() : this.#tree.heldBy(holder);
    return Iterator.from(source)
      .filter((each) => {
        const take = passed && (tenant === undefined || each.record.tenant === tenant);
        passed ||= each.id === after;
        return take && (includeEnded || !hasEnded(each, now));
      })
      .take(Math.min(limit, MAX_LIST))
      .map((each) => viewOf(each, now))
      .toArray();
  }

  inspect(id: string): CapabilityView {
    const capability = this.#tree.get(id);
    if (capability === undefined) throw notFound(id);
    return viewOf(capability, this.#now());
  }

  /** Ends the streams of what has expired, and forgets what has been over for long enough. */
  async sweep(): Promise<CapabilityId[]> {
    const now = this.#now();
    for (const each of this.#tree.all()) {
      if (each.listeners.size > 0 && hasEnded(each, now)) endListeners([each]);
    }
    const ids = forgettable(this.owner, now).flatMap((each) => this.#tree.remove(each));
    await this.#table.remove(ids);
    return ids;
  }

  #now(): Now {
    return nowOf(this.#options.clock);
  }
}

const nowOf = (clock: Clock): Now => ({ monotonicMs: clock.now(), wallMs: clock.wallMs() });

function endListeners(capabilities: Iterable<Capability>): void {
  for (const { listeners } of capabilities) {
    const told = [...listeners];
    listeners.clear();
    for (const listener of told) listener();
  }
}

const notFound = (id: string): SoloError =>
  new SoloError("not_found", `There is no capability ${id.slice(0, 64)}.`, {
    hint: "List them to see their ids.",
  });
