/** What a cell is told to start an instance. */
import { randomBytes } from "node:crypto";
import type { InstanceId, ServiceKey } from "#base/ids.ts";
import type { ServiceSpec } from "#deploy/spec.ts";
import type { CompiledModule } from "#wire/compiler.ts";
import { SEED_BYTES, type StartInstance, type StateSource } from "#wire/messages.ts";

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
    seed: randomBytes(SEED_BYTES).toString("base64"),
    env: spec.env,
    args: spec.args,
    state,
    durable: spec.persistence === "durable",
    keepState: keepsState(spec),
    memoryMb: spec.limits.memoryMb,
    startupTimeoutMs: spec.restartLimits.startupTimeoutMs,
    callTimeoutMs: spec.limits.callTimeoutMs,
    stateBytes: spec.limits.stateBytes,
    excluded: spec.persistenceExclude,
    fastLane,
  };
}
