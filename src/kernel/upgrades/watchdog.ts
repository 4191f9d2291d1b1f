/**
 * Watches a service whose revision has just changed, until its probation is over.
 *
 * 1. Every crash is judged at once; everything else again and again.
 * 2. It ends once: passed, rolled back, or because somebody changed the service meanwhile.
 */
import type { Clock } from "#base/clock.ts";
import type { Revision } from "#kernel/services/revision.ts";
import type { Service } from "#kernel/services/service.ts";
import { together } from "#kernel/services/vitals.ts";
import { judge, type Performance, type Regression } from "#kernel/upgrades/probation.ts";
import type { Handed } from "#kernel/upgrades/swap.ts";

const CHECK_MS = 100;

/** How the service's replicas have done in the last minute or so. */
export const performanceOf = ({ replicas, totals }: Service): Performance => ({
  ...together(replicas.map(({ vitals }) => vitals.read())),
  memoryBytes: totals.memoryBytes,
});

export interface ProbationOptions {
  readonly service: Service;
  /** What it was before, and what each slot had handed over. */
  readonly previous: Revision;
  readonly handed: ReadonlyMap<number, Handed>;
  readonly baseline: Performance;
  /** Of the hot_swap_succeeded event. */
  readonly causationId: number | undefined;
  readonly clock: Clock;
  /** False once the service has been killed. */
  readonly isThere: () => boolean;
  /** Resolves when the rollback is done, or false when it must be tried again. */
  readonly rollBack: (
    probation: Probation,
    regressions: readonly Regression[],
  ) => Promise<"done" | "again">;
  readonly over: (probation: Probation) => void;
}

export class Probation {
  readonly options: ProbationOptions;
  /** The revision on probation. */
  readonly revision: Revision;
  readonly #since: number;
  readonly #timer: NodeJS.Timeout;
  #rollingBack = false;
  #isOver = false;

  constructor(options: ProbationOptions) {
    this.options = options;
    this.revision = options.service.current;
    this.#since = options.clock.now();
    options.service.watch = () => this.check();
    this.#timer = setInterval(() => this.check(), CHECK_MS);
  }

  get endsInMs(): number {
    const { windowMs } = this.revision.spec.watchdog;
    return Math.max(0, this.#since + windowMs - this.options.clock.now());
  }

  check(): void {
    const { service, baseline, clock, isThere } = this.options;
    if (this.#isOver || this.#rollingBack) return;
    if (service.current !== this.revision || !isThere()) return this.end();
    const verdict = judge({
      watchdog: this.revision.spec.watchdog,
      baseline,
      seen: performanceOf(service),
      quarantined: service.replicas.some(({ state }) => state === "quarantined"),
      elapsedMs: clock.now() - this.#since,
    });
    if (verdict.kind === "pass") this.end();
    else if (verdict.kind === "roll_back") void this.#rollBack(verdict.regressions);
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#timer);
    this.options.service.watch = undefined;
    this.options.over(this);
  }

  async #rollBack(regressions: readonly Regression[]): Promise<void> {
    this.#rollingBack = true;
    const outcome = await this.options.rollBack(this, regressions);
    this.#rollingBack = false;
    if (outcome === "done") this.end();
  }
}
