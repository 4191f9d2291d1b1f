/** A service that did not come back, and is updated just when it is tried again. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "#base/clock.ts";
import type { Faults } from "#kernel/faults.ts";
import { startInProcess, type InProcessOptions } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";

const id = { service_id: "fragile" };

test("the update stays, and the next start brings it back", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "solo-boot-update-"));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  const start = (more: InProcessOptions = {}) => startInProcess({ dataDir, ...more });
  {
    await using first = await start();
    const code = `export default { version: "1",
      async init(solo) { if (await solo.kv.get("poison")) throw new Error("no longer"); },
      calls: { poison: (solo) => solo.kv.put("poison", true) } };`;
    await first.ask("Deploy", { ...id, code });
    await first.call("default", "fragile", "poison");
  }
  {
    let aheadMs = 0;
    let tries = 0;
    let between: Faults = () => {};
    await using second = await start({
      clock: { ...systemClock, wallMs: () => systemClock.wallMs() + aheadMs },
      faults: (step, of) => between(step, of),
    });
    const status = await second.ask("Status", id);
    expect(status).toMatchObject({ state: "quarantined", held_back: { failures: 1 } });
    const isMarked = async () => {
      const failed = { ...id, event_type: "service_deployment_failed" };
      return (await second.ask("ListEvents", failed)).events.length > 1;
    };
    between = async (step) => {
      if (step === "attempting") tries += 1;
      if (step !== "recorded") return;
      aheadMs = 3_600_000;
      await until(async () => tries > 1 || (await isMarked()), "a try");
    };
    await second.ask("Update", { ...id, code: `export default { version: "2" };` });
  }
  await using third = await start();
  expect(await third.ask("Status", id)).toMatchObject({ state: "running", version: "2" });
});
