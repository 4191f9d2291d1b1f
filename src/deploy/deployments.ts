/**
 * Desired state: which services should run, from what. The boot loader reads it back.
 *
 * 1. A deployment is on disk before it is acknowledged, whole or not at all.
 * 2. Records are JSON with a version of their form; one that cannot be read is reported, and
 *    the others are still brought back.
 */
import { SoloError } from "#base/errors.ts";
import { keyText, type RevisionId, type ServiceId, type ServiceKey, type TenantId } from "#base/ids.ts";
import type { ServiceSpec } from "#deploy/spec.ts";
import type { Kv } from "#storage/kv.ts";

const NAMESPACE = "deployments";
const FORM = 1;
const PAGE = 500;

export interface Deployment {
  readonly key: ServiceKey;
  readonly revision: RevisionId;
  readonly spec: ServiceSpec;
  readonly deployedAtMs: number;
  /** Set when the service was left stopped: it comes back only when asked. */
  readonly quarantined: boolean;
}

interface Stored {
  readonly form: number;
  readonly tenant: string;
  readonly service: string;
  readonly revision: string;
  readonly spec: ServiceSpec;
  readonly deployed_at_ms: number;
  readonly quarantined: boolean;
}

export class Deployments {
  readonly #kv: Kv;

  constructor(kv: Kv) {
    this.#kv = kv;
  }

  /** Resolves when it is on disk. */
  async put(deployment: Deployment): Promise<void> {
    const { key, revision, spec, deployedAtMs, quarantined } = deployment;
    const stored: Stored = {
      form: FORM,
      tenant: key.tenant,
      service: key.service,
      revision,
      spec,
      deployed_at_ms: deployedAtMs,
      quarantined,
    };
    const value = Buffer.from(JSON.stringify(stored));
    await this.#kv.batch([{ op: "put", ns: NAMESPACE, key: keyText(key), value }]);
  }

  async remove(key: ServiceKey): Promise<void> {
    await this.#kv.batch([{ op: "delete", ns: NAMESPACE, key: keyText(key) }]);
  }

  /** All of them, in order of their names; `unreadable` names what could not be read. */
  async all(): Promise<{ deployments: Deployment[]; unreadable: string[] }> {
    const deployments: Deployment[] = [];
    const unreadable: string[] = [];
    for (let after: string | undefined; ; ) {
      const page = await this.#kv.list(NAMESPACE, { limit: PAGE, ...(after !== undefined && { after }) });
      for (const { key, value } of page) {
        try {
          deployments.push(fromStored(JSON.parse(Buffer.from(value).toString()) as Stored));
        } catch {
          unreadable.push(key);
        }
      }
      if (page.length < PAGE) return { deployments, unreadable };
      after = page.at(-1)!.key;
    }
  }
}

function fromStored(stored: Stored): Deployment {
  if (stored.form !== FORM) {
    throw new SoloError("storage_corrupt", `A deployment record has the form ${stored.form}.`);
  }
  return {
    key: { tenant: stored.tenant as TenantId, service: stored.service as ServiceId },
    revision: stored.revision as RevisionId,
    spec: stored.spec,
    deployedAtMs: stored.deployed_at_ms,
    quarantined: stored.quarantined,
  };
}
