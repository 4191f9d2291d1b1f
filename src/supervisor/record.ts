/**
 * What a supervisor knows of one child.
 *
 * 1. A record changes state only along TRANSITIONS.
 * 2. `child` is set exactly while something runs that would have to be stopped.
 * 3. A record that waits for its restart belongs to one Pause, and leaves it together
 *    with the state `restarting`; the last one to leave ends the pause's timer.
 */
import { SoloError } from "#base/errors.ts";
import type { Child, ChildSpec, ChildState, RestartKind, TreeNode } from "#supervisor/child.ts";
import type { ChildFacts } from "#supervisor/decide.ts";
import type { Starting, Stopping } from "#supervisor/effort.ts";
import type { Lane } from "#supervisor/lane.ts";

const TRANSITIONS: Readonly<Record<ChildState, readonly ChildState[]>> = {
  starting: ["running", "stopped"],
  running: ["stopping", "stopped"],
  stopping: ["stopped"],
  restarting: ["starting", "restarting", "stopped"],
  stopped: ["starting", "restarting"],
};

/** The children that one decision will start again, in start order. */
export interface Pause {
  readonly waiting: Set<ChildRecord>;
  timer: NodeJS.Timeout | undefined;
}

export class ChildRecord implements ChildFacts {
  readonly spec: ChildSpec;
  /** Where everything that concerns this child happens, one thing at a time. */
  readonly lane: Lane;
  restarts = 0;
  child: Child | undefined;
  starting: Starting | undefined;
  stopping: Stopping | undefined;
  #state: ChildState = "stopped";
  #pause: Pause | undefined;

  constructor(spec: ChildSpec, lane: Lane) {
    this.spec = spec;
    this.lane = lane;
  }

  get restart(): RestartKind {
    return this.spec.restart;
  }

  get alive(): boolean {
    return this.child !== undefined;
  }

  get state(): ChildState {
    return this.#state;
  }

  move(to: Exclude<ChildState, "restarting">): void {
    this.#enter(to);
  }

  /** Waits for its restart together with the others of `pause`. */
  await(pause: Pause): void {
    this.#enter("restarting");
    this.#pause = pause;
    pause.waiting.add(this);
  }

  tree(): TreeNode {
    const { spec, state, restarts, child } = this;
    const children = child?.tree?.().children ?? [];
    return { id: spec.id, type: spec.type, state, restarts, children };
  }

  #enter(to: ChildState): void {
    if (!TRANSITIONS[this.#state].includes(to)) {
      throw new SoloError("internal", `Child ${this.spec.id} went from ${this.#state} to ${to}.`);
    }
    this.#state = to;
    this.#pause?.waiting.delete(this);
    if (this.#pause?.waiting.size === 0) clearTimeout(this.#pause.timer);
    this.#pause = undefined;
  }
}
