/** One change of a running service: what it is asked with, what it leads to, and what came of it. */
import type { Capability } from "#capability/capability.ts";
import type { RevisionAction } from "#deploy/revisions.ts";
import type { Rollout } from "#deploy/rollout.ts";
import type { ServiceSpec } from "#deploy/spec.ts";
import type { StrategyInput } from "#deploy/strategy.ts";
import type { Deployed } from "#kernel/deploys/deployed.ts";
import type { RevisionCode } from "#kernel/services/revision.ts";
import type { Service } from "#kernel/services/service.ts";
import type { Swapped } from "#kernel/upgrades/swap.ts";

/** A change waits so long for a sleeper to wake. */
export const WAKE_MS = 5000;

/** What a change is asked with, beside what it changes to. */
export interface Wish {
  readonly message?: string | undefined;
  /** Undefined: runs it if there is one. */
  readonly selfTest?: boolean | undefined;
  /** Undefined: a hot swap. */
  readonly strategy?: StrategyInput | undefined;
}

export interface Change extends Wish {
  readonly action: RevisionAction;
  readonly by: Capability;
  readonly begun: number;
}

/** A compiled revision that the service is about to have. */
export interface Coming {
  readonly service: Service;
  readonly spec: ServiceSpec;
  readonly code: RevisionCode;
}

export interface Changed extends Deployed {
  /** Undefined when nothing was swapped. */
  readonly swapped?: Pick<Swapped, "pauseMs" | "stateBytes">;
  /** How long the new revision is watched from now on. */
  readonly probationMs?: number;
  /** It has begun; the revision that the service had is current until it is promoted. */
  readonly rollout?: Rollout;
  /** Its revision was current already. */
  readonly unchanged?: true;
}

export const runs = ({ state }: Service): boolean => state === "running" || state === "hibernated";
