/** kill -9 of the kernel at every step of flush, save, sleep and wake, for each kind of service. */
import { test } from "vitest";
import { SAVE_STEPS, SLEEP_STEPS, WAKE_STEPS, type FaultStep } from "#kernel/faults.ts";
import { killAt } from "../faults/persist-generations.ts";

const ASLEEP_OR_NOT = [...SLEEP_STEPS, ...WAKE_STEPS];

test.for([
  ["stateless", ASLEEP_OR_NOT],
  ["hybrid", [...SAVE_STEPS, ...ASLEEP_OR_NOT]],
  ["durable", ["saving", "saved", ...ASLEEP_OR_NOT]],
] as const satisfies readonly (readonly [string, readonly FaultStep[]])[])(
  "a %s service is there once, asleep or awake, with its timers and all that was acknowledged",
  { timeout: 600_000 },
  ([id, steps]) => killAt(id, steps),
);
