/** Tells undici that node:crypto is there: its randomInt is, from the host's entropy. */
export const runtimeFeatures = { has: (): boolean => true };
