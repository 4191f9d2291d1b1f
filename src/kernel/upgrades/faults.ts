/**
 * The steps of a swap, in order, and the step of a rollout at which its next phase is on disk
 * and not yet acted upon. What runs between two of them is a power of the kernel: the
 * tests' kernel dies there, everybody else's does nothing.
 */
export const SWAP_STEPS = ["warmed", "held", "told", "adopted", "recorded", "switched"] as const;
export type SwapStep = (typeof SWAP_STEPS)[number];
export type FaultStep = SwapStep | "decided";
export type Faults = (step: FaultStep) => void | Promise<void>;

export const noFaults: Faults = () => {};
