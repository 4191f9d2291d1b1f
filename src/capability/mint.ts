/**
 * Where capabilities are made; nowhere else.
 *
 * 1. A capability is on disk before its token is known to anybody, and in the tree only then.
 *    A handle has no token: it is in the tree at once, and on disk with what needs it.
 * 2. What has ended, or has no room left, derives nothing.
 */
import type { Clock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import type { TenantId } from "#base/ids.ts";
import type { Capability, Now } from "#capability/capability.ts";
import { hasEnded } from "#capability/check.ts";
import { madeEvent } from "#capability/events.ts";
import {
  MAX_CAPABILITIES,
  MAX_CAPABILITIES_PER_TENANT,
  MAX_LABEL_CHARS,
} from "#capability/limits.ts";
import type { CapabilityId, CapabilityRecord, Holder } from "#capability/record.ts";
import { type CapabilityTable, rowOf } from "#capability/table.ts";
import { narrowTerms, OWNER_TERMS, type TermsRequest } from "#capability/terms.ts";
import { newToken, tokenHash } from "#capability/token.ts";
import type { CapabilityTree } from "#capability/tree.ts";
import type { NewEvent } from "#events/event.ts";
import type { KvOp } from "#storage/protocol.ts";

export const OWNER_ID = "c_owner" as CapabilityId;
const ID_BYTES = 12;

export interface DeriveRequest extends TermsRequest {
  readonly label?: string | undefined;
}

export interface Made {
  readonly capability: Capability;
  /** Told once, here; undefined for a service, which holds the handle. */
  readonly token: string | undefined;
  readonly event: NewEvent;
}

/** A capability that a service holds. */
export interface Handle {
  readonly capability: Capability;
  readonly event: NewEvent;
  /** To be written in one batch with what names the handle, unless it is withdrawn. Throws when it
   *  or what it came from is gone by then. */
  row(): KvOp[];
  /** It was never written, nor told to anybody. */
  drop(): void;
}

export interface MintOptions {
  readonly tree: CapabilityTree;
  readonly table: CapabilityTable;
  readonly clock: Clock;
  readonly random: (bytes: number) => Uint8Array;
  readonly defaultRatePerMinute: () => number;
}

export class Mint {
  readonly #options: MintOptions;
  /** On their way to disk. */
  #unborn = 0;

  constructor(options: MintOptions) {
    this.#options = options;
  }

  async derive(
    parent: Capability,
    request: DeriveRequest & { readonly to: Holder },
  ): Promise<Made> {
    const { record, token } = this.#drawUp(parent, request);
    await this.#store(parent, record);
    return { ...this.#add(parent, record), token };
  }

  /** For a service. */
  hand(parent: Capability, request: DeriveRequest & { readonly to: Holder }): Handle {
    const { tree } = this.#options;
    const { record } = this.#drawUp(parent, request);
    const { capability, event } = this.#add(parent, record);
    return {
      capability,
      event,
      row: () => {
        if (tree.get(record.id) !== capability) throw ended(parent);
        // Who revokes it meanwhile writes the row.
        return capability.revoked ? [] : [rowOf(capability.record)];
      },
      drop: () => void tree.remove(capability),
    };
  }

  #add(parent: Capability, record: CapabilityRecord): Omit<Made, "token"> {
    const capability = this.#options.tree.add(record, { uses: 0, now: this.#now() });
    const event = madeEvent(capability, parent.parent === undefined ? "granted" : "attenuated");
    return { capability, event };
  }

  #drawUp(
    parent: Capability,
    request: DeriveRequest & { readonly to: Holder },
  ): { readonly record: CapabilityRecord; readonly token: string | undefined } {
    const { tree, random, defaultRatePerMinute } = this.#options;
    const now = this.#now();
    const { wallMs } = now;
    if (tree.get(parent.id) !== parent || hasEnded(parent, now)) throw ended(parent);
    const terms = narrowTerms({
      parent: parent.record,
      request,
      wallMs,
      defaultRatePerMinute: defaultRatePerMinute(),
    });
    const label = checkedLabel(request.label ?? "");
    this.#mustHaveRoom(parent, terms.tenant);
    const token = request.to.kind === "service" ? undefined : newToken(random);
    const record: CapabilityRecord = Object.freeze({
      ...terms,
      id: `c_${Buffer.from(random(ID_BYTES)).toString("hex")}` as CapabilityId,
      parent: parent.id,
      tokenHash: token === undefined ? null : tokenHash(token),
      holder: request.to,
      label,
      createdAtMs: wallMs,
      revokedAtMs: null,
    });
    return { record, token };
  }

  async #store(parent: Capability, record: CapabilityRecord): Promise<void> {
    const { tree, table } = this.#options;
    parent.unborn += 1;
    this.#unborn += 1;
    try {
      await table.put(record);
    } finally {
      parent.unborn -= 1;
      this.#unborn -= 1;
    }
    // The parent may have been revoked and forgotten meanwhile.
    if (tree.get(parent.id) === parent) return;
    await table.remove([record.id]);
    throw ended(parent);
  }

  #mustHaveRoom(parent: Capability, tenant: TenantId | null): void {
    const { maxChildren } = parent.record;
    if (parent.children.size + parent.unborn >= maxChildren) {
      throw new SoloError(
        "limit_exceeded",
        `${parent.id} may have ${maxChildren} capabilities derived from it, and has them.`,
        { hint: "Those that ended count for a while; derive from one with a higher max_children." },
      );
    }
    const { tree } = this.#options;
    if (tree.size + this.#unborn > MAX_CAPABILITIES) throw full(MAX_CAPABILITIES);
    if (tenant === null || tree.countOf(tenant) + this.#unborn < MAX_CAPABILITIES_PER_TENANT)
      return;
    throw full(MAX_CAPABILITIES_PER_TENANT, ` of the tenant ${tenant}`);
  }

  #now(): Now {
    const { clock } = this.#options;
    return { monotonicMs: clock.now(), wallMs: clock.wallMs() };
  }
}

/** What everything else is derived from; in memory only. */
export const ownerRecord = (options: {
  token: string | undefined;
  wallMs: number;
}): CapabilityRecord =>
  Object.freeze({
    ...OWNER_TERMS,
    id: OWNER_ID,
    parent: null,
    tokenHash: options.token === undefined ? null : tokenHash(options.token),
    holder: { kind: "bearer" as const },
    label: "the machine's owner",
    createdAtMs: options.wallMs,
    revokedAtMs: null,
  });

function checkedLabel(label: string): string {
  if (label.length <= MAX_LABEL_CHARS && !/\p{Cc}/u.test(label)) return label;
  const message = `must have at most ${MAX_LABEL_CHARS} printable characters`;
  throw new SoloError("invalid_argument", `label ${message}.`, {
    fields: [{ field: "label", message }],
  });
}

const full = (count: number, whose = ""): SoloError =>
  new SoloError("limit_exceeded", `There are ${count} capabilities${whose} already.`, {
    hint: "Revoke those that nobody needs; they are forgotten a day later.",
  });

const ended = ({ id }: Capability): SoloError =>
  new SoloError(
    "permission_denied",
    `Nothing can be derived from ${id}: it, or what it came from, has ended.`,
    { hint: "Ask the machine's owner for a new capability." },
  );
