/**
 * The readings of one service's or one tenant's resources.
 *
 * 1. Every reading is decided on by `decide`; a meter only remembers and passes on.
 */
import { APPROACH_ENDS_BELOW, decide, NO_PAST, owed, type Past } from "#limits/decide.ts";
import type { Level, Limit, LimitAction, Resource, Usage, Violation } from "#limits/limit.ts";

export interface MeterOptions<R extends Resource> {
  readonly limits: Readonly<Record<R, Limit>>;
  /** Monotonic ms. */
  readonly now: () => number;
  readonly tell: (violation: Violation) => void;
}

interface Gauge {
  value: number;
  past: Past;
}

export class Meter<R extends Resource> {
  readonly #options: MeterOptions<R>;
  #limits: Readonly<Record<R, Limit>>;
  readonly #gauges = new Map<R, Gauge>();

  constructor(options: MeterOptions<R>) {
    this.#options = options;
    this.#limits = options.limits;
  }

  limitOf(what: R): number {
    return this.#limits[what].limit;
  }

  /** Other limits from now on: those of another revision. */
  relimit(limits: Readonly<Record<R, Limit>>): void {
    this.#limits = limits;
  }

  /**
   * Reads a resource. The answer is what to do when the value passes the limit; a value that
   * was asked for and refused is not kept as the usage.
   */
  read(what: R, value: number): LimitAction | undefined {
    const gauge = this.#gauge(what);
    const { limit, action } = this.#limits[what];
    // By far the most readings are nowhere near.
    if (value < limit * APPROACH_ENDS_BELOW && gauge.past.level === "ok") {
      gauge.value = value;
      return undefined;
    }
    const now = this.#options.now();
    const { past, act, tell } = decide(gauge.past, { what, value, limit, action, now });
    gauge.past = past;
    gauge.value = act === "throttle" && DEMANDED.has(what) ? Math.min(gauge.value, limit) : value;
    if (tell !== undefined) this.#options.tell(tell);
    return act;
  }

  /** Somebody else found that a bound was passed; `limit` when it was not the usual one. */
  violated(what: R, value: number, limit = this.#limits[what].limit): void {
    const gauge = this.#gauge(what);
    const { action } = this.#limits[what];
    const now = this.#options.now();
    const reading = { what, value: Math.max(value, limit), limit, action, now, passed: true };
    const { past, tell } = decide(gauge.past, reading);
    gauge.past = past;
    if (tell !== undefined) this.#options.tell(tell);
  }

  levelOf(what: R): Level {
    return this.#gauges.get(what)?.past.level ?? "ok";
  }

  valueOf(what: R): number {
    return this.#gauges.get(what)?.value ?? 0;
  }

  /** Tells what is still owed. */
  settle(): void {
    const now = this.#options.now();
    for (const [what, gauge] of this.#gauges) {
      if (gauge.past.untold === 0) continue;
      const { past, tell } = owed(gauge.past, { what, now, ...this.#limits[what] });
      gauge.past = past;
      if (tell !== undefined) this.#options.tell(tell);
    }
  }

  usage(): Usage[] {
    return (Object.keys(this.#limits) as R[]).map((what) => {
      const { limit, action } = this.#limits[what];
      return { what, value: this.valueOf(what), limit, action, level: this.levelOf(what) };
    });
  }

  #gauge(what: R): Gauge {
    let gauge = this.#gauges.get(what);
    if (gauge === undefined) this.#gauges.set(what, (gauge = { value: 0, past: NO_PAST }));
    return gauge;
  }
}

/** Resources that are asked for and can be refused, so that usage never passes the limit. */
const DEMANDED: ReadonlySet<Resource> = new Set<Resource>([
  "mailbox",
  "open_requests",
  "timers",
  "log_line",
  "message",
  "storage",
  "kv_keys",
  "kv_value",
  "tenant_open_requests",
  "tenant_waiting",
  "tenant_storage",
  "tenant_services",
]);
