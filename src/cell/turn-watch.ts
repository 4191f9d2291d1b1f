/**
 * Ends a guest whose turn runs on although nobody waits for it any more: it cannot hear of that
 * while the turn runs, which may be a loop.
 *
 * 1. A turn has LEAST_TURN_MS in any case; one with several messages in it, any of which may be
 *    the slow one, or whose process waits for a core itself, PATIENT_TURN_MS.
 */
const LEAST_TURN_MS = 225;
const PATIENT_TURN_MS = 1000;
/** After its caller's deadline, a turn that still runs has this long to end. */
const CANCEL_GRACE_MS = 125;
/** A process that got less CPU time than this share of the grace waits for a core. */
const STARVED_BELOW = 0.25;

export interface TurnWatchOptions {
  /** CPU time of this process, ms. */
  readonly cpuMs: () => number;
  readonly overdue: () => void;
}

export class TurnWatch {
  readonly #options: TurnWatchOptions;
  #startedAt: number | undefined;
  /** The most that the turn may be at. */
  #messages = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: TurnWatchOptions) {
    this.#options = options;
  }

  turnBegins(messages: number): void {
    this.#startedAt = performance.now();
    this.#messages = messages;
  }

  turnEnded(): void {
    this.#startedAt = undefined;
    clearTimeout(this.#timer);
  }

  /** Somebody has given up what the turn, if one runs, may be at. */
  givenUp(): void {
    const startedAt = this.#startedAt;
    if (startedAt === undefined) return;
    const { cpuMs, overdue } = this.#options;
    const usedMs = cpuMs();
    const ranMs = () => performance.now() - startedAt;
    const graceMs = Math.max(CANCEL_GRACE_MS, LEAST_TURN_MS - ranMs());
    const late = () => {
      const leftMs = PATIENT_TURN_MS - ranMs();
      const isStarved = cpuMs() - usedMs < graceMs * STARVED_BELOW;
      const patient = leftMs > 0 && (isStarved || this.#messages > 1);
      if (patient) this.#timer = setTimeout(late, Math.min(leftMs, CANCEL_GRACE_MS));
      else overdue();
    };
    clearTimeout(this.#timer);
    this.#timer = setTimeout(late, graceMs);
  }
}
