/** What comes of a deploy: what is answered, logged and written down. */
import type { Diagnostic } from "#base/errors.ts";
import type { Deployment } from "#deploy/deployments.ts";
import type { ServiceLogs } from "#events/service-logs.ts";
import type { Revision } from "#kernel/services/revision.ts";
import type { Service } from "#kernel/services/service.ts";

export interface Started {
  readonly service: Service;
  readonly startedInMs: number;
}

export interface Deployed extends Started {
  /** What analysis has to say about source that is new. */
  readonly warnings: readonly Diagnostic[];
}

/** Whoever reads the service's log later should find the warnings, too. */
export function logWarnings(
  logs: ServiceLogs,
  { service: { key, instances }, warnings }: Deployed,
): void {
  const [instance] = instances;
  if (instance === undefined) return;
  for (const { file, line, column, code, message } of warnings) {
    const text = `${file}:${line}:${column}: warning[${code}]: ${message}`;
    logs.write({ key, instance: instance.id, level: "warn", text });
  }
}

/** How the service is written down as it is now. */
export const deploymentOf = (service: Service): Deployment => ({
  ...deploymentWith(service, service.current),
  quarantined: service.state === "quarantined",
});

/** How it is written down by what makes `revision` current. */
export const deploymentWith = (
  { key, deployedAtMs }: Service,
  { id, spec, handles }: Revision,
): Deployment => ({
  key,
  revision: id,
  spec,
  deployedAtMs,
  quarantined: false,
  capabilities: handles.map((each) => each.id),
});
