/**
 * The steps of a swap, in order. What runs between two of them is a power of the kernel: the
 * tests' kernel dies there, everybody else's does nothing.
 */
export const SWAP_STEPS = ["warmed", "held", "told", "adopted", "recorded", "switched"] as const;
export type SwapStep = (typeof SWAP_STEPS)[number];
export type Faults = (step: SwapStep) => void | Promise<void>;

export const noFaults: Faults = () => {};
