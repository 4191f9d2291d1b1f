/**
 * Watches a service whose revision has just changed, until its probation is over.
 *
 * 1. Every crash is judged at once; everything else again and again.
 * 2. A regression stands: the way back is tried until it works, or somebody changes the service.
 * 3. It ends once: passed, rolled back, or because the service is another one by now.
 */
import type { Clock } from "#base/clock.ts";
import type { ProbationRecord } from "#deploy/probations.ts";
import type { Revision } from "#kernel/services/revision.ts";
import type { Service } from "#kernel/services/service.ts";
import { judge, type Regression } from "#kernel/upgrades/judge.ts";
import { performanceOf } from "#kernel/upgrades/performance.ts";
import type { Standby } from "#kernel/upgrades/standby.ts";
import type { Handed } from "#kernel/upgrades/swap.ts";

const CHECK_MS = 100;
const RETRY_MS = 1000;

export interface ProbationOptions {
  readonly service: Service;
  /** As it is on disk. */
  readonly record: ProbationRecord;
  readonly previous: Revision;
  /** What each slot had handed over, unless somebody has replaced its state since. */
  readonly handed: Map<number, Handed>;
  /** Of the event before it. */
  readonly causationId: number;
  readonly leftMs: number;
  readonly standby: Standby;
  readonly clock: Clock;
  /** False once the service has been killed. */
  readonly isThere: () => boolean;
  /** `busy`: somebody else is at the service; `failed`: to be tried again a little later. */
  readonly rollBack: (
    probation: Probation,
    regressions: readonly Regression[],
  ) => Promise<"done" | "busy" | "failed">;
  readonly over: (probation: Probation) => void;
}

export class Probation {
  readonly options: ProbationOptions;
  /** The revision on probation. */
  readonly revision: Revision;
  readonly #endsAt: number;
  readonly #timer: NodeJS.Timeout;
  #regressions: readonly Regression[] = [];
  #regressedAt = 0;
  #isRollingBack = false;
  #restsUntil = 0;
  #isOver = false;

  constructor(options: ProbationOptions) {
    this.options = options;
    this.revision = options.service.current;
    this.#endsAt = options.clock.now() + options.leftMs;
    options.service.watch = () => this.check();
    this.#timer = setInterval(() => this.check(), CHECK_MS);
  }

  get endsInMs(): number {
    return Math.max(0, this.#endsAt - this.options.clock.now());
  }

  /** How long the way back has been tried. */
  get regressedForMs(): number {
    return this.options.clock.now() - this.#regressedAt;
  }

  check(): void {
    const { service, record, clock, standby, isThere } = this.options;
    if (this.#isOver || this.#isRollingBack) return;
    if (service.current !== this.revision || !isThere()) return this.end();
    standby.check();
    if (this.#regressions.length === 0) {
      const { watchdog } = this.revision.spec;
      const verdict = judge({
        watchdog,
        baseline: record.baseline,
        seen: performanceOf(service.replicas),
        quarantined: service.replicas.some(({ state }) => state === "quarantined"),
        elapsedMs: watchdog.windowMs - this.endsInMs,
      });
      if (verdict.kind === "pass") return this.end();
      if (verdict.kind === "wait") return;
      this.#regressions = verdict.regressions;
      this.#regressedAt = clock.now();
    }
    if (clock.now() >= this.#restsUntil) void this.#rollBack();
  }

  end(): void {
    if (this.#isOver) return;
    this.stop();
    this.options.over(this);
  }

  /** Looks no more; what is on disk stays. */
  stop(): void {
    this.#isOver = true;
    clearInterval(this.#timer);
    this.options.service.watch = undefined;
  }

  async #rollBack(): Promise<void> {
    const { rollBack, clock } = this.options;
    this.#isRollingBack = true;
    const outcome = await rollBack(this, this.#regressions);
    this.#isRollingBack = false;
    if (outcome === "done") this.end();
    else if (outcome === "failed") this.#restsUntil = clock.now() + RETRY_MS;
  }
}
