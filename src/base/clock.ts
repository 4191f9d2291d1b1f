/** Time enters through a Clock, so that decisions can be simulated. */
export interface Clock {
  /** Monotonic milliseconds, with fractions; only differences mean anything. */
  now(): number;
  /** Monotonic nanoseconds. */
  nowNs(): bigint;
  /** Wall time, milliseconds since the Unix epoch; may jump. */
  wallMs(): number;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  nowNs: () => process.hrtime.bigint(),
  wallMs: () => Date.now(),
};
