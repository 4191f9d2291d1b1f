/**
 * What a deploy or update may give the service: asked before, minted with it, gone when it fails.
 *
 * 1. It comes from the capability of who deploys or updates.
 * 2. Whoever may not have a secret is not told whether there is one.
 */
import type { Capability } from "#capability/capability.ts";
import { SoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { ServiceKey } from "#base/ids.ts";
import type { Deployments } from "#deploy/deployments.ts";
import type { SecretBinding } from "#deploy/secret-bindings.ts";
import { revisionOf, type ServiceSpec } from "#deploy/spec.ts";
import { deploymentOf } from "#kernel/deploys/deployed.ts";
import type { Secrets } from "#kernel/secrets.ts";
import type { Minted, ServiceAuthority } from "#kernel/services/host/service-authority.ts";
import type { Service } from "#kernel/services/service.ts";
import type { SecretListing } from "#vault/vault.ts";

export interface HandlesOptions {
  readonly authority: ServiceAuthority;
  readonly secrets: Secrets;
  readonly deployments: Deployments;
  readonly log: Logger;
}

/** A service as somebody wants it to be. */
export interface Wanted {
  readonly key: ServiceKey;
  readonly spec: ServiceSpec;
  readonly by: Capability;
}

export class Handles {
  readonly #options: HandlesOptions;

  constructor(options: HandlesOptions) {
    this.#options = options;
  }

  /** What of the spec goes beyond what `by` may give, field by field. */
  beyond({ spec, by }: Wanted): string[] {
    // The deploy itself is a use.
    const problems = this.#options.authority.problems(spec, by, 1);
    return problems.map(({ field, message }) => `${field} ${message}`);
  }

  /** Why secrets that the spec binds cannot be had, if so. */
  missingSecrets({ key, spec, by }: Wanted): SoloError | undefined {
    const { authority, secrets } = this.#options;
    const { secrets: bindings = [] } = spec;
    // Minting refuses whoever may not have them.
    if (bindings.length === 0 || authority.problems(spec, by).length > 0) return undefined;
    return missingSecrets(bindings, (name) => secrets.find(key.tenant, name));
  }

  /** Refuses a spec that asks for more than `by` may give, or for secrets that are not there. */
  mustBeHad(wanted: Wanted): void {
    const { spec, by } = wanted;
    const refusal = this.#options.authority.refusal(spec, by, 0) ?? this.missingSecrets(wanted);
    if (refusal !== undefined) throw refusal;
  }

  /** What stands against a spec before its source is looked at. */
  refusals(wanted: Wanted): SoloError[] {
    const beyond = this.#options.authority.refusal(wanted.spec, wanted.by, 1);
    return [beyond, this.missingSecrets(wanted)].filter((each) => each !== undefined);
  }

  /** `act` writes them with what it writes itself; they are gone when it fails. */
  async mintedFor<T>({ key, spec, by }: Wanted, act: (minted: Minted) => Promise<T>): Promise<T> {
    const minted = this.#options.authority.mint({ key, spec, by, revision: revisionOf(spec) });
    try {
      return await act(minted);
    } catch (error) {
      await this.discard(minted.handles);
      throw error;
    }
  }

  /** Of no use any more. What storage does not forget now has no deployment that names it. */
  async discard(handles: readonly Capability[]): Promise<void> {
    const { authority, log } = this.#options;
    await authority.withdraw(handles).catch((error: unknown) => {
      log.warn("capabilities not forgotten", { error: String(error) });
    });
  }

  /** New ones for the same code, when what it was deployed with is over. */
  async renew(service: Service, by: Capability): Promise<void> {
    const { authority, deployments } = this.#options;
    if (!authority.isAnyOver(service.handles)) return;
    const { key, spec, revision } = service;
    const old = service.handles;
    const { handles, rows } = authority.mint({ key, spec, revision, by });
    service.current.handles = handles;
    await deployments.put(deploymentOf(service), rows());
    await this.discard(old);
  }
}

/** Every binding that cannot be kept, by its place in the request. */
function missingSecrets(
  bindings: readonly SecretBinding[],
  find: (name: string) => SecretListing | undefined,
): SoloError | undefined {
  const fields = bindings.flatMap(({ name }, at) => {
    const latest = find(name)?.versions.at(-1);
    const refuse = (message: string) => [{ field: `secrets.${at}.name`, message }];
    if (latest === undefined) return refuse(`there is no secret ${name} in this tenant`);
    if (latest.hasCallerKey)
      return refuse(`${name} opens only with its caller's key, which a service does not have`);
    return [];
  });
  if (fields.length === 0) return undefined;
  const text = fields.map(({ field, message }) => `${field}: ${message}`).join("; ");
  return new SoloError("invalid_argument", `The deploy cannot be accepted: ${text}.`, {
    fields,
    hint: "Store the secret first, or correct its name.",
  });
}
