/** A kernel whose services are hostile: what the tests of attacks share. */
import { systemClock } from "#base/clock.ts";
import type { GroundOptions } from "#doctor/ground.ts";
import { startKernel, type TestKernel } from "./kernel.ts";

/** Small enough that memory bombs end soon; and with the spares that a kernel has by itself. */
export const ATTACKED = { SOLO_LIMITS_TENANT_MEMORY_MB: "512", SOLO_LIMITS_SPARE_CELLS: "2" };

export const startAttacked = (
  settings: Readonly<Record<string, string>> = {},
): Promise<TestKernel> => startKernel({ env: { ...ATTACKED, ...settings } });

export const groundOf = (kernel: TestKernel): GroundOptions => ({
  client: (tenant) => (tenant === undefined ? kernel : kernel.tenant(tenant)).client,
  clock: systemClock,
});
