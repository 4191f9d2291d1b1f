/** kill -9 of the kernel at the steps of flush, save, sleep and wake; test/chaos has all of them
 *  for each kind of service. */
import { test } from "vitest";
import type { FaultStep } from "#kernel/faults.ts";
import { killAt } from "./persist-generations.ts";

test.concurrent.for([
  ["stateless", ["sleep_recorded", "rousing"]],
  ["hybrid", ["flushing", "saved", "idle_told", "woken"]],
  ["durable", ["saving", "drowsy", "evicted", "sleep_ended"]],
] as const satisfies readonly (readonly [string, readonly FaultStep[]])[])(
  "a %s service is there once, asleep or awake, with its timers and all that was acknowledged",
  { timeout: 240_000 },
  ([id, steps]) => killAt(id, steps),
);
