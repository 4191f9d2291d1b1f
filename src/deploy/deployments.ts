/**
 * Desired state: which services should run, from what. The boot loader reads it back.
 *
 * 1. A deployment is on disk before it is acknowledged, whole or not at all.
 * 2. A service that is killed is marked gone first and its record removed last, so that a
 *    kill which the kernel's death cut off is finished at the next start.
 * 3. Records are JSON with a version of their form; one that cannot be read is reported, and
 *    the others are still brought back.
 */
import { SoloError, type ErrorCode } from "#base/errors.ts";
import {
  keyText,
  type RevisionId,
  type ServiceId,
  type ServiceKey,
  type TenantId,
} from "#base/ids.ts";
import { CODE_CHANGE_MS, type ServiceSpec } from "#deploy/spec.ts";
import { WATCHDOG } from "#deploy/watchdog.ts";
import type { Kv } from "#storage/kv.ts";
import type { KvOp } from "#storage/protocol.ts";

const NAMESPACE = "deployments";
const FORM = 1;
const PAGE = 500;
const LATER_SETTINGS = {
  instances: 1,
  routing: "round_robin",
  persistenceExclude: [],
  watchdog: WATCHDOG,
  hibernateAfterMs: 0,
  priority: 0,
} as const;

export interface Deployment {
  readonly key: ServiceKey;
  readonly revision: RevisionId;
  readonly spec: ServiceSpec;
  readonly deployedAtMs: number;
  /** Set when the service was left stopped: it comes back only when asked. */
  readonly quarantined: boolean;
  /** Ids of the capabilities that it holds. */
  readonly capabilities: readonly string[];
  /** Set while it could not be brought back after a start of the kernel. */
  readonly trouble?: Trouble;
}

/** How often in a row the service did not come back, and why it did not the last time. */
export interface Trouble {
  readonly failures: number;
  /** Wall clock. */
  readonly lastAtMs: number;
  readonly code: ErrorCode;
  readonly detail: string;
}

interface Stored {
  readonly form: number;
  readonly tenant: string;
  readonly service: string;
  readonly revision: string;
  readonly spec: ServiceSpec;
  readonly deployed_at_ms: number;
  readonly quarantined: boolean;
  readonly capabilities: readonly string[];
  readonly trouble?: Trouble;
}

interface Gone {
  readonly form: number;
  readonly tenant: string;
  readonly service: string;
  readonly gone: true;
}

export interface Desired {
  readonly deployments: Deployment[];
  /** Killed, but what they kept may still be there. */
  readonly gone: ServiceKey[];
  readonly unreadable: string[];
}

export class Deployments {
  readonly #kv: Kv;

  constructor(kv: Kv) {
    this.#kv = kv;
  }

  /** Resolves when it is on disk: the service will not come back. */
  async markGone(key: ServiceKey): Promise<void> {
    const { tenant, service } = key;
    await this.#kv.batch([write(key, { form: FORM, tenant, service, gone: true })]);
  }

  /** Resolves when it is on disk, together with `beside`: all of it or nothing. */
  async put(deployment: Deployment, beside: readonly KvOp[] = []): Promise<void> {
    await this.#kv.batch([deploymentOp(deployment), ...beside]);
  }

  async remove(key: ServiceKey): Promise<void> {
    await this.#kv.batch([{ op: "delete", ns: NAMESPACE, key: keyText(key) }]);
  }

  /** All of them, in order of their names; `unreadable` names what could not be read. */
  async all(): Promise<Desired> {
    const deployments: Deployment[] = [];
    const gone: ServiceKey[] = [];
    const unreadable: string[] = [];
    for (let after: string | undefined; ;) {
      const page = await this.#kv.list(NAMESPACE, {
        limit: PAGE,
        ...(after !== undefined && { after }),
      });
      for (const { key, value } of page) {
        try {
          const stored = JSON.parse(Buffer.from(value).toString()) as Stored | Gone;
          if ("gone" in stored) gone.push(keyFrom(stored));
          else deployments.push(fromStored(stored));
        } catch {
          unreadable.push(key);
        }
      }
      if (page.length < PAGE) return { deployments, gone, unreadable };
      after = page.at(-1)!.key;
    }
  }
}

const write = (key: ServiceKey, stored: Stored | Gone): KvOp => ({
  op: "put",
  ns: NAMESPACE,
  key: keyText(key),
  value: Buffer.from(JSON.stringify(stored)),
});

/** For a write together with other things. */
export const deploymentOp = (deployment: Deployment): KvOp => {
  const { key, revision, spec, deployedAtMs, quarantined, capabilities, trouble } = deployment;
  return write(key, {
    form: FORM,
    tenant: key.tenant,
    service: key.service,
    revision,
    spec,
    deployed_at_ms: deployedAtMs,
    quarantined,
    capabilities,
    ...(trouble !== undefined && { trouble }),
  });
};

const keyFrom = ({ tenant, service }: Stored | Gone): ServiceKey => ({
  tenant: tenant as TenantId,
  service: service as ServiceId,
});

function fromStored(stored: Stored): Deployment {
  if (stored.form !== FORM) {
    throw new SoloError("storage_corrupt", `A deployment record has the form ${stored.form}.`);
  }
  return {
    key: keyFrom(stored),
    revision: stored.revision as RevisionId,
    // Settings that did not exist when it was written have the value that means none.
    spec: {
      ...LATER_SETTINGS,
      ...stored.spec,
      restartLimits: {
        ...stored.spec.restartLimits,
        codeChangeTimeoutMs: stored.spec.restartLimits.codeChangeTimeoutMs ?? CODE_CHANGE_MS,
      },
    },
    deployedAtMs: stored.deployed_at_ms,
    quarantined: stored.quarantined,
    capabilities: stored.capabilities,
    ...(stored.trouble !== undefined && { trouble: stored.trouble }),
  };
}
