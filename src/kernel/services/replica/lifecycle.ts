/**
 * The life of a replica as one table: a transition that is not in it cannot happen.
 */
import { SoloError } from "#base/errors.ts";

export type ServiceState =
  | "starting"
  | "running"
  | "crashed"
  | "restarting"
  | "draining"
  | "stopped"
  | "quarantined"
  | "deployment_failed"
  | "hibernated";

const NEXT: Readonly<Record<ServiceState, readonly ServiceState[]>> = {
  starting: ["running", "crashed", "draining", "deployment_failed", "quarantined", "hibernated"],
  running: ["crashed", "draining", "hibernated"],
  crashed: ["restarting", "quarantined", "stopped", "draining"],
  restarting: ["running", "crashed", "quarantined", "draining"],
  draining: ["stopped", "starting"],
  stopped: ["starting"],
  quarantined: ["starting", "draining", "stopped"],
  hibernated: ["starting", "draining"],
  deployment_failed: [],
};

const TAKING: ReadonlySet<ServiceState> = new Set([
  "running",
  "restarting",
  "starting",
  "crashed",
  "hibernated",
]);

/** The instance runs, will soon, or sleeps: messages are taken. */
export const takesMessages = (state: ServiceState): boolean => TAKING.has(state);

/** The best that one of a service's replicas is in, is what the service is in. */
const BEST_FIRST: readonly ServiceState[] = [
  "running",
  "starting",
  "restarting",
  "crashed",
  "hibernated",
  "draining",
  "quarantined",
  "stopped",
  "deployment_failed",
];

export const stateOfAll = (states: readonly ServiceState[]): ServiceState =>
  BEST_FIRST.find((state) => states.includes(state)) ?? "stopped";

export class Lifecycle {
  #state: ServiceState = "starting";
  readonly #changed: (from: ServiceState, to: ServiceState) => void;

  constructor(changed: (from: ServiceState, to: ServiceState) => void) {
    this.#changed = changed;
  }

  get state(): ServiceState {
    return this.#state;
  }

  can(to: ServiceState): boolean {
    return NEXT[this.#state].includes(to);
  }

  move(to: ServiceState): void {
    if (!this.can(to))
      throw new SoloError("internal", `A replica cannot go from ${this.#state} to ${to}.`);
    const from = this.#state;
    this.#state = to;
    this.#changed(from, to);
  }
}
