/**
 * What services may do: their handles, made at a deploy, checked at every use.
 *
 * 1. A service's handles are derived from its deployer's capability: never more than that, and
 *    over when it is. A handle has no token.
 * 2. Every service has its own kv, its own events, timers and log; that needs no handle.
 * 3. Code that is new gets handles from who brought it, never those of the code before.
 * 4. Handles of a deploy that failed and of a service that was killed are gone.
 * 5. A use that takes time ends with the handle that allowed it, and hears why.
 */
import type { Clock } from "#base/clock.ts";
import { type FieldError, SoloError } from "#base/errors.ts";
import type { RevisionId, ServiceKey } from "#base/ids.ts";
import type { Call } from "#capability/attenuated-service.ts";
import type { Capabilities } from "#capability/capabilities.ts";
import type { Capability } from "#capability/capability.ts";
import type { Ask } from "#capability/check.ts";
import { type Denial, denialError } from "#capability/denial.ts";
import type { DeriveRequest, Handle } from "#capability/mint.ts";
import type { Permission } from "#capability/permission.ts";
import type { CapabilityRecord } from "#capability/record.ts";
import { matches } from "#capability/resource.ts";
import { narrowTerms } from "#capability/terms.ts";
import type { ServiceSpec } from "#deploy/spec.ts";
import type { CapabilityAudit } from "#kernel/capability-audit.ts";
import { onEndOf } from "#kernel/capability-end.ts";
import type { KvOp } from "#storage/protocol.ts";

/** Labels that only the kernel gives. */
export const DEPLOYED_LABEL = "deployed:";

/** A service as far as its authority goes. */
export interface Actor {
  readonly key: ServiceKey;
  readonly handles: readonly Capability[];
}

export interface ServiceNeed {
  readonly permission: Permission;
  /** As src/capability/resource.ts writes it, canonical. */
  readonly resource: string;
  readonly call?: Call | undefined;
}

/** A use that was allowed. */
export interface Use {
  /** To be awaited before acting; undefined when nothing has to be on disk. */
  readonly recorded: Promise<void> | undefined;
  /** Calls back with the denial when what allowed the use is revoked or expires, at once if it
   *  is so already. Returns what stops that. */
  readonly onEnd: (listener: (refusal: SoloError) => void) => () => void;
}

/** The handles of a deploy or an update. */
export interface Minted {
  readonly handles: readonly Capability[];
  /** To be written in one batch with the deployment that names them; throws when they have ended. */
  readonly rows: () => readonly KvOp[];
}

export interface ServiceAuthorityOptions {
  readonly capabilities: () => Capabilities;
  readonly audit: CapabilityAudit;
  readonly clock: Clock;
}

export class ServiceAuthority {
  readonly #options: ServiceAuthorityOptions;

  constructor(options: ServiceAuthorityOptions) {
    this.#options = options;
  }

  /** One use of the handle that allows it, counted; throws a denial that says what to add. */
  authorize(service: Actor, need: ServiceNeed): Use {
    const capabilities = this.#options.capabilities();
    const { audit } = this.#options;
    const ask = askOf(service, need);
    let verdict = capabilities.checkAny(service.handles, ask);
    if (!verdict.allowed) {
      const granted = this.#granted(service.key);
      // The denial is of whichever comes closest.
      if (granted.length > 0)
        verdict = capabilities.checkAny([...service.handles, ...granted], ask);
    }
    if (verdict.allowed) {
      const { capability, recorded } = verdict;
      audit.verified(capability, ask);
      const onEnd: Use["onEnd"] = (listener) =>
        this.#onEnd(capability, () => listener(this.#ended({ capability, ask, need })));
      return { recorded, onEnd };
    }
    throw this.#refusal(verdict.denial, ask, need);
  }

  /** Whether `authorize` would pass now; nothing is counted or recorded. */
  allows(service: Actor, need: ServiceNeed): boolean {
    const capabilities = this.#options.capabilities();
    const ask = askOf(service, need);
    return [...service.handles, ...this.#granted(service.key)].some(
      (each) => capabilities.foresee(each, ask).allowed,
    );
  }

  /** Whether a capability of the service in force names this very host, not only a pattern that
   *  holds it; nothing is counted or recorded. */
  names(service: Actor, need: ServiceNeed): boolean {
    const capabilities = this.#options.capabilities();
    const ask = askOf(service, need);
    return [...service.handles, ...this.#granted(service.key)].some(
      (each) =>
        each.patterns.some((one) => one.form === "host" && matches(one, need.resource)) &&
        capabilities.foresee(each, ask).allowed,
    );
  }

  /** Whether one of them, or what it was derived from, has ended or has no uses left. */
  isAnyOver(handles: readonly Capability[]): boolean {
    const capabilities = this.#options.capabilities();
    return handles.some((each) => capabilities.isOver(each) || usedUp(each) !== undefined);
  }

  /** Refuses what the deployer does not hold. */
  mint(options: {
    readonly key: ServiceKey;
    readonly spec: ServiceSpec;
    readonly revision: RevisionId;
    readonly by: Capability;
  }): Minted {
    const { key, spec, revision, by } = options;
    const problems = this.problems(spec, by);
    if (problems.length > 0) throw exceeds(problems);
    const capabilities = this.#options.capabilities();
    const made: Handle[] = [];
    try {
      for (const terms of [...termsOf(spec, by), ...secretTerms(spec, by)]) {
        const request = {
          ...terms,
          tenant: key.tenant,
          label: `${DEPLOYED_LABEL}${revision}`,
          to: { kind: "service", ...key },
        } as const;
        made.push(capabilities.hand(by, request));
      }
    } catch (error) {
      for (const handle of made) handle.drop();
      throw error;
    }
    for (const { event } of made) this.#options.audit.record(event);
    return {
      handles: made.map(({ capability }) => capability),
      rows: () => made.flatMap((handle) => handle.row()),
    };
  }

  /** What of the spec goes beyond the deployer's capability, field by field. `usesAhead`: those
   *  that will be gone by the time of the deploy. */
  problems(spec: ServiceSpec, by: Capability, usesAhead = 0): FieldError[] {
    return [
      ...withoutUses(spec, by, usesAhead),
      ...beyond(termsOf(spec, by), by, (i, part) => `capabilities.${i}.${part}`),
      ...beyond(secretTerms(spec, by), by, (i) => `secrets.${i}.name`),
    ];
  }

  /** The same as the refusal that it leads to. */
  refusal(spec: ServiceSpec, by: Capability, usesAhead: number): SoloError | undefined {
    const problems = this.problems(spec, by, usesAhead);
    return problems.length > 0 ? exceeds(problems) : undefined;
  }

  /** Leaves a recorded service those handles; what a deploy or update that was cut off left goes. */
  async revive(key: ServiceKey, ids: readonly string[]): Promise<void> {
    const held = this.#heldBy(key);
    await this.withdraw(held.filter((each) => isDeployed(each) && !ids.includes(each.id)));
  }

  /** The handles of a recorded revision, as far as there are any. */
  recall(ids: readonly string[]): readonly Capability[] {
    const capabilities = this.#options.capabilities();
    return ids.map((id) => capabilities.get(id)).filter((each) => each !== undefined);
  }

  /** Ends the handles and forgets them. */
  async withdraw(handles: readonly Capability[]): Promise<void> {
    const capabilities = this.#options.capabilities();
    const events = await Promise.all(handles.map((each) => capabilities.withdraw(each)));
    for (const event of events) if (event !== undefined) this.#options.audit.record(event);
  }

  /** Everything the service held, gone: its name may be somebody else's next. */
  async release(key: ServiceKey): Promise<void> {
    await this.withdraw(this.#heldBy(key));
  }

  #onEnd(capability: Capability, listener: () => void): () => void {
    const { clock } = this.#options;
    return onEndOf({ capabilities: this.#options.capabilities(), capability, clock }, listener);
  }

  /** What a use hears that was under way. */
  #ended(use: { capability: Capability; ask: Ask; need: ServiceNeed }): SoloError {
    const verdict = this.#options.capabilities().foresee(use.capability, use.ask);
    if (!verdict.allowed) return this.#refusal(verdict.denial, use.ask, use.need);
    return new SoloError("permission_denied", `${use.capability.id} has ended.`);
  }

  #refusal(denial: Denial, ask: Ask, need: ServiceNeed): SoloError {
    this.#options.audit.denied(denial, ask);
    return denialError(denial, adviceFor(denial, need));
  }

  /** What was granted to the service while it ran. */
  #granted(key: ServiceKey): Capability[] {
    return this.#heldBy(key).filter((each) => !isDeployed(each));
  }

  #heldBy(key: ServiceKey): Capability[] {
    return this.#options.capabilities().everHeldBy({ kind: "service", ...key });
  }
}

const isDeployed = ({ record }: Capability): boolean => record.label.startsWith(DEPLOYED_LABEL);

const askOf = ({ key }: Actor, { permission, resource, call }: ServiceNeed): Ask => ({
  permission,
  resource,
  tenant: key.tenant,
  presenter: key,
  call,
});

/** A service derives nothing further. */
const LEAF = { maxDepth: 0, maxChildren: 0 } as const;

function termsOf(spec: ServiceSpec, by: Capability): DeriveRequest[] {
  // Without a limit of its own: the deployer's counts, if it has one.
  const usualRate = by.record.ratePerMinute === null ? { ratePerMinute: null } : {};
  if (spec.capabilities === null) {
    const { permissions, resources } = usualWithin(by);
    if (permissions.length === 0 || resources.length === 0) return [];
    return [{ ...LEAF, ...usualRate, permissions, resources }];
  }
  return spec.capabilities.map(({ permissions, resources, calls, ratePerMinute }) => ({
    ...LEAF,
    ...(ratePerMinute === null ? usualRate : { ratePerMinute }),
    permissions,
    resources,
    ...(calls !== null && { calls }),
  }));
}

/** What of the requests goes beyond the deployer's capability. */
function beyond(
  requests: readonly DeriveRequest[],
  by: Capability,
  path: (index: number, part: string) => string,
): FieldError[] {
  return requests.flatMap((request, i) => {
    try {
      narrowTerms({ parent: by.record, request, wallMs: 0, defaultRatePerMinute: 1 });
      return [];
    } catch (error) {
      const fields = (error instanceof SoloError && error.options.fields) || undefined;
      if (fields === undefined) throw error;
      return fields.map(({ field, message }) => ({ field: path(i, field), message }));
    }
  });
}

const usedUp = (capability: Capability, usesAhead = 0): Capability | undefined =>
  capability.chain().find(({ maxUses, uses }) => uses + usesAhead >= maxUses);

/** What a service uses counts at the deployer's links, too: with none left it gets nothing. */
function withoutUses(spec: ServiceSpec, by: Capability, usesAhead: number): FieldError[] {
  const link = usedUp(by, usesAhead);
  if (link === undefined) return [];
  const message = `would be of no use: with this deploy ${link.id} has none left of its ${link.maxUses} uses, and what the service uses counts there`;
  return (["capabilities", "secrets"] as const)
    .filter((field) => (spec[field] ?? []).length > 0)
    .map((field) => ({ field, message }));
}

/** One for each bound secret: to read it, or to have it filled in. */
function secretTerms(spec: ServiceSpec, by: Capability): DeriveRequest[] {
  const usualRate = by.record.ratePerMinute === null ? { ratePerMinute: null } : {};
  return (spec.secrets ?? []).map(({ name, use }) => ({
    ...LEAF,
    ...usualRate,
    permissions: [use === "read" ? "read" : "use"],
    resources: [`secret:${name}`],
  }));
}

/** Services: to call them and to hear of their end. Topics: to say and to hear. */
const USUAL: readonly Permission[] = ["invoke", "read", "publish", "subscribe"];
const USUAL_KINDS = ["service:", "topic:"];

/** What the deployer may pass on of it: what a service gets when nothing was said. */
function usualWithin({ record }: Capability): Pick<CapabilityRecord, "permissions" | "resources"> {
  const { permissions, resources, maxDepth } = record;
  if (maxDepth < 1) return { permissions: [], resources: [] };
  return {
    permissions: USUAL.filter((each) => permissions.includes(each)),
    resources: resources.includes("*")
      ? USUAL_KINDS.map((kind) => `${kind}*`)
      : resources.filter((text) => USUAL_KINDS.some((kind) => text.startsWith(kind))),
  };
}

function adviceFor(
  { why, call: refused }: Denial,
  { permission, resource, call }: ServiceNeed,
): { hint?: string } {
  if (refused !== undefined && refused.why !== "handler") {
    return { hint: 'Change the rule in "calls" of the service\'s deploy, and update it.' };
  }
  if (why === "narrowed") {
    const entry = JSON.stringify({
      resources: [resource],
      permissions: [permission],
      ...(call !== undefined && { calls: [{ handler: call.handler }] }),
    });
    return { hint: `Add ${entry} to "capabilities" in the service's deploy, and update it.` };
  }
  if (why === "rate") return {};
  return {
    hint: "Update the service with a token that is in force: what a service holds ends with the capability it was deployed with.",
  };
}

const exceeds = (fields: readonly FieldError[]): SoloError =>
  new SoloError(
    "invalid_argument",
    `The deploy asks more for the service than the deployer holds: ${fields
      .map(({ field, message }) => `${field} ${message}`)
      .join("; ")}.`,
    { fields, hint: "Ask for less, or deploy with a capability that holds it." },
  );
