/** A revision as the kernel runs it: settings and compiled source under one id, and what they may use. */
import type { Capability } from "#capability/capability.ts";
import type { RevisionId } from "#base/ids.ts";
import type { Compiled } from "#deploy/compile-cache.ts";
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

/** Compiled source, in memory only until somebody has taken it and it can be loaded again. */
export class RevisionCode {
  /** Whose source it is: another's process never reads it. */
  readonly tenant: string;
  #held: Promise<Compiled> | undefined;
  readonly #load: () => Promise<Compiled>;

  constructor(options: {
    tenant: string;
    compiled?: Compiled | undefined;
    load: () => Promise<Compiled>;
  }) {
    const { tenant, compiled, load } = options;
    this.tenant = tenant;
    this.#held = compiled && Promise.resolve(compiled);
    this.#load = load;
  }

  async modules(): Promise<readonly CompiledModule[]> {
    const held = (this.#held ??= this.#load());
    try {
      const { result, stored } = await held;
      void stored.then((isStored) => isStored && this.#letGo(held));
      return result.modules;
    } catch (error) {
      this.#letGo(held);
      throw error;
    }
  }

  #letGo(held: Promise<Compiled>): void {
    if (this.#held === held) this.#held = undefined;
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
