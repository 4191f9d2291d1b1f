/** A revision as the kernel runs it: immutable settings and compiled source under one id. */
import type { RevisionId } from "#base/ids.ts";
import { revisionOf, sourceHash, type ServiceSpec } from "#deploy/spec.ts";
import type { CompiledModule } from "#wire/compiler.ts";

export interface Revision {
  readonly id: RevisionId;
  readonly spec: ServiceSpec;
  readonly modules: readonly CompiledModule[];
  /** Of the source alone: state that other source wrote must be migrated. */
  readonly sourceHash: string;
}

export const newRevision = (spec: ServiceSpec, modules: readonly CompiledModule[]): Revision => ({
  id: revisionOf(spec),
  spec,
  modules,
  sourceHash: sourceHash(spec),
});
