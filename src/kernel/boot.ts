/**
 * Brings back every service that should run (K6).
 *
 * 1. A kill that the kernel's death cut off is finished.
 * 2. A service that cannot start is reported, and the rest still come back.
 */
import { toSoloError } from "#base/errors.ts";
import { keyText } from "#base/ids.ts";
import type { Logger } from "#base/log.ts";
import type { Deployment, Deployments } from "#deploy/deployments.ts";
import type { Deployer } from "#kernel/deployer.ts";
import type { EventLog } from "#events/event-log.ts";

const AT_ONCE = 16;

export interface BootOptions {
  readonly deployments: Deployments;
  readonly deployer: Deployer;
  readonly events: EventLog;
  readonly log: Logger;
}

export interface BootReport {
  readonly revived: number;
  readonly failed: readonly string[];
}

export async function boot({
  deployments,
  deployer,
  events,
  log,
}: BootOptions): Promise<BootReport> {
  const { deployments: all, gone, unreadable } = await deployments.all();
  const queue = byTurns(all);
  for (const key of gone) await deployer.forget(key);
  const failed = [...unreadable];
  for (const name of unreadable) log.error("deployment record unreadable", { service: name });
  let revived = 0;
  const revive = async (deployment: Deployment) => {
    try {
      await deployer.revive(deployment);
      revived += 1;
    } catch (error) {
      const { code, message } = toSoloError(error);
      const { tenant, service } = deployment.key;
      failed.push(keyText(deployment.key));
      log.error("service not brought back", {
        service: keyText(deployment.key),
        code,
        detail: message,
      });
      events.emit({
        type: "service_deployment_failed",
        tenantId: tenant,
        subject: service,
        payload: { code, detail: `After the kernel's restart: ${message}`.slice(0, 2000) },
      });
    }
  };
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await revive(next);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return { revived, failed };
}

/** One of each tenant after the other, so that all their cells work at the same time. */
function byTurns(all: readonly Deployment[]): Deployment[] {
  const tenants = [...Map.groupBy(all, ({ key }) => key.tenant).values()];
  const longest = Math.max(0, ...tenants.map((each) => each.length));
  return Array.from({ length: longest }, (_, at) =>
    tenants.flatMap((each) => each[at] ?? []),
  ).flat();
}
