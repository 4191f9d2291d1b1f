/** What a cell is told to start an instance. */
import type { InstanceId, ServiceKey } from "#base/ids.ts";
import type { ServiceSpec } from "#deploy/spec.ts";
import type { CompiledModule } from "#wire/compiler.ts";
import type { StartInstance, StateSource } from "#wire/messages.ts";

export const keepsState = ({ persistence }: ServiceSpec): boolean =>
  persistence === "hybrid" || persistence === "durable";

export function startMessage(options: {
  key: ServiceKey;
  id: InstanceId;
  spec: ServiceSpec;
  modules: readonly CompiledModule[];
  state: StateSource;
  fastLane: boolean;
}): StartInstance {
  const { key, id, spec, modules, state, fastLane } = options;
  return {
    tenant: key.tenant,
    service: key.service,
    instance: id,
    entry: spec.entry,
    modules: modules.map(({ path, code }) => ({ path, code })),
    env: spec.env,
    args: spec.args,
    state,
    durable: spec.persistence === "durable",
    keepState: keepsState(spec),
    memoryMb: spec.limits.memoryMb,
    startupTimeoutMs: spec.restartLimits.startupTimeoutMs,
    callTimeoutMs: spec.limits.callTimeoutMs,
    stateBytes: spec.limits.stateBytes,
    fastLane,
  };
}
