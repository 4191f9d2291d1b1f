/**
 * When the kernel's host is under pressure (K4): what was measured, against thresholds.
 *
 * 1. Pure: the same readings always give the same changes.
 * 2. Pressure that began ends only well below its threshold, and after CALM_SAMPLES in a row:
 *    a value that wavers around it is one event, not hundreds.
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

interface High {
  readonly calm: number;
}

/** Which of them are high now. */
export type PressureState = Readonly<Partial<Record<Watched, High>>>;

export interface PressureChange {
  readonly state: PressureState;
  readonly began: readonly Pressure[];
  readonly ended: readonly Watched[];
}

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
  const next: Partial<Record<Watched, High>> = {};
  const began: Pressure[] = [];
  const ended: Watched[] = [];
  for (const what of Object.keys(WATCHED) as Watched[]) {
    const threshold = thresholds[what];
    const value = readings[what];
    const before = state[what];
    if (threshold === 0 || value === undefined) {
      if (before !== undefined) ended.push(what);
      continue;
    }
    if (passes(what, value, threshold)) {
      if (before === undefined) began.push({ what, value, threshold });
      next[what] = { calm: 0 };
    } else if (before !== undefined) {
      const calm = isCalm(what, value, threshold) ? before.calm + 1 : 0;
      if (calm >= CALM_SAMPLES) ended.push(what);
      else next[what] = { calm };
    }
  }
  return { state: next, began, ended };
}

const passes = (what: Watched, value: number, threshold: number): boolean =>
  isFloor(what) ? value < threshold : value > threshold;

const isCalm = (what: Watched, value: number, threshold: number): boolean =>
  isFloor(what) ? value >= threshold * (1 + MARGIN) : value <= threshold * (1 - MARGIN);
