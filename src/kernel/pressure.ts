/**
 * When the kernel's host is under pressure (K4): what was measured, against thresholds.
 *
 * 1. Pure: the same readings always give the same changes.
 * 2. Pressure begins after HIGH_SAMPLES beyond the threshold in a row, so that a moment's peak
 *    is none; it ends after CALM_SAMPLES well on the good side, so that a value that wavers
 *    is one event, not hundreds.
 */

/** What is watched. Each has one reading, one threshold, and one direction. */
export const WATCHED = {
  heap_percent: "Of the JavaScript heap that the kernel may have, in per cent.",
  loop_delay_ms: "99th percentile of how late the kernel's event loop was, milliseconds.",
  descriptors_percent: "Of the descriptors that the kernel may have open, in per cent.",
  cells: "Cell processes.",
  instances: "Instances of services.",
  disk_free_mb: "Free on the file system of data_dir, mebibytes.",
  memory_free_mb: "Memory that the machine, or the kernel's control group, has left, mebibytes.",
} as const;

export type Watched = keyof typeof WATCHED;

/** Undefined: cannot be read on this machine. */
export type Readings = Readonly<Record<Watched, number | undefined>>;
/** 0 turns the watch off. */
export type Thresholds = Readonly<Record<Watched, number>>;

export interface Pressure {
  readonly what: Watched;
  readonly value: number;
  readonly threshold: number;
}

interface Watch {
  readonly isHigh: boolean;
  /** Readings in a row that speak for a change. */
  readonly samples: number;
}

/** Of those that are high, or may become so. */
export type PressureState = Readonly<Partial<Record<Watched, Watch>>>;

export interface PressureChange {
  readonly state: PressureState;
  readonly began: readonly Pressure[];
  readonly ended: readonly Watched[];
}

export const HIGH_SAMPLES = 3;
export const CALM_SAMPLES = 3;
/** Pressure ends when the value is so far on the good side of its threshold. */
const MARGIN = 0.1;

/** The smaller the worse. */
const isFloor = (what: Watched): boolean => what.endsWith("_free_mb");

export function decidePressure(
  state: PressureState,
  readings: Readings,
  thresholds: Thresholds,
): PressureChange {
  const next: Partial<Record<Watched, Watch>> = {};
  const began: Pressure[] = [];
  const ended: Watched[] = [];
  for (const what of Object.keys(WATCHED) as Watched[]) {
    const threshold = thresholds[what];
    const value = readings[what];
    const { isHigh, samples } = state[what] ?? { isHigh: false, samples: 0 };
    if (threshold === 0 || value === undefined) {
      if (isHigh) ended.push(what);
    } else if (isHigh) {
      const calm = isCalm(what, value, threshold) ? samples + 1 : 0;
      if (calm >= CALM_SAMPLES) ended.push(what);
      else next[what] = { isHigh, samples: calm };
    } else if (passes(what, value, threshold)) {
      const lasts = samples + 1 >= HIGH_SAMPLES;
      if (lasts) began.push({ what, value, threshold });
      next[what] = { isHigh: lasts, samples: lasts ? 0 : samples + 1 };
    }
  }
  return { state: next, began, ended };
}

export const highOf = (state: PressureState): Watched[] =>
  (Object.keys(state) as Watched[]).filter((what) => state[what]!.isHigh);

const passes = (what: Watched, value: number, threshold: number): boolean =>
  isFloor(what) ? value < threshold : value > threshold;

const isCalm = (what: Watched, value: number, threshold: number): boolean =>
  isFloor(what) ? value >= threshold * (1 + MARGIN) : value <= threshold * (1 - MARGIN);
