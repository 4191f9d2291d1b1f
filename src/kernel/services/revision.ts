/** A revision as the kernel runs it: settings and compiled source under one id, and what they may use. */
import type { Capability } from "#capability/capability.ts";
import type { RevisionId } from "#base/ids.ts";
import { revisionOf, sourceHash, type ServiceSpec } from "#deploy/spec.ts";
import type { CompiledModule } from "#wire/compiler.ts";

export interface Revision {
  readonly id: RevisionId;
  readonly spec: ServiceSpec;
  readonly modules: readonly CompiledModule[];
  /** Of the source alone: state that other source wrote must be migrated. */
  readonly sourceHash: string;
  /** What it may use beyond its own; renewed when what it was deployed with has ended. */
  handles: readonly Capability[];
}

export const newRevision = (options: {
  readonly spec: ServiceSpec;
  readonly modules: readonly CompiledModule[];
  readonly handles: readonly Capability[];
}): Revision => ({
  ...options,
  id: revisionOf(options.spec),
  sourceHash: sourceHash(options.spec),
});
