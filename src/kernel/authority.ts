/**
 * Who asks, and whether they may: the capabilities of the machine at the kernel's door.
 *
 * 1. A token is known by its SHA-256; none is stored or logged.
 * 2. Every use walks the whole chain and is counted; a denial is recorded and says why.
 * 3. The capabilities outlive a restart of the storage beneath them.
 */
import { randomBytes } from "node:crypto";
import type { Credentials } from "#api/kernel-port.ts";
import type { Clock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { tenantId, type TenantId } from "#base/ids.ts";
import { Capabilities } from "#capability/capabilities.ts";
import type { Capability } from "#capability/capability.ts";
import type { Ask, Presenter } from "#capability/check.ts";
import { denialError, strangerDenial } from "#capability/denial.ts";
import { sweepForever } from "#capability/sweep.ts";
import { isToken, newToken as mintToken } from "#capability/token.ts";
import type { CapabilityAudit } from "#kernel/capability-audit.ts";
import { Lease } from "#kernel/lease.ts";
import type { Kv } from "#storage/kv.ts";

/** Nobody is undefined: allowed to ask for /health and for public services, nothing else. */
export type Principal = Capability | undefined;

export interface AuthorityOptions {
  readonly ownerToken: string;
  readonly kv: Kv;
  readonly clock: Clock;
  readonly log: Logger;
  readonly audit: CapabilityAudit;
  readonly ratePerMinute: () => number;
}

/** Where the transport has proved nothing of who presents the capability, it is left out. */
export type Presented = Omit<Ask, "presenter"> & Partial<Pick<Ask, "presenter">>;

const DEFAULT_TENANT = tenantId("default");
const UNPROVED: Presenter = Object.freeze({});
/** Its form alone tells so: nobody was ever given such a token. */
const MISTYPED = {
  detail: "This is no token: it is mistyped or cut off.",
  hint: "Copy it whole, `solo_` and 49 more characters; the owner's is what `solo token` prints.",
};

export const newToken = (): string => mintToken(randomBytes);

export class Authority {
  readonly #options: AuthorityOptions;
  #capabilities: Capabilities | undefined;

  constructor(options: AuthorityOptions) {
    this.#options = options;
  }

  /** Reads what was granted; at the first start of the storage, and never again. */
  async open(): Promise<void> {
    const { ownerToken, kv, clock, ratePerMinute } = this.#options;
    this.#capabilities ??= await Capabilities.open({
      kv,
      clock,
      random: randomBytes,
      ownerToken,
      defaultRatePerMinute: ratePerMinute,
    });
  }

  /** Until the signal fires; what cannot be forgotten now is tried again a minute later. */
  async sweep(signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    await sweepForever(this.capabilities, signal, (error) =>
      log.warn("ended capabilities not forgotten", { error: String(error) }),
    );
  }

  get isOpen(): boolean {
    return this.#capabilities !== undefined;
  }

  get capabilities(): Capabilities {
    if (this.#capabilities !== undefined) return this.#capabilities;
    throw new SoloError("unavailable", "The kernel is starting.", { retryAfterMs: 200 });
  }

  /** What the token stands for, in force or not; refuses one that is not known. */
  identify({ token }: Credentials, wanted: Pick<Ask, "permission" | "resource">): Principal {
    if (token === undefined) return undefined;
    const capability = this.capabilities.find(token);
    if (capability !== undefined) return capability;
    const ask: Ask = { ...wanted, tenant: null, presenter: UNPROVED };
    const denial = strangerDenial(ask);
    this.#options.audit.denied(denial, ask);
    throw denialError(denial, isToken(token) ? {} : MISTYPED);
  }

  /** One use; throws the denial. What it returns is to be awaited before acting. */
  authorize(
    principal: Principal,
    { permission, resource, tenant, call, presenter = UNPROVED }: Presented,
  ): Promise<void> | undefined {
    const { audit } = this.#options;
    const ask: Ask = { permission, resource, tenant, presenter, call };
    if (principal === undefined) throw this.strangerRefusal(ask);
    const verdict = this.capabilities.check(principal, ask);
    if (verdict.allowed) {
      audit.verified(principal, ask);
      return verdict.recorded;
    }
    audit.denied(verdict.denial, ask);
    throw denialError(verdict.denial);
  }

  /** What another proof of identity, such as a certificate, refuses is a denial like any other. */
  attested<T>(ask: Presented, prove: () => T): T {
    try {
      return prove();
    } catch (error) {
      const whole: Ask = { presenter: UNPROVED, ...ask };
      this.#options.audit.denied(strangerDenial(whole, "holder"), whole);
      throw error;
    }
  }

  /** The answer to who shows no token. */
  strangerRefusal(wanted: Pick<Ask, "permission" | "resource">): SoloError {
    const ask: Ask = { tenant: null, presenter: UNPROVED, ...wanted };
    const denial = strangerDenial(ask);
    this.#options.audit.denied(denial, ask);
    return denialError(denial, {
      detail: `${ask.permission} on ${ask.resource} needs a token.`,
      hint: "Send `Authorization: Bearer <token>`; the machine's owner gets it with `solo token`.",
    });
  }

  /** Whether `authorize` would pass now; nothing is counted or recorded. */
  allows(principal: Principal, ask: Presented): boolean {
    if (principal === undefined) return false;
    return this.capabilities.foresee(principal, { presenter: UNPROVED, ...ask }).allowed;
  }

  /** Ends when the capability does; undefined for the owner's, which never ends. */
  lease(principal: Principal, ask: Presented, client: AbortSignal): Lease | undefined {
    if (principal === undefined || principal.parent === undefined) return undefined;
    const { capabilities } = this;
    const why = (): SoloError => {
      const whole: Ask = { presenter: UNPROVED, ...ask };
      const verdict = capabilities.foresee(principal, whole);
      if (verdict.allowed) return new SoloError("permission_denied", `${principal.id} has ended.`);
      this.#options.audit.denied(verdict.denial, whole);
      return denialError(verdict.denial);
    };
    const { clock } = this.#options;
    return new Lease({ capabilities, capability: principal, clock, client, why });
  }

  /** Holds a capability that is in force. */
  isKnown(principal: Principal): boolean {
    return principal !== undefined && !this.capabilities.isOver(principal);
  }

  /** Whom the request acts for: the tenant named in it, in its header, the token's own, or the
   *  default. Whether the token may is for `authorize` to say. */
  tenantOf({ tenant }: Credentials, named: string | undefined, principal: Principal): TenantId {
    if (named !== undefined && tenant !== undefined && named !== tenant) {
      const message = `differs from x-solo-tenant (${tenant.slice(0, 64)})`;
      throw new SoloError("invalid_argument", `tenant_id ${message}.`, {
        fields: [{ field: "tenant_id", message }],
        hint: "Name the tenant once.",
      });
    }
    const name = named ?? tenant;
    return name === undefined ? (principal?.record.tenant ?? DEFAULT_TENANT) : tenantId(name);
  }
}
