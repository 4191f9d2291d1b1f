/** How often something happens: counted in windows of one second. Pure. */
export const WINDOW_MS = 1000;

export interface RateWindow {
  readonly startedAt: number;
  readonly count: number;
}

export const NO_RATE: RateWindow = { startedAt: -Infinity, count: 0 };

/** The window with one more in it, or a new one. */
export const counted = (window: RateWindow, now: number): RateWindow =>
  now - window.startedAt < WINDOW_MS
    ? { startedAt: window.startedAt, count: window.count + 1 }
    : { startedAt: now, count: 1 };

/** Until the next window begins, ms. */
export const restOf = ({ startedAt }: RateWindow, now: number): number =>
  Math.max(0, startedAt + WINDOW_MS - now);
