/** A revision as the kernel runs it: settings and compiled source under one id, and what they may use. */
import type { Capability } from "#capability/capability.ts";
import type { RevisionId } from "#base/ids.ts";
import { revisionOf, sourceHash, type ServiceSpec } from "#deploy/spec.ts";
import type { CompiledModule } from "#wire/compiler.ts";

export interface Revision {
  readonly id: RevisionId;
  readonly spec: ServiceSpec;
  readonly code: RevisionCode;
  /** Of the source alone: state that other source wrote must be migrated. */
  readonly sourceHash: string;
  /** What it may use beyond its own; renewed when what it was deployed with has ended. */
  handles: readonly Capability[];
}

type Modules = readonly CompiledModule[];

/** Compiled source that is in memory only while somebody runs it. */
export class RevisionCode {
  /** Whose source it is: another's process never reads it. */
  readonly tenant: string;
  #modules: Modules | Promise<Modules> | undefined;
  readonly #load: () => Promise<Modules>;

  constructor(options: {
    tenant: string;
    modules?: Modules | undefined;
    load: () => Promise<Modules>;
  }) {
    this.tenant = options.tenant;
    this.#modules = options.modules;
    this.#load = options.load;
  }

  async modules(): Promise<Modules> {
    this.#modules ??= this.#load();
    try {
      return (this.#modules = await this.#modules);
    } catch (error) {
      this.#modules = undefined;
      throw error;
    }
  }

  /** The next one who needs it loads it again. */
  forget(): void {
    this.#modules = undefined;
  }
}

export const newRevision = (options: {
  readonly spec: ServiceSpec;
  readonly code: RevisionCode;
  readonly handles: readonly Capability[];
}): Revision => ({
  ...options,
  id: revisionOf(options.spec),
  sourceHash: sourceHash(options.spec),
});
