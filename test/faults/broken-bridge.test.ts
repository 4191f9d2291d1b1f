/** A guest that speaks in its bridge's place ends by itself: whoever shares its cell goes on,
 *  on the same instance. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import { forgeries } from "#doctor/attacks/bridge.ts";
import { startInProcess, type InProcessKernel } from "../support/kernel-in-process.ts";

const COUNTER = `export default { init: () => ({ count: 0 }), calls: { count: (solo) => (solo.state.count += 1) } };`;
const TENANT = "mallory";
/** What its caller may hear: never that the cell went, nor an error of the kernel's own. */
const OUTCOMES = [
  "service_crashed",
  "service_error",
  "deadline_exceeded",
  "outcome_unknown",
  "service_not_running", // It says that its message had not begun, and is not started again.
];

let solo: InProcessKernel;
let count = 0;
const neighbour = () => solo.ask("Status", { service_id: "neighbour" }, TENANT);

beforeAll(async () => {
  solo = await startInProcess();
  await solo.ask("Deploy", { service_id: "neighbour", code: COUNTER }, TENANT);
});
afterAll(() => solo[Symbol.asyncDispose]());
afterEach(() => solo.ask("Kill", { service_id: "attacker", force: true }, TENANT));

test.for(forgeries)(
  "a service that $name ends nobody but itself",
  async ({ code, expect: expected }) => {
    const before = await neighbour();
    // Only who falls silent has to be waited for; the others may be slow on a busy machine.
    const call_timeout_ms = expected.includes("deadline_exceeded") ? 300 : 10_000;
    await solo.ask(
      "Deploy",
      { service_id: "attacker", code, restart: "temporary", limits: { call_timeout_ms } },
      TENANT,
    );
    const outcome = await solo.call(TENANT, "attacker", "attack").catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(SoloError);
    expect(OUTCOMES).toContain((outcome as SoloError).code);
    expect((outcome as SoloError).message).not.toContain("process");
    expect(await solo.call(TENANT, "neighbour", "count")).toBe((count += 1));
    const { instance_id, restarts } = await neighbour();
    expect({ instance_id, restarts }).toEqual({ instance_id: before.instance_id, restarts: 0 });
  },
);
