/** The watchdog of an update: how long a new revision is on probation, and what fails it. */

export type StateOnRollback = "restore_old" | "keep_new" | "downgrade";

export interface Watchdog {
  readonly enabled: boolean;
  /** The probation ends after this time or this many messages, whichever comes first. */
  readonly windowMs: number;
  readonly maxMessages: number;
  /** Crashes beyond those that the old revision would have had in the same time. */
  readonly maxCrashes: number;
  /** Share of messages, from 0 to 1, beyond the old revision's share. */
  readonly maxErrorRateIncrease: number;
  /** Times the old revision's. */
  readonly maxLatencyFactor: number;
  readonly maxMemoryFactor: number;
  readonly stateOnRollback: StateOnRollback;
}

/** How instances did, together, in the last minute or so. */
export interface Performance {
  readonly overMs: number;
  readonly messages: number;
  readonly errors: number;
  readonly crashes: number;
  readonly p95Ms: number;
  /** Of a rollout: of one instance. */
  readonly memoryBytes: number;
}

export interface WatchdogInput {
  readonly enabled?: boolean | undefined;
  readonly window_ms?: number | undefined;
  readonly max_messages?: number | undefined;
  readonly max_crashes?: number | undefined;
  readonly max_error_rate_increase?: number | undefined;
  readonly max_latency_factor?: number | undefined;
  readonly max_memory_factor?: number | undefined;
  readonly state_on_rollback?: StateOnRollback | undefined;
}

export const WATCHDOG: Watchdog = Object.freeze({
  enabled: true,
  windowMs: 30_000,
  maxMessages: 1_000_000,
  maxCrashes: 0,
  maxErrorRateIncrease: 0.05,
  maxLatencyFactor: 3,
  maxMemoryFactor: 3,
  stateOnRollback: "restore_old",
});

export const watchdogFrom = (input: WatchdogInput = {}, otherwise: Watchdog = WATCHDOG): Watchdog =>
  Object.freeze({
    enabled: input.enabled ?? otherwise.enabled,
    windowMs: input.window_ms ?? otherwise.windowMs,
    maxMessages: input.max_messages ?? otherwise.maxMessages,
    maxCrashes: input.max_crashes ?? otherwise.maxCrashes,
    maxErrorRateIncrease: input.max_error_rate_increase ?? otherwise.maxErrorRateIncrease,
    maxLatencyFactor: input.max_latency_factor ?? otherwise.maxLatencyFactor,
    maxMemoryFactor: input.max_memory_factor ?? otherwise.maxMemoryFactor,
    stateOnRollback: input.state_on_rollback ?? otherwise.stateOnRollback,
  });
