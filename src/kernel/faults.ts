/**
 * The named steps of what must survive the kernel's death at any moment. What runs between two
 * of them is a power of the kernel: the tests' kernel dies there, everybody else's does nothing.
 */

/** Of a swap, in order. */
export const SWAP_STEPS = ["warmed", "held", "told", "adopted", "recorded", "switched"] as const;

/** Of a state on its way to disk: asked for by a flush, told by the guest, written but not
 *  acknowledged. */
export const SAVE_STEPS = ["flushing", "saving", "saved"] as const;

/** Of falling asleep: messages wait, the guest has told its state, it is on disk with the
 *  timers, the instance is gone. */
export const SLEEP_STEPS = ["drowsy", "idle_told", "sleep_recorded", "evicted"] as const;

/** Of waking: its state is about to be read, the instance is up, the sleep is over (of a durable
 *  service on disk too). */
export const WAKE_STEPS = ["rousing", "woken", "sleep_ended"] as const;

/** Of replacing a state: the new one is on disk, the service has not started with it. */
const REPLACE_STEPS = ["replaced"] as const;

/** Of a rollout: its next phase is on disk and not yet acted upon. */
const ROLLOUT_STEPS = ["decided"] as const;

/** Of the end of a service: what it kept is gone, the mark that it has ended is not. */
const REMOVE_STEPS = ["cleared"] as const;

/** Of the kernel's start: a service is about to be started. */
const BOOT_STEPS = ["attempting"] as const;

export type FaultStep = (
  | typeof SWAP_STEPS
  | typeof SAVE_STEPS
  | typeof SLEEP_STEPS
  | typeof WAKE_STEPS
  | typeof REPLACE_STEPS
  | typeof ROLLOUT_STEPS
  | typeof REMOVE_STEPS
  | typeof BOOT_STEPS
)[number];

/** `of`: `tenant/service`, where it is one service's step. */
export type Faults = (step: FaultStep, of?: string) => void | Promise<void>;

export const noFaults: Faults = () => {};
