/** What a supervisor is given, and what it answers about its children. */
import type { Clock } from "#base/clock.ts";
import type { Logger } from "#base/log.ts";
import type { Backoff } from "#supervisor/backoff.ts";
import type { Child, ChildSpec, ChildState, ChildType, RestartKind } from "#supervisor/child.ts";
import type { RestartRules, Strategy } from "#supervisor/decide.ts";
import type { SupervisorEvent } from "#supervisor/events.ts";
import { DEFAULT_MAX_RESTARTS, DEFAULT_MAX_SECONDS } from "#supervisor/limits.ts";

export interface SupervisorOptions {
  readonly id: string;
  readonly strategy: Strategy;
  readonly clock: Clock;
  /** Started left to right. */
  readonly children?: readonly ChildSpec[];
  /** More restarts than this within `maxSeconds` make the supervisor give up. */
  readonly maxRestarts?: number;
  readonly maxSeconds?: number;
  /** Without it every restart comes at once. */
  readonly backoff?: Backoff;
  /** The order of the children means nothing: they are stopped all at the same time. */
  readonly dynamic?: boolean;
  /** When it throws, that is logged and nothing else happens. */
  readonly onEvent?: (event: SupervisorEvent) => void;
  readonly log?: Logger;
  /** Aborting it gives up the start. */
  readonly signal?: AbortSignal;
}

export const rulesOf = (options: SupervisorOptions): RestartRules => ({
  strategy: options.strategy,
  maxRestarts: options.maxRestarts ?? DEFAULT_MAX_RESTARTS,
  maxSeconds: options.maxSeconds ?? DEFAULT_MAX_SECONDS,
  backoff: options.backoff,
});

export interface ChildInfo {
  readonly id: string;
  readonly type: ChildType;
  readonly restart: RestartKind;
  readonly state: ChildState;
  readonly restarts: number;
  readonly child: Child | undefined;
}

export interface ChildCounts {
  readonly specs: number;
  readonly active: number;
  readonly supervisors: number;
  readonly workers: number;
}
